"""The diagonal state-space layer, a convolution, against its recurrence and against the differential equation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call

from metavad.experts.state_space import StateSpace


def layer(channels=3, state=4, seed=0):
    torch.manual_seed(seed)
    made = StateSpace(channels, state).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def recurrent(made, values):
    """Zero-order hold, value by value: x' = exp(A dt) x + A^-1 (exp(A dt) - 1) u, y = 2 Re(C x) + D u."""
    pole, out = torch.complex(-made.log_decay.exp(), made.frequency), torch.view_as_complex(made.out)
    held = torch.exp(pole * made.log_step.exp()[:, None])
    state, outputs = torch.zeros(len(values), *out.shape, dtype=out.dtype), []
    for value in values.unbind(1):
        state = held * state + (held - 1) / pole * value[..., None]
        outputs.append(2 * (out * state).sum(-1).real + made.skip * value)
    return torch.stack(outputs, 1)


@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 4), st.integers(1, 6), st.integers(0, 1000))
def test_convolution_is_recurrence(batch, ticks, channels, state, seed):
    made = layer(channels, state, seed)
    values = torch.randn(batch, ticks, channels, dtype=torch.float64)
    torch.testing.assert_close(made(values), recurrent(made, values), rtol=1e-9, atol=1e-9)


def test_a_constant_input_settles_where_the_differential_equation_does():
    made = layer(2, 3)
    values = torch.ones(1, 4000, 2, dtype=torch.float64)
    pole = torch.complex(-made.log_decay.exp(), made.frequency)
    rest = 2 * (-torch.view_as_complex(made.out) / pole).sum(-1).real + made.skip
    torch.testing.assert_close(made(values)[0, -1], rest, rtol=1e-6, atol=1e-6)


def test_half_the_step_held_twice_as_long_is_the_same_system():
    made = layer(2, 3)
    values = torch.randn(1, 12, 2, dtype=torch.float64)
    coarse = made(values) - made.skip * values
    with torch.no_grad():
        made.log_step.sub_(torch.log(torch.tensor(2.0, dtype=torch.float64)))
    twice = values.repeat_interleave(2, 1)
    torch.testing.assert_close((made(twice) - made.skip * twice)[:, 1::2], coarse)


def test_no_output_depends_on_later_values():
    made, values = layer(), torch.randn(2, 20, 3, dtype=torch.float64)
    other = values.clone()
    other[:, 11:] += 5
    torch.testing.assert_close(made(values)[:, :11], made(other)[:, :11])
    assert not torch.allclose(made(values)[:, 11:], made(other)[:, 11:])


@pytest.mark.parametrize("form", ["convolution", "recurrence"])
def test_twice_differentiable(form):
    made, values = layer(2, 2), torch.randn(1, 5, 2, dtype=torch.float64)
    names = [name for name, _ in made.named_parameters()]

    def loss(*tensors):
        given_ = dict(zip(names, tensors, strict=True))
        if form == "convolution":
            return functional_call(made, given_, (values,)).square().sum()
        for name, tensor in given_.items():
            made.__dict__["_parameters"][name] = tensor
        return recurrent(made, values).square().sum()

    start = [tensor.detach().clone().requires_grad_() for tensor in made.parameters()]
    assert torch.autograd.gradcheck(loss, start)
    assert torch.autograd.gradgradcheck(loss, start)


def test_a_state_never_blows_up_however_long():
    made = StateSpace(4, 8)
    kernel = made.kernel(20000)
    assert torch.isfinite(kernel).all()
    assert kernel[:, -100:].abs().max() < 1e-6


def test_its_kernel_is_what_a_least_squares_fit_needs_to_delay():
    """A system of 16 poles can output the value of some ticks ago; a memoryless layer cannot."""
    made = layer(1, 16)
    with torch.no_grad():
        made.log_step.fill_(-1.5)
    responses = []
    for pole in range(16):
        for part in range(2):
            with torch.no_grad():
                made.out.zero_()
                made.out[0, pole, part] = 1
            responses.append(made.kernel(12)[0].detach())
    delay = torch.zeros(12, dtype=torch.float64)
    delay[3] = 1
    basis = torch.stack(responses, 1)
    gains = torch.linalg.lstsq(basis, delay[:, None], driver="gelsd").solution
    torch.testing.assert_close((basis @ gains)[:, 0], delay, atol=1e-3, rtol=0)
