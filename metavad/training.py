"""From scenes to a base, and from a base and a scene to a detector: what a user calls, end to end."""

import math
import platform
import random
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from metavad.adaptation.detector import Detector, make_detector
from metavad.adaptation.prior import first_weights, fit_prior, halves, windows
from metavad.adaptation.threshold import check_alarms
from metavad.adaptation.weights import Case
from metavad.calibration.tails import BaseTail
from metavad.config import Config, first_difference
from metavad.episodes import Clip, EpisodeSampler, Reel, check_shots, draw_shots
from metavad.errors import BundleError, DataError, FootageWarning, OutputError, UsageError, nearest
from metavad.experts import build_experts
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.features.library import Library
from metavad.features.sample import Sample
from metavad.files import claimed, is_free, write_text
from metavad.meta.base import Base, Control, load_base, save_base
from metavad.meta.checkpoint import TrainingState, latest, load_state, save_state
from metavad.meta.control import choose_step_sizes, joint_train
from metavad.meta.corruption import Corrupter
from metavad.meta.distributed import Group, joined
from metavad.meta.inner import positive
from metavad.meta.log import RunLog, draw_curves
from metavad.meta.train import MetaStep, meta_train
from metavad.progress import SILENT, Progress
from metavad.runs import runs
from metavad.scenes.blank import warn_of_nothing
from metavad.scenes.cache import Store, data_digest
from metavad.scenes.labels import frame_labels
from metavad.scenes.scene import Scene
from metavad.scenes.synthetic import claims_to_be_generated, is_generated
from metavad.threads import one_thread

__all__ = ["adapt", "describe_machine", "device_of", "make_base"]

RUN, BASE = "run.json", "base"
QUICK = 100
"""Outer steps under which a base is for a look only: its tails and step sizes take few scenes and episodes."""
STAGES = {"maml": "meta-training", "control": "joint training, the control"}


@dataclass(frozen=True)
class _Footage:
    """What meta-training draws episodes from."""

    library: Library
    train: Mapping[str, Sequence[Reel]]
    held_out: Mapping[str, Sequence[Reel]]
    abnormal: Mapping[str, Sequence[Reel]]

    @property
    def all(self) -> dict[str, Sequence[Reel]]:
        return {**self.train, **self.held_out}

    @property
    def some(self) -> dict[str, Sequence[Reel]]:
        """A few scenes, where a base is for a look only."""
        return dict(sorted(self.all.items())[:4])


@one_thread()
def adapt(
    base: Base,
    scene: Scene,
    *,
    shots: int = 10,
    shot_frames: int = 16,
    alarms_per_day: float | None = None,
    leave_out: Sequence[int] = (),
    show: Sequence[tuple[str, float]] = (),
    seed: int = 0,
    pictures: bool = True,
    store: Store | None = None,
    progress: Progress = SILENT,
) -> Detector:
    """A detector of one camera from K of its normal clips, drawn by ``seed``.

    ``leave_out`` names drawn clips, from 1, that are not shown after all: those that are not normal. ``show`` names
    moments (video, seconds) around which a clip more is shown: what :func:`~metavad.scoring.checking.check` found
    to alarm though it is normal. Only the clips' frames are decoded. Raises :class:`ShotsError` when the footage
    has fewer distinct clips, :class:`UsageError` for a moment that it does not have.
    """
    alarms = base.config.adaptation.alarms_per_day if alarms_per_day is None else alarms_per_day
    check_shots([shots], shot_frames)
    check_alarms(alarms)
    library = Library([scene], base.config, base.experts.reads, store or Store(), whole=False, progress=progress)
    drawn = draw_shots(library.reels(scene.key), shots, shot_frames, seed).without(leave_out)
    drawn = drawn.also([_around(library, scene, video, second, shot_frames) for video, second in show])
    alarms = base.config.adaptation.alarms_per_day if alarms_per_day is None else alarms_per_day
    detector = make_detector(base, library, scene.key, drawn, alarms_per_day=alarms, pictures=pictures)
    warn_of_nothing(library.glances)
    return detector


def _around(library: Library, scene: Scene, video: str, second: float, length: int) -> Clip:
    """The clip around a moment of a normal video."""
    reel = next((reel for reel in library.reels(scene.key) if reel.video == video), None)
    if reel is None:
        raise UsageError(f"--show {video}@{second:g}: {nearest(video, [each.name for each in scene.normal])}")
    seconds = library.facts(scene.key, reel.side, video).seconds
    begin, end = float(seconds[reel.first]), float(seconds[reel.frames - 1])
    if not begin <= second <= end + 1 / reel.rate:
        raise UsageError(
            f"--show {video}@{second:g}: expected {begin:.1f} to {end:.1f} s of normal footage, found none"
        )
    return reel.around(int(np.searchsorted(seconds, second)), length)


