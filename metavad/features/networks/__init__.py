"""Networks that others trained: where they are, and how they are run."""
