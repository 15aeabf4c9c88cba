"""A diagonal state-space layer: the same linear system as a convolution, to train, and as a recurrence, to run.

Gu, Gupta, Goel and Ré 2022, "On the parameterization and initialization of diagonal state space models" (S4D),
https://arxiv.org/abs/2206.11893.
"""

import math

import torch
from torch import Tensor, nn

__all__ = ["StateSpace"]

SLOW, FAST = 0.02, 0.5
"""Step sizes at the start, first and last channel: the layer remembers 50 and 2 steps of time, and all between."""


class StateSpace(nn.Module):
    """For each channel by itself, x' = A x + B u and y = 2 Re(C x) + D u with A diagonal and complex, held over steps.

    With step size s and zero-order hold: x_t = exp(s A) x_(t-1) + (exp(s A) - 1) / A u_t. It starts as S4D-Lin,
    A_n = -1/2 + i pi n; B is 1, since only its product with C counts. All parameters are real tensors and the
    output is smooth in them (twice differentiable). ``state`` is N, the conjugate pairs kept for a channel. What
    mixes channels (a linear layer, an activation) is the caller's.
    """

    def __init__(self, channels: int, state: int) -> None:
        super().__init__()
        steps = torch.linspace(math.log(SLOW), math.log(FAST), channels)
        self.log_step = nn.Parameter(steps)
        """Log of the time between two values (C,)."""
        self.log_decay = nn.Parameter(torch.full((channels, state), math.log(0.5)))
        """Log of minus the real part of A (C, N): the system cannot blow up."""
        self.frequency = nn.Parameter(math.pi * torch.arange(state).float().repeat(channels, 1))
        """Imaginary part of A (C, N)."""
        self.out = nn.Parameter(torch.randn(channels, state, 2) * math.sqrt(0.5))
        """C (C, N, 2), real and imaginary part."""
        self.skip = nn.Parameter(torch.ones(channels))
        """D (C,)."""

    def forward(self, values: Tensor) -> Tensor:
        """Convolution form: (B, T, C) to (B, T, C); output t depends on the values up to t, the state starts at 0."""
        ticks = values.shape[1]
        kernel = self.kernel(ticks)
        signal = values.movedim(1, -1).to(kernel.dtype)
        # Twice the length, so that the end does not wrap around into the beginning.
        spectrum = torch.fft.rfft(signal, n=2 * ticks) * torch.fft.rfft(kernel, n=2 * ticks)
        convolved = torch.fft.irfft(spectrum, n=2 * ticks)[..., :ticks]
        return torch.movedim(convolved + self.skip[:, None] * signal, -1, 1).to(values.dtype)

    def kernel(self, ticks: int) -> Tensor:
        """The impulse response (C, T) without D."""
        exponent, weight = self._discrete()
        elapsed = torch.arange(ticks).to(self.log_step)
        powers = torch.exp(exponent[..., None] * elapsed)
        gains = weight * torch.view_as_complex(self.out)
        response: Tensor = 2 * (gains[..., None] * powers).sum(1).real
        return response

    def _discrete(self) -> tuple[Tensor, Tensor]:
        """Log of the transition and the input's weight (C, N), complex, by zero-order hold."""
        pole = torch.complex(-self.log_decay.exp(), self.frequency)
        exponent = pole * self.log_step.exp()[:, None]
        return exponent, torch.expm1(exponent) / pole
