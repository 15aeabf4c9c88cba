"""Scores of any expert to probabilities of this camera's normality; pure and differentiable."""
