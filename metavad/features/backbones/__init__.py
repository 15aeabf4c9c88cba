"""Networks over clips of frames that others trained, or that are trained here, each with its own preprocessing."""
