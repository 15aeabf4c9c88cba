"""Pixels to what experts read; one file a feature."""