@one_thread()
def make_base(
    scenes: Sequence[Scene],
    config: Config,
    *,
    run: Path,
    seed: int = 0,
    resume: bool = False,
    device: str = "auto",
    store: Store | None = None,
    facts: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
    tensorboard: bool = False,
) -> Base:
    """Meta-train on the normal videos of ``scenes`` and write ``run/base``; every finished stage is kept.

    With ``resume`` a run that was stopped goes on exactly; one that is complete is opened. Under ``torchrun``
    the ranks share the scenes. Each stage logs a line of JSON a step and draws its curves; ``tensorboard`` writes
    events beside them. Raises :class:`OutputError` when ``run`` holds a run and ``resume`` is not set,
    :class:`UsageError` when it is set and there is none, or one that was begun with other settings or footage.
    """
    with joined(device_of(device)) as group, claimed(run) if group.rank == 0 else nullcontext():
        _begin(run, scenes, config, seed, resume=resume, group=group)
        if (run / BASE).is_dir():
            return load_base(run / BASE)
        footage = _footage(scenes, config, store or Store(), seed, progress)
        return _make(footage, config, run, seed, device_of(device), group, dict(facts or {}), progress, tensorboard)


def device_of(name: str) -> str:
    """``auto`` to ``cuda`` where there is a GPU, else ``cpu``; raises :class:`UsageError` where it is not there."""
    there = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device: expected auto, cpu or cuda, found {name!r}")
    if name == "cuda" and not there:
        raise UsageError("--device cuda: expected a GPU that torch can use, found none; use --device cpu or auto")
    return "cuda" if there and name != "cpu" else "cpu"


@one_thread()
def describe_machine(device: str) -> dict[str, Any]:
    """Versions, threads of one computation and device, for records."""
    names = ("torch", "numpy", "opencv-python", "av", "zuko", "scipy")
    versions = {"python": platform.python_version(), **{name: _version(name) for name in names}}
    shown = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()} CPU"
    return {"device": shown, "threads": torch.get_num_threads(), "versions": versions}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _begin(run: Path, scenes: Sequence[Scene], config: Config, seed: int, *, resume: bool, group: Group) -> None:
    """Note what the run is, or check that it is the one to go on with.

    The ranks of torchrun are started again by the command that began them: ``resume`` begins a run as well.
    """
    asked = _Asked(seed=seed, config=config, footage={scene.key: data_digest(scene) for scene in scenes})
    taken = not is_free(run)
    if resume and (run / RUN).is_file():
        _same(run, asked)
    elif resume and (taken or group.size == 1):
        raise UsageError(f"{run}: expected a run to resume, found none; begin one without --resume")
    elif taken:
        raise OutputError(f"{run}: expected a free place for a run, found something; --resume it, or name another")
    elif group.rank == 0:
        write_text(run / RUN, asked.model_dump_json(indent=1))


class _Asked(BaseModel):
    """All that a run follows from."""

    model_config = ConfigDict(extra="forbid")

    seed: int
    config: Config
    footage: dict[str, str]
    """By scene the digest of its videos."""

    @property
    def settings(self) -> dict[str, Any]:
        """All of it under the names that a user gives."""
        return {"seed": self.seed, **self.config.model_dump(mode="json"), "footage": self.footage}


def _same(run: Path, asked: _Asked) -> None:
    """Raises :class:`UsageError` naming the first setting that is another one."""
    try:
        begun = _Asked.model_validate_json((run / RUN).read_bytes())
    except ValidationError:
        raise BundleError(
            f"{run / RUN}: expected what a run was begun with, found a damaged file or one of another version of "
            "metavad; begin a new run with another --out"
        ) from None
    if found := first_difference(begun.settings, asked.settings):
        raise UsageError(
            f"{run}: expected the settings and footage that the run was begun with, found {found}; "
            "resume with the command that began it, or begin a new run with another --out"
        )


def _footage(scenes: Sequence[Scene], config: Config, store: Store, seed: int, progress: Progress) -> _Footage:
    reads = build_experts(config).reads
    library = Library(scenes, config, reads, store, progress=progress)
    usable = [scene for scene in scenes if scene.normal]
    if not usable:
        raise DataError("meta-training: expected scenes with normal videos, found none; choose other --scenes")
    share = config.meta.footage
    reels = {scene.key: [reel.begun(share) for reel in library.reels(scene.key)] for scene in usable}
    abnormal = _abnormal_reels(library, usable)
    every = [reel for each in (*reels.values(), *abnormal.values()) for reel in each]
    with progress.task("Decoding and features", len(every)) as task:
        for reel in every:
            library.track(reel.scene, reel.side, reel.video)
            task.advance(note=reel.scene)
    held = _held_out(sorted(reels), config.meta.validation_scenes, seed)
    train = {key: each for key, each in reels.items() if key not in held}
    return _Footage(library, train, {key: reels[key] for key in held}, abnormal)


