"""One contract for every registered expert."""

import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from metavad.config import Config
from metavad.experts import EXPERTS, build_experts
from metavad.experts.base import call
from metavad.features.library import features_of, sample_of
from metavad.features.sample import Sample, join
from metavad.meta.inner import inner_loop
from tests.people import reading_of, walker, write_people

SMALL = Config.model_validate({"data": {"rows": 6}, "prediction": {"short_side": 12, "channels": 4}})
SEEN = SMALL.model_copy(update={"embedding": SMALL.embedding.model_copy(update={"unfrozen": 1})})
"""Features with what every option reads."""
TICKS = 7
OPTIONS = {
    "prediction-flow": {"prediction": {"flow_weight": 2.0}},
    "prediction-adversarial": {"prediction": {"adversarial_weight": 0.05}},
    "prediction-channel-attention": {"prediction": {"attention": "channel"}},
    "prediction-self-attention": {"prediction": {"attention": "self"}},
    "prediction-prototypes": {"prediction": {"prototypes": 5}},
    "flow_patches-trajectory": {"flow_patches": {"stacking": "trajectory", "patch": [24, 24], "levels": 2}},
    "embedding-unfrozen": {"embedding": {"unfrozen": 1}},
    "embedding_memory-centroids": {"embedding": {"memory": "centroids", "centroids": 3}},
    # A network gives twice 48 numbers, as many as there are of gradients: to the expert they are numbers.
    "appearance-network": {"appearance": {"features": "network", "numbers": 48}},
}
"""Settings under which an expert is another model, by a name that begins with the expert's."""
GAMES = ("prediction-adversarial",)
"""Two players: their gradient is that of no function, so no difference of values agrees with it."""


@pytest.fixture(params=[*sorted(EXPERTS), *OPTIONS])
def name(request):
    return request.param


def expert_of(name):
    torch.manual_seed(0)
    small = SMALL.model_dump(mode="json")
    for section, options in OPTIONS.get(name, {}).items():
        small[section] |= options
    return EXPERTS[name.partition("-")[0]].build(Config.model_validate(small))


def params_of(expert, dtype=torch.float32):
    return {key: tensor.detach().to(dtype).requires_grad_() for key, tensor in expert.named_parameters()}


def moving_pictures(clips, seed=0, ticks=TICKS):
    """B clips of bright squares that move over noise, through the real features."""
    generator = torch.Generator().manual_seed(seed)
    features = features_of(SEEN, ("frames", "flow", *_further()))
    samples = []
    for clip in range(clips):
        noise = torch.rand(48, 64, generator=generator) * 60 + 60
        start = torch.randint(0, 30, (2,), generator=generator)
        frames = []
        for tick in range(ticks):
            picture = noise.clone()
            down, across = int(start[0]), int(start[1]) + 2 * tick
            picture[down : down + 12, across : across + 12] += 100
            frames.append(picture.to(torch.uint8).numpy())
        seconds = torch.arange(ticks).numpy() / 10.0
        rows = {}
        for key, feature in features.items():
            stream = started(feature, seed + clip, ticks)
            rows[key] = torch.stack(
                [torch.from_numpy(stream(frame, time)) for frame, time in zip(frames, seconds, strict=True)]
            ).numpy()
        samples.append(sample_of(features, rows, seconds, seconds))
    return join(samples)


def started(feature, seed, ticks):
    """A stream of the feature, told of a video in which two people walk."""
    with tempfile.TemporaryDirectory() as folder:
        people = [walker(ticks, speed=15 + 5 * seed, beat=1.5), walker(ticks, start=(40, 20), speed=-10, swing=0.3)]
        return feature.of(reading_of(write_people(Path(folder) / "people.npz", people), ticks)).start()


def _further():
    return sorted({feature for expert in EXPERTS.values() for feature in expert.reads} - {"frames", "flow"})


def at_tick(sample, stop):
    """The first ticks alone."""
    cut = {key: tensor[:, :stop] for key, tensor in sample.features.items()}
    known = {key: tensor[:, :stop] for key, tensor in sample.known.items()}
    return Sample(cut, known, sample.seconds[:, :stop])


