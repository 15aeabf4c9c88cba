"""Least-squares adversarial training inside a stateless expert: one loss, two players, each moved by its own part."""

import torch
from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["Discriminator", "adversarial_loss"]


class Discriminator(nn.Module):
    """Tells true from predicted frames, patch by patch (Isola et al. 2017, https://arxiv.org/abs/1611.07004)."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1),
            nn.GroupNorm(4, 2 * channels),
            nn.SiLU(),
            nn.Conv2d(2 * channels, 1, 3, padding=1),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(B, H, W) to a verdict for each patch (B, h, w): 1 true, 0 predicted."""
        verdict: Tensor = self.layers(frames[:, None])
        return verdict[:, 0]


def adversarial_loss(discriminator: Discriminator, predicted: Tensor, true: Tensor) -> Tensor:
    """Least-squares game over frames (B, H, W) to a loss for each (B,): the sum of both players' losses.

    The predictor's: (D(predicted) - 1)^2 / 2 with D held; the discriminator's: ((D(true) - 1)^2 + D(predicted)^2) / 2
    with the frames held. So the gradient of the sum moves each player by its own loss alone, in one optimiser; it
    is the gradient of no function. Mao et al. 2017, https://arxiv.org/abs/1611.04076.
    """
    held = {name: tensor.detach() for name, tensor in discriminator.named_parameters()}
    convinced: Tensor = functional_call(discriminator, held, (predicted,))
    verdicts = (discriminator(true) - 1).square() + discriminator(predicted.detach()).square()
    return torch.mean((convinced - 1).square() + verdicts, dim=(-1, -2)) / 2
