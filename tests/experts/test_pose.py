"""Windows of poses: the flow's volume, what a clip may know, and odd ways of moving."""

import pytest
import torch

from metavad.config import Config
from metavad.experts.base import call
from metavad.experts.pose import Pose, PosePrediction, _windows
from metavad.features.poses import FACTS, JOINTS, STEP
from metavad.features.sample import Sample
from metavad.meta.inner import inner_loop
from metavad.testing import walker

CONFIG = Config.model_validate(
    {"data": {"rows": 6}, "pose": {"steps": 8, "people": 2, "flow_steps": 2, "hidden": 6, "channels": 8, "windows": 16}}
)
STEPS = CONFIG.pose.steps


def sample_of(clips, ticks=12, reach=2.0):
    """A person a clip, whole windows at every tick; ``reach``: seconds of the clip before its first tick."""
    table = torch.zeros(len(clips), ticks, CONFIG.pose.people, FACTS + STEP * STEPS)
    for clip, points in enumerate(clips):
        way = torch.from_numpy(points).float()
        for tick in range(ticks):
            window = way[tick : tick + STEPS]
            seen = (window - window[-1].mean(0)) / 30.0
            steps = torch.cat([torch.ones(STEPS, 1), seen.reshape(STEPS, 2 * JOINTS)], dim=1)
            facts = torch.tensor([1.0, 0.4, 0.2, 0.6, 0.8, 1.0])
            table[clip, tick, 0] = torch.cat([facts, steps.flatten()])
    known = torch.ones(len(clips), ticks, dtype=torch.bool)
    seconds = reach + torch.arange(ticks).repeat(len(clips), 1) / 10
    frames = torch.zeros(len(clips), ticks, 24, 32)
    return Sample({"frames": frames, "poses": table}, {"frames": known, "poses": known}, seconds)


def walkers(count, **settings):
    return sample_of([walker(12 + STEPS, speed=15.0 + clip, **settings) for clip in range(count)])


def test_the_volume_of_the_flow_is_that_of_its_jacobian():
    torch.manual_seed(0)
    expert = Pose.build(CONFIG).double()
    for tensor in expert.parameters():
        torch.nn.init.normal_(tensor, std=0.2)
    poses = torch.randn(1, STEPS, 2 * JOINTS, dtype=torch.float64)
    _, volume = expert._latents(poses)
    jacobian = torch.autograd.functional.jacobian(
        lambda flat: expert._latents(flat.view_as(poses))[0].flatten(), poses.flatten()
    )
    assert volume.item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), rel=1e-8)


def test_before_anything_is_shown_the_latent_is_a_standard_normal():
    memory = Pose.build(CONFIG).condition(walkers(1).select([]))
    assert memory["mean"].abs().max() == 0
    assert torch.equal(memory["deviation"], torch.ones_like(memory["deviation"]))


def test_a_clip_knows_nothing_from_before_it():
    """Rows of a whole video hold windows that begin before the clip; the clip may not use them."""
    one = sample_of([walker(12 + STEPS)], reach=0.0)
    other = sample_of([walker(12 + STEPS)], reach=0.0)
    steps = other.features["poses"][..., FACTS:].unflatten(-1, (STEPS, STEP))
    for tick in range(12):
        early = torch.linspace(1.0, 0, STEPS) > tick / 10 + 1e-3
        steps[:, tick, 0, early, 1:] += 5.0
    torch.testing.assert_close(_windows(one, CONFIG.pose).poses, _windows(other, CONFIG.pose).poses)
    weight = _windows(one, CONFIG.pose).weight[0, :, 0]
    assert weight[0] == 0
    assert weight[-1] == 1
    assert (weight.diff() >= 0).all()


@pytest.mark.parametrize("kind", [Pose, PosePrediction])
def test_who_moves_like_nobody_shown_scores_higher(kind):
    torch.manual_seed(0)
    expert = kind.build(CONFIG)
    start = {key: tensor.detach().clone().requires_grad_() for key, tensor in expert.named_parameters()}
    shown = walkers(4)

    def loss(at, clips):
        return call(expert, at, "loss", clips, call(expert, at, "condition", clips))

    sizes = {key: torch.tensor(0.02) for key in start}
    learned = inner_loop(loss, start, sizes, shown, steps=25, order=1)
    memory = call(expert, learned, "condition", shown)
    usual, odd = (
        call(expert, learned, "score", sample, memory) for sample in (walkers(1), walkers(1, swing=0.6, beat=4.0))
    )
    assert odd[0, -1].amax() > usual[0, -1].amax()
    covered = odd[0, -1] > expert.floor
    assert covered[3, 3]
    assert not covered[:, 5:].any()
