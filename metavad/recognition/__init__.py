"""Recognition of forbidden activities: whole clips, classes that are allowed, all others forbidden."""
