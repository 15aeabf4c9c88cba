"""Tiny smooth experts, scenes and a training program for the tests of metavad.meta.

As a program it trains in a folder, so that tests can kill it and run it on several ranks.
"""

import hashlib
import json
import os
import signal
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import ClassVar

import torch
from torch import Tensor, nn

from metavad.config import Config, load_config
from metavad.episodes import Clip, EpisodeSampler, VideoSpan
from metavad.experts.base import Expert, Memory
from metavad.experts.set import ExpertSet
from metavad.features.sample import Sample, join
from metavad.meta.checkpoint import TrainingState, latest, load_state, save_state
from metavad.meta.distributed import joined
from metavad.meta.train import meta_train

SIZES = {"hall": (6, 8), "lane": (6, 8), "yard": (6, 8), "dock": (8, 6), "pier": (6, 8)}


class Toy(Expert):
    """Experts without settings."""

    @classmethod
    def build(cls, config: Config) -> "Toy":
        return cls()


class Foresight(Toy):
    """A convolution that predicts the next small frame; no memory."""

    name: ClassVar[str] = "foresight"
    reads: ClassVar[tuple[str, ...]] = ("frames",)

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.GroupNorm(2, 4)
        self.leave = nn.Conv2d(4, 1, 3, padding=1)

    def condition(self, support: Sample) -> Memory:
        return {}

    def errors(self, sample: Sample) -> Tensor:
        frames = sample["frames"]
        before = frames[:, :-1].flatten(0, 1)[:, None]
        after = self.leave(nn.functional.silu(self.norm(self.enter(before))))
        known = sample.known["frames"][:, 1:, None, None]
        return (after[:, 0].reshape(frames[:, 1:].shape) - frames[:, 1:]) * known

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        return self.errors(sample).square().mean()

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        return nn.functional.pad(self.errors(sample).square(), (0, 0, 0, 0, 1, 0))


class Level(Toy):
    """A Gaussian of the speed at each place, from what was shown there and a learned prior; has memory."""

    name: ClassVar[str] = "level"
    reads: ClassVar[tuple[str, ...]] = ("speed",)

    def __init__(self) -> None:
        super().__init__()
        self.prior = nn.Parameter(torch.tensor(0.3))
        self.strength = nn.Parameter(torch.tensor(0.1))
        self.net = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 2))

    def condition(self, support: Sample) -> Memory:
        known = support.known["speed"].to(support["speed"])[:, :, None, None]
        weight = self.strength.exp()
        shown = (support["speed"] * known).sum((0, 1)) + weight * self.prior
        return {"mean": shown / (known.sum((0, 1)) + weight)}

    def surprise(self, sample: Sample, memory: Memory) -> Tensor:
        rows = torch.linspace(-1, 1, memory["mean"].shape[0]).to(memory["mean"])
        context = torch.stack([memory["mean"], rows[:, None].expand_as(memory["mean"])], dim=-1)
        shift, scale = self.net(context).unbind(-1)
        away = (sample["speed"] - memory["mean"] - shift) * torch.exp(-scale)
        return 0.5 * away.square() + scale

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        known = sample.known["speed"].to(sample["speed"])[:, :, None, None]
        return (self.surprise(sample, memory) * known).mean()

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        return self.surprise(sample, memory)


class Recurrent(Toy):
    """A hand-made recurrent cell over the mean speed; no convolution, no memory."""

    name: ClassVar[str] = "recurrent"
    reads: ClassVar[tuple[str, ...]] = ("speed",)

    def __init__(self) -> None:
        super().__init__()
        self.state = nn.Linear(4, 4)
        self.read = nn.Linear(1, 4)
        self.say = nn.Linear(4, 1)

    def condition(self, support: Sample) -> Memory:
        return {}

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        speed = sample["speed"].mean((-1, -2))[..., None]
        hidden, terms = torch.zeros_like(speed[:, 0]).repeat(1, 4), []
        for tick in range(speed.shape[1] - 1):
            hidden = torch.tanh(self.state(hidden) + self.read(speed[:, tick]))
            terms.append((self.say(hidden) - speed[:, tick + 1]).square().mean())
        return torch.stack(terms).mean()

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        return sample["speed"]


def toy_experts(kinds: Sequence[type[Toy]] = (Foresight, Level), seed: int = 0) -> ExpertSet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ExpertSet([kind() for kind in kinds])


def resolve(clips: Sequence[Clip], dtype: torch.dtype = torch.float64) -> Sample:
    """Deterministic tensors: every scene has its own drift and speed; abnormal clips are faster."""
    return join([_clip(clip, dtype) for clip in clips])


