"""Steps of the flow over patches: what goes in comes back, and the log-determinants are those of autograd."""

import math

import pytest
import torch

from metavad.experts.glow import ActNorm, Coupling, Glow, Mixing


def disturbed(module, scale=0.3, seed=0):
    """The same module in float64 with other parameters than it begins with."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.add_(scale * torch.randn(tensor.shape, generator=generator))
    return module.double()


def pictures(count, channels, height=4, width=6, seed=1):
    return torch.randn(
        count, channels, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


PARTS = {
    "normalisation": lambda: ActNorm(4),
    "mixing": lambda: Mixing(4),
    "coupling": lambda: Coupling(4, 6),
    "coupling of an odd number": lambda: Coupling(3, 6),
}


@pytest.fixture(params=PARTS)
def part(request):
    torch.manual_seed(0)
    channels = 3 if "odd" in request.param else 4
    return disturbed(PARTS[request.param]()), channels


def determinant(function, values):
    """Of the Jacobian of a function of one picture, by autograd."""
    jacobian = torch.autograd.functional.jacobian(
        lambda flat: function(flat.reshape(values.shape)).flatten(), values.flatten()
    )
    return torch.linalg.slogdet(jacobian)[1]


def test_every_part_can_be_undone(part):
    module, channels = part
    values = pictures(5, channels)
    torch.testing.assert_close(module.inverse(module(values)[0]), values, rtol=0, atol=1e-9)


def test_every_part_s_log_determinant_is_autograd_s(part):
    module, channels = part
    values = pictures(1, channels, 2, 3)
    torch.testing.assert_close(module(values)[1][0], determinant(lambda x: module(x)[0], values))


@pytest.mark.parametrize(("steps", "levels"), [(1, 1), (3, 1), (2, 2), (1, 3)])
def test_a_whole_flow_can_be_undone_and_its_log_determinant_is_autograd_s(steps, levels):
    torch.manual_seed(0)
    glow = disturbed(Glow(2, steps=steps, levels=levels, hidden=5), 0.1)
    values = pictures(3, 2, 8, 8)
    latents, found = glow(values)
    assert len(latents) == levels
    assert sum(latent[0].numel() for latent in latents) == values[0].numel()
    torch.testing.assert_close(glow.inverse(latents), values, rtol=0, atol=1e-8)
    one = values[:1]
    expected = determinant(lambda x: torch.cat([latent.flatten(1) for latent in glow(x)[0]], 1), one)
    torch.testing.assert_close(found[0], expected)


def test_a_flow_that_does_nothing_is_the_normal_density():
    torch.manual_seed(0)
    glow = Glow(1, steps=1, levels=1, hidden=4)
    for name, tensor in glow.named_parameters():
        if "network" in name:
            torch.nn.init.zeros_(tensor)
    values = pictures(4, 1, 4, 4).float()
    expected = -0.5 * (values.square() + math.log(2 * math.pi)).sum((1, 2, 3))
    torch.testing.assert_close(glow.log_prob(values), expected)  # a rotation changes no normal density


def test_the_density_sums_to_one():
    """Over a grid of all pictures of 2 x 2 pixels with one channel."""
    torch.manual_seed(0)
    glow = disturbed(Glow(1, steps=2, levels=1, hidden=4), 0.1)
    axis = torch.linspace(-6, 6, 17, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis, axis, axis).reshape(-1, 1, 2, 2)
    with torch.no_grad():
        total = sum(glow.log_prob(part).exp().sum() for part in grid.split(50_000)) * (axis[1] - axis[0]) ** 4
    assert total == pytest.approx(1.0, abs=0.02)


def test_one_picture_s_density_does_not_depend_on_the_others():
    torch.manual_seed(0)
    glow = disturbed(Glow(2, steps=2, levels=2, hidden=5), 0.1)
    values = pictures(6, 2, 4, 8)
    torch.testing.assert_close(glow.log_prob(values)[2:3], glow.log_prob(values[2:3]))


def test_samples_have_the_density():
    """The mean log-likelihood of what the inverse makes of noise is minus the entropy that follows from it."""
    torch.manual_seed(0)
    glow = disturbed(Glow(1, steps=2, levels=1, hidden=4), 0.1)
    latent = pictures(2000, 4, 1, 1)
    made = glow.inverse([latent])
    base = -0.5 * (latent.square() + math.log(2 * math.pi)).sum((1, 2, 3))
    torch.testing.assert_close(glow.log_prob(made), base + glow(made)[1])
