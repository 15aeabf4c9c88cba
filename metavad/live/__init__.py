"""One camera, watched: from its stream to events that are kept, announced and corrected."""