def _clip(clip: Clip, dtype: torch.dtype) -> Sample:
    key = zlib.crc32(f"{clip.scene} {clip.video} {clip.first} {clip.side}".encode())
    generator = torch.Generator().manual_seed(key)
    height, width = SIZES[clip.scene]
    own = 0.2 + zlib.crc32(clip.scene.encode()) % 97 / 97
    ticks = clip.length
    noise = torch.randn(ticks, height, width, generator=generator, dtype=dtype)
    rows = torch.linspace(0, own * 3, height, dtype=dtype)[:, None] + torch.arange(ticks).to(dtype)[:, None, None]
    frames = torch.sin(own * rows) + 0.1 * noise
    speed = own + (2.0 if clip.side == "abnormal" else 0.0) + 0.3 * noise.flip(0)
    known = torch.ones(1, ticks, dtype=torch.bool)
    features = {"frames": frames[None], "speed": speed[None]}
    return Sample(features, {"frames": known, "speed": known}, torch.arange(ticks).to(dtype)[None] / 10)


def sampler(
    seed: int = 0, scenes: Sequence[str] = ("hall", "lane", "yard", "dock"), **changes: object
) -> EpisodeSampler:
    options: dict = {"shots": (1, 3), "queries": 2, "length": 4, "gap": 0.2} | changes
    spans = {
        scene: [VideoSpan(scene, f"{part:02d}", 60, 10.0, tuple(range(60))) for part in range(2)] for scene in scenes
    }
    abnormal = {
        scene: [VideoSpan(scene, "bad", 40, 10.0, tuple(range(40)), side="abnormal", abnormal=((10, 20),))]
        for scene in scenes
    }
    return EpisodeSampler(spans, seed=seed, abnormal=abnormal, **options)


def toy_config(*overrides: str) -> Config:
    base = [
        "meta.outer_steps=6",
        "meta.zero_shot=0",
        "meta.scenes_per_step=2",
        "meta.step_size=0.05",
        "meta.learning_rate=0.01",
    ]
    more = ["meta.validate_every=3", "meta.validation_episodes=2", "meta.before_every=2"]
    return load_config("default", [*base, *more, *overrides])


def train_in(folder: Path, *overrides: str, dtype: torch.dtype = torch.float32) -> None:
    """Train with a state after every step, going on where a killed run stopped; leaves ``digest.json``."""
    torch.set_num_threads(1)
    with joined() as group:
        found = latest(folder)
        state = None if found is None else load_state(found)
        run = meta_train(
            toy_experts().to(dtype), sampler(), resolve, toy_config(*overrides),
            validation=sampler(1, ["pier"]), resume=state, group=group,
        )  # fmt: skip
        for step in run:
            state = step.state()
            if group.rank == 0:
                save_state(folder, state)
            if (folder / "kill").exists() and group.rank == 1 and step.step == 3:
                (folder / "kill").rename(folder / "killed")
                os.kill(os.getpid(), signal.SIGKILL)
        if group.rank == 0 and state is not None:
            (folder / "digest.json").write_text(json.dumps({"digest": whole_digest(state), "step": state.step}))


def digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, shapes and bytes: equal only where every bit is."""
    summed = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        summed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        summed.update(tensor.numpy().tobytes())
    return summed.hexdigest()


def whole_digest(state: TrainingState) -> str:
    """Of everything that the next step depends on."""
    kinds = ("params", "free", "moments")
    return digest({f"{kind}/{name}": part for kind in kinds for name, part in getattr(state, kind).items()})


def die_at(function: str, occurrence: int) -> None:
    """kill -9 this process when a function of metavad (``*``: any) is called for the n-th time."""
    left = occurrence

    def watch(frame: FrameType, event: str, _: object) -> None:
        nonlocal left
        if event == "call" and function in ("*", frame.f_code.co_name) and "/metavad/" in frame.f_code.co_filename:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)


def warm() -> None:
    """Load what torch loads at its first step, once, before processes are forked."""
    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)]).step()


def forked(work: Callable[[], None]) -> int:
    """Run in a child of its own; its exit status, minus nine when it was killed."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_and_resumed(folder: Path, kills: Sequence[tuple[str, int]]) -> list[int]:
    """One life a kill, then one to the end; the exit statuses."""

    def life(kill: tuple[str, int] | None) -> None:
        if kill is not None:
            die_at(*kill)
        train_in(folder)

    return [forked(lambda kill=kill: life(kill)) for kill in (*kills, None)]


def ranks(folder: Path, size: int, port: int) -> None:
    """What torchrun does, without its seconds of start: children that find their rank in the environment."""
    folder.mkdir(parents=True, exist_ok=True)
    children = []
    for rank in range(size):
        child = os.fork()
        if child == 0:
            os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            train_in(folder, dtype=torch.float64)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    warm()
    command, place, *rest = sys.argv[1:]
    if command == "train":
        train_in(Path(place), *rest)
    elif command == "torchrun":
        train_in(Path(place), *rest, dtype=torch.float64)
    elif command == "ranks":
        for size, name, port in json.loads(rest[0]):
            ranks(Path(place) / name, size, port)
    else:
        for name, kills in json.loads(rest[0]).items():
            (Path(place) / name).mkdir(parents=True)
            statuses = killed_and_resumed(Path(place) / name, kills)
            (Path(place) / name / "statuses.json").write_text(json.dumps(statuses))
