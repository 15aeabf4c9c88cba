"""Datasets and one's own footage: fetching, unpacking, checking, a first suite file."""
