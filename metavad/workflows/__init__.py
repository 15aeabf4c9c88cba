"""What a user calls, end to end: meta-training a base, and adapting it to a camera."""
