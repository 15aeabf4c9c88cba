"""What a camera is, and how its pixels and labels reach us."""
