"""K-shot fine-tuning of a base on one camera: inner steps, memory, calibration, threshold."""
