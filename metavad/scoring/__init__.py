"""Frames to scores, boxes, events and reasons."""