def _held_out(keys: Sequence[str], wanted: int, seed: int) -> tuple[str, ...]:
    """Scenes that choose when to stop: never more than a third of all."""
    count = min(wanted, len(keys) // 3)
    return tuple(random.Random(f"validation-{seed}").sample(keys, count))


def _abnormal_reels(library: Library, scenes: Sequence[Scene]) -> dict[str, list[Reel]]:
    """Test videos with their labels, of generated cameras only: those of datasets are for testing."""
    chosen = [scene for scene in scenes if _may_teach(scene)]
    return {
        scene.key: [_labelled(library, scene, reel) for reel in library.reels(scene.key, "test")] for scene in chosen
    }


def _may_teach(scene: Scene) -> bool:
    """Whether the test labels of a scene may be learned from; one that claims to be generated and is not is named."""
    generated = is_generated(scene)
    if scene.test and not generated and claims_to_be_generated(scene.root):
        warnings.warn(
            f"{scene.key}: says that it was generated, but is not what the generator wrote with this cache: its test "
            "labels are not learned from; `metavad data synthesize` with its settings and --out makes sure of it",
            FootageWarning,
            stacklevel=2,
        )
    return generated


def _labelled(library: Library, scene: Scene, reel: Reel) -> Reel:
    labels = frame_labels(scene, library.video(scene.key, "test", reel.video), reel.frames)
    return replace(reel, abnormal=tuple((int(start), int(end)) for start, end in runs(labels)))


def _make(
    footage: _Footage,
    config: Config,
    run: Path,
    seed: int,
    device: str,
    group: Group,
    facts: dict[str, Any],
    progress: Progress,
    tensorboard: bool,
) -> Base:
    started = time.monotonic()
    experts = _fresh_experts(config, seed)
    stage = partial(_stage, footage, config, run, seed, device, group, progress, tensorboard, experts)
    learned, joint = stage("maml"), stage("control")
    params, sizes = _best(learned)
    plain, _ = _best(joint)
    tuning = _sampler(footage.all, config, seed + 2, 5)
    plain_sizes = choose_step_sizes(
        experts,
        plain,
        tuning,
        footage.library.sample,
        steps=config.adaptation.steps,
        count=min(6, len(footage.all)),
        names=tuple(sizes),
        progress=progress,
    )
    facts |= {
        "scenes": sorted(footage.all),
        "held_out": sorted(footage.held_out),
        "seed": seed,
        "steps": {"maml": learned.step, "control": joint.step},
        "validation": {} if learned.best is None else learned.best.losses,
        "seconds": round(time.monotonic() - started, 1),
        **describe_machine(device),
    }
    first, also_first = ({name: BaseTail.unit() for name in config.experts} for _ in range(2))
    control = Control(plain, plain_sizes, also_first)
    base = Base(config, params, sizes, first, first_weights(experts), control, facts)
    cases = partial(_cases, footage, config, seed + 3) if footage.abnormal else None
    base = fit_prior(base, footage.all, footage.library.sample, cases=cases, seed=seed, progress=progress)
    if group.rank == 0:
        save_base(run / BASE, base)
    return base


def _cases(footage: _Footage, config: Config, seed: int, shots: int) -> list[Case]:
    """Cameras after K shots, labelled by tick: generated ones with their anomalies, others with normal life."""
    generated = [_generated(footage, scene, config, seed, shots) for scene in sorted(footage.abnormal)]
    plain = [_plain(footage, scene, config, seed, shots) for scene in sorted(set(footage.all) - set(footage.abnormal))]
    return [*generated, *plain]


def _generated(footage: _Footage, scene: str, config: Config, seed: int, shots: int) -> Case:
    library = footage.library
    support = _support(library, scene, footage.all[scene], config, seed, shots)
    videos = []
    for reel in footage.abnormal[scene]:
        track = library.track(scene, "test", reel.video)
        labels = torch.tensor([any(start <= frame < end for start, end in reel.abnormal) for frame in track.frames])
        videos.append((library.part(track, 0, len(track)), labels))
    return Case(support, shots, tuple(videos))


def _plain(footage: _Footage, scene: str, config: Config, seed: int, shots: int) -> Case:
    """Shots of one half of a camera's normal footage, windows of the other."""
    shown, other = halves(footage.all[scene], seed % 2)
    support = _support(footage.library, scene, shown, config, seed, shots)
    clips = windows(other, config.prior.windows, config.prior.seconds)
    samples = [footage.library.sample([clip]) for clip in clips]
    return Case(support, shots, tuple((each, torch.zeros(each.seconds.shape[1], dtype=torch.bool)) for each in samples))


def _support(library: Library, scene: str, reels: Sequence[Reel], config: Config, seed: int, shots: int) -> Sample:
    """At most K shots: fewer where the footage has fewer distinct clips."""
    length = config.data.clip_frames
    count = min(shots, sum(len(reel.clips(length)) for reel in reels))
    return library.sample(draw_shots(reels, count, length, seed).clips) if count else library.nothing(scene)


def _fresh_experts(config: Config, seed: int) -> ExpertSet:
    """Random weights by ``seed``, whatever the state of the global generator, which stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(seed)
        return build_experts(config)


def _sampler(reels: Mapping[str, Sequence[Reel]], config: Config, seed: int, shots: int) -> EpisodeSampler:
    """Episodes with exactly so many shots."""
    settings, length = config.meta, config.data.clip_frames
    return EpisodeSampler(
        reels, seed=seed, shots=(shots, shots), queries=settings.queries, length=length, gap=settings.gap
    )


def _stage(
    footage: _Footage,
    config: Config,
    run: Path,
    seed: int,
    device: str,
    group: Group,
    progress: Progress,
    tensorboard: bool,
    experts: ExpertSet,
    name: str,
) -> TrainingState:
    """Meta-training or its control, from its last state on; gives the last state."""
    folder = run / name
    newest = latest(folder)
    state = None if newest is None else load_state(newest)
    steps = config.meta.outer_steps if name == "maml" else config.meta.control_steps
    if state is not None and state.step >= steps:
        return state
    make = partial(meta_train, corrupt=_corrupter(footage, config)) if name == "maml" else joint_train
    training = make(
        experts,
        _episodes(footage.train, footage.abnormal if config.meta.separation else {}, config, seed),
        footage.library.sample,
        config,
        validation=_episodes(footage.held_out, {}, config, seed + 1) if footage.held_out else None,
        resume=state,
        seed=seed,
        device=device,
        group=group,
    )
    return _descend(training, folder, name, steps, config, group, state, progress, tensorboard)


def _descend(
    training: Iterator[MetaStep],
    folder: Path,
    name: str,
    steps: int,
    config: Config,
    group: Group,
    state: TrainingState | None,
    progress: Progress,
    tensorboard: bool,
) -> TrainingState:
    done = 0 if state is None else state.step
    with progress.task(STAGES[name].capitalize(), steps) as task, _log(folder, done, group, tensorboard) as write:
        task.advance(done)
        for step in training:
            task.advance(note=f"loss {step.loss:.3f}")
            write(step)
            if step.step % config.meta.validate_every == 0 or step.step == steps:
                state = step.state()
                if group.rank == 0:
                    save_state(folder, state)
    if state is None:
        raise UsageError(f"meta.{'outer' if name == 'maml' else 'control'}_steps: expected at least 1, found {steps}")
    return state


@contextmanager
def _log(folder: Path, done: int, group: Group, tensorboard: bool) -> Iterator[Callable[[MetaStep], None]]:
    """A line of JSON for every step, and once all are taken their curves; steps that are taken again count once."""
    if group.rank != 0:
        yield lambda step: None
        return
    with RunLog(folder, done=done, tensorboard=tensorboard) as log:
        yield log.write
    draw_curves(folder)


def _episodes(
    reels: Mapping[str, Sequence[Reel]], abnormal: Mapping[str, Sequence[Reel]], config: Config, seed: int
) -> EpisodeSampler:
    settings = config.meta
    return EpisodeSampler(
        reels,
        seed=seed,
        shots=settings.shots,
        queries=settings.queries,
        length=config.data.clip_frames,
        gap=settings.gap,
        abnormal=abnormal,
        weighting=settings.weighting,
    )


def _corrupter(footage: _Footage, config: Config) -> Corrupter | None:
    """Pseudo-abnormal clips of training cameras, where the settings ask for them."""
    if not (config.meta.separation and config.meta.corruptions):
        return None
    return Corrupter(footage.library, footage.train, config.meta.corruptions)


def _best(state: TrainingState) -> tuple[Parameters, Parameters]:
    """Parameters and step sizes where each expert's validation loss was lowest, else the last ones."""
    params, free = dict(state.params), dict(state.free)
    if state.best is not None and all(math.isfinite(loss) for loss in state.best.losses.values()):
        params |= state.best.params
        free |= state.best.free
    sizes = {name: tensor.detach() for name, tensor in positive(free).items()}
    return {name: tensor.detach() for name, tensor in params.items()}, sizes