def test_scores_are_finite_maps_on_the_grid_and_high_is_abnormal_everywhere(name):
    expert, sample = expert_of(name), moving_pictures(3)
    maps = expert.score(sample, expert.condition(sample))
    assert maps.shape == (3, TICKS, 6, 8)
    assert torch.isfinite(maps).all()
    unknown = ~expert.known(sample)
    assert (maps[unknown] == expert.floor).all()


def test_the_empty_support_is_a_support(name):
    expert, sample = expert_of(name), moving_pictures(1)
    memory = expert.condition(sample.select([]))
    assert torch.isfinite(expert.score(sample, memory)).all()
    assert torch.isfinite(expert.loss(sample, memory))


def test_gradients_reach_every_parameter(name):
    expert, sample = expert_of(name), moving_pictures(2)
    loss = expert.loss(sample, expert.condition(sample)) + expert.score(sample, expert.condition(sample)).mean()
    loss.backward()
    untouched = [key for key, tensor in expert.named_parameters() if tensor.grad is None or not tensor.grad.any()]
    assert untouched == []


def test_second_order_agrees_with_finite_differences(name):
    """d/dp of the query loss after one inner step, along a random direction, in float64."""
    if name in GAMES:
        pytest.skip("a game has no objective; tests/experts/test_adversary.py looks at each player")
    expert = expert_of(name).double()
    support, query = (moving_pictures(1, seed).to("cpu", torch.float64) for seed in (1, 2))
    start = params_of(expert, torch.float64)
    sizes = {key: torch.tensor(0.05, dtype=torch.float64) for key in start}

    def objective(params):
        def inner(at, shown):
            return call(expert, at, "loss", shown, call(expert, at, "condition", shown))

        adapted = inner_loop(inner, params, sizes, support, steps=1, order=2)
        return call(expert, adapted, "loss", query, call(expert, adapted, "condition", support))

    generator = torch.Generator().manual_seed(3)
    way = {key: torch.randn(tensor.shape, generator=generator, dtype=torch.float64) for key, tensor in start.items()}
    gradient = torch.autograd.grad(objective(start), list(start.values()), allow_unused=True)
    slope = sum(
        (found * direction).sum().item()
        for found, direction in zip(gradient, way.values(), strict=True)
        if found is not None
    )
    step = 1e-5
    ends = []
    for sign in (1, -1):
        moved = {key: (tensor + sign * step * way[key]).detach().requires_grad_() for key, tensor in start.items()}
        ends.append(objective(moved).item())
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-6)


def test_inner_steps_lower_the_loss(name):
    expert, sample = expert_of(name), moving_pictures(3)
    start = params_of(expert)

    def loss(params, shown):
        return call(expert, params, "loss", shown, call(expert, params, "condition", shown))

    sizes = {key: torch.tensor(0.002) for key in start}
    adapted = inner_loop(loss, start, sizes, sample, steps=8, order=1)
    assert loss(adapted, sample) < loss(start, sample)


def test_one_by_one_is_the_same_as_a_batch(name):
    expert, sample = expert_of(name), moving_pictures(3)
    memory = expert.condition(moving_pictures(2, seed=5))
    together = expert.score(sample, memory)
    alone = torch.cat([expert.score(sample.select([clip]), memory) for clip in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_no_score_depends_on_later_ticks(name):
    expert, sample = expert_of(name), moving_pictures(1)
    memory = expert.condition(moving_pictures(2, seed=5))
    whole = expert.score(sample, memory)
    for stop in range(TICKS - 1, 5, -1):
        torch.testing.assert_close(expert.score(at_tick(sample, stop), memory), whole[:, :stop], rtol=1e-4, atol=1e-4)


def test_what_is_saved_is_what_comes_back(name, tmp_path: Path):
    expert, sample = expert_of(name), moving_pictures(2)
    memory = expert.condition(sample)
    save_file({key: tensor.detach().contiguous() for key, tensor in memory.items()}, tmp_path / "memory.safetensors")
    save_file(expert.state_dict(), tmp_path / "expert.safetensors")
    again = expert_of(name)
    again.load_state_dict(load_file(tmp_path / "expert.safetensors"))
    back = load_file(tmp_path / "memory.safetensors")
    assert torch.equal(again.score(sample, back), expert.score(sample, memory))


def test_unknown_experts_are_named():
    with pytest.raises(ValueError, match="did you mean 'prediction'"):
        build_experts(SMALL.model_copy(update={"experts": ("predicton",)}))
