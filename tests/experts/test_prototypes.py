"""Soft k-means against hard k-means and by hand; what the memory keeps apart."""

import pytest
import torch
from sklearn.cluster import KMeans

from metavad.experts.prototypes import Prototypes, on_sphere, soft_distance


def test_far_centres_give_the_distance_of_hard_k_means():
    generator = torch.Generator().manual_seed(0)
    middles = torch.tensor([[4.0, 0, 0], [0, 4, 0], [0, 0, 4]])
    points = (middles[:, None] + 0.3 * torch.randn(3, 20, 3, generator=generator)).reshape(-1, 3)
    fitted = KMeans(3, n_init=3, random_state=0).fit(points.numpy())
    distance, share = soft_distance(points.T[None, :, :, None], torch.from_numpy(fitted.cluster_centers_))
    assert distance.sum().item() == pytest.approx(fitted.inertia_, rel=1e-4)
    assert (share[0, :, 0].argmax(-1).numpy() == fitted.labels_).all()


def test_codes_on_the_sphere_have_length_one_and_a_slope_at_zero():
    codes = torch.randn(2, 5, 3, 3) * 10
    torch.testing.assert_close(on_sphere(codes).square().sum(1), torch.ones(2, 3, 3), atol=1e-3, rtol=0)
    zero = torch.zeros(1, 5, 1, 1, requires_grad=True)
    on_sphere(zero).sum().backward()
    assert torch.isfinite(zero.grad).all()


def test_what_lies_on_a_prototype_has_no_distance_to_it():
    torch.manual_seed(0)
    memory = Prototypes(4, 8)
    features = 7.0 * memory.items[2].detach()[None, :, None, None].expand(1, 8, 2, 2)
    read, distance = memory(features)
    other = memory(torch.randn(1, 8, 2, 2))[1]
    assert distance.max().item() == pytest.approx(0, abs=1e-3)
    assert other.min() > distance.max()
    torch.testing.assert_close((read - features)[0, :, 0, 0], memory.items[2].detach(), atol=0.05, rtol=0)


def test_prototypes_that_coincide_are_crowded():
    memory = Prototypes(3, 4)
    with torch.no_grad():
        memory.items.copy_(torch.eye(4)[:3])
        apart = memory.crowding().item()
        memory.items.copy_(torch.eye(4)[[0, 0, 0]])
    assert memory.crowding().item() > apart + 0.5
