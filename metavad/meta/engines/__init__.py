"""What computes the meta-gradients of an outer step: one scene after the other, several at once, or learn2learn."""
