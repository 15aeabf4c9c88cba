"""Meta-training, end to end: from scenes to a base, in a folder that a stopped run goes on in."""

import math
import random
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from metavad.arguments import checked
from metavad.config import Config, first_difference
from metavad.episodes import EpisodeSampler, VideoSpan, draw_shots
from metavad.errors import BundleError, DataError, FootageWarning, OutputError, UsageError
from metavad.experts import build_experts, with_plugin_settings
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.features.library import Library, features_of, shown_digest
from metavad.features.sample import Sample
from metavad.files import claimed, is_free, write_text
from metavad.meta.checkpoint import TrainingState, latest, load_state, save_state
from metavad.meta.control import choose_step_sizes, joint_train
from metavad.meta.corruption import Corrupter
from metavad.meta.distributed import Group, joined
from metavad.meta.inner import positive
from metavad.meta.log import RunLog, draw_curves
from metavad.meta.train import MetaStep
from metavad.meta.train import meta_train as train
from metavad.normality.base import Base, Control, ExpertPopulation, load_base, save_base
from metavad.normality.distribution import PopulationScores
from metavad.normality.fusion import Case
from metavad.normality.population import fit_population, halves, initial_weights, windows
from metavad.progress import SILENT, Progress
from metavad.runs import runs
from metavad.scenes.cache import Store
from metavad.scenes.labels import frame_labels
from metavad.scenes.scene import Scene
from metavad.synthetic import claims_to_be_generated, is_generated
from metavad.threads import one_thread
from metavad.workflows.machine import describe_machine, device_of

__all__ = ["Run", "meta_train"]

RUN, BASE = "run.json", "base"
Stage = Literal["maml", "control"]
STAGES: dict[Stage, str] = {"maml": "Meta-training", "control": "Joint training, the control"}
TUNING_SHOTS = 5
"""K at which the control's step sizes are chosen."""


@checked
@one_thread()
def meta_train(
    scenes: Sequence[Scene],
    config: Config,
    *,
    run: str | Path,
    seed: int = 0,
    resume: bool = False,
    device: str = "auto",
    store: Store | None = None,
    facts: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
    tensorboard: bool = False,
) -> Base:
    """Meta-train on the normal videos of ``scenes``, and write the base to ``run/base``; every finished stage is kept.

    Under ``torchrun`` the ranks share the scenes. Each stage logs a line of JSON a step and draws its curves.

    Args:
        scenes: the cameras.
        config: the settings: of :func:`metavad.load_config`.
        run: the folder of the run, a new one.
        seed: of initialisation, episodes and the scenes that choose when to stop.
        resume: a run that was stopped goes on exactly; one that is complete is opened.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        store: the cache of decoded and derived arrays; by default the one that ``METAVAD_CACHE`` or the system names.
        facts: what else the base is to say of how it was made.
        progress: is told how far the work is; silent by default.
        tensorboard: write events for TensorBoard beside the logs.

    Raises:
        OutputError: ``run`` holds a run and ``resume`` is not set, or another process works on it.
        UsageError: ``resume`` without a run, or one that was begun with other settings or footage; no such device.
        DataError: no scene with normal videos, or videos too short for a clip.
        BundleError: ``resume`` with a state that is damaged or of another version.
        NonFiniteError: training gave NaN or infinity; the last good state is kept.
    """
    run, config = Path(run), with_plugin_settings(config)
    with joined(device_of(device)) as group, claimed(run) if group.rank == 0 else nullcontext():
        _begin(run, scenes, config, seed, resume=resume, group=group)
        if (run / BASE).is_dir():
            return load_base(run / BASE)
        footage = training_footage(scenes, config, store or Store(), seed, progress)
        going = Run(run, config, seed, footage, device_of(device), group, progress, tensorboard=tensorboard)
        return going.base(dict(facts or {}))


@dataclass(frozen=True)
class TrainingFootage:
    """What meta-training draws episodes from: spans of videos by scene."""

    library: Library
    train: Mapping[str, Sequence[VideoSpan]]
    held_out: Mapping[str, Sequence[VideoSpan]]
    """Of scenes that choose when to stop."""
    abnormal: Mapping[str, Sequence[VideoSpan]]
    """Labelled test videos of generated cameras."""

    @property
    def all(self) -> dict[str, Sequence[VideoSpan]]:
        """Normal videos of every scene."""
        return {**self.train, **self.held_out}


@dataclass(frozen=True)
class Run:
    """One meta-training under way: what was asked for, and the folder in which its stages are kept."""

    folder: Path
    config: Config
    seed: int
    footage: TrainingFootage
    device: str
    group: Group
    progress: Progress = SILENT
    tensorboard: bool = False

    def base(self, facts: Mapping[str, Any]) -> Base:
        """All stages, each from its last state on, then the population; written by the first rank."""
        started = time.monotonic()
        experts = fresh_experts(self.config, self.seed)
        learned, joint = self.stage("maml", experts), self.stage("control", experts)
        params, sizes = best(learned)
        control = self._control(experts, joint, tuple(sizes))
        noted = {
            **facts,
            "scenes": sorted(self.footage.all),
            "held_out": sorted(self.footage.held_out),
            "seed": self.seed,
            "steps": {"maml": learned.step, "control": joint.step},
            "validation": {} if learned.best is None else learned.best.losses,
            "seconds": round(time.monotonic() - started, 1),
            **describe_machine(self.device),
        }
        unit = {name: ExpertPopulation() for name in self.config.experts}
        weights, frames = initial_weights(experts), PopulationScores.unit()
        base = Base(self.config, params, sizes, experts.kept_buffers, unit, frames, weights, control, noted)
        base = self._with_population(base)
        if self.group.rank == 0:
            save_base(self.folder / BASE, base)
        return base

    def stage(self, name: Stage, experts: ExpertSet) -> TrainingState:
        """Meta-training or its control, from its last state on; gives the last state."""
        newest = latest(self.folder / name)
        state = None if newest is None else load_state(newest)
        meta, footage = self.config.meta, self.footage
        steps = meta.outer_steps if name == "maml" else meta.control_steps
        if state is not None and state.step >= steps:
            return state
        make = partial(train, corrupt=self._corrupter()) if name == "maml" else joint_train
        training = make(
            experts,
            self._episodes(footage.train, footage.abnormal if meta.separation else {}, self.seed),
            footage.library.sample,
            self.config,
            validation=self._episodes(footage.held_out, {}, self.seed + 1) if footage.held_out else None,
            resume=state,
            seed=self.seed,
            device=self.device,
            group=self.group,
        )
        return self._descend(training, name, steps, state)

    def _control(self, experts: ExpertSet, joint: TrainingState, names: Sequence[str]) -> Control:
        """The jointly trained experts, with the step sizes that fine-tune them best on training scenes."""
        params, _ = best(joint)
        settings, length = self.config.meta, self.config.data.clip_frames
        tuning = EpisodeSampler(
            self.footage.all,
            seed=self.seed + 2,
            shots=(TUNING_SHOTS, TUNING_SHOTS),
            queries=settings.queries,
            length=length,
        )
        sizes = choose_step_sizes(
            experts,
            params,
            tuning,
            self.footage.library.sample,
            steps=settings.inner_steps,
            count=min(6, len(self.footage.all)),
            names=names,
            progress=self.progress,
        )
        return Control(params, sizes, {name: ExpertPopulation() for name in self.config.experts})

    def _with_population(self, base: Base) -> Base:
        footage = self.footage
        cases = self.cases if footage.abnormal else None
        grids = {scene: footage.library.grid(scene) for scene in footage.all}
        sample = footage.library.sample
        return fit_population(base, footage.all, grids, sample, cases=cases, seed=self.seed, progress=self.progress)

    def _descend(
        self, training: Iterator[MetaStep], name: Stage, steps: int, state: TrainingState | None
    ) -> TrainingState:
        folder, done = self.folder / name, 0 if state is None else state.step
        with self.progress.task(STAGES[name], steps) as task, self._log(folder, done) as write:
            task.advance(done)
            for step in training:
                task.advance(note=f"loss {step.loss:.3f}")
                write(step)
                if step.step % self.config.meta.validate_every == 0 or step.step == steps:
                    state = step.state()
                    if self.group.rank == 0:
                        save_state(folder, state)
        if state is None:
            which = "outer" if name == "maml" else "control"
            raise UsageError(f"meta.{which}_steps: expected at least 1, found {steps}")
        return state

    @contextmanager
    def _log(self, folder: Path, done: int) -> Iterator[Callable[[MetaStep], None]]:
        """A line of JSON for every step, and once all are taken their curves; steps taken again count once."""
        if self.group.rank != 0:
            yield lambda step: None
            return
        with RunLog(folder, done=done, tensorboard=self.tensorboard) as log:
            yield log.write
        draw_curves(folder)

    def _episodes(
        self, spans: Mapping[str, Sequence[VideoSpan]], abnormal: Mapping[str, Sequence[VideoSpan]], seed: int
    ) -> EpisodeSampler:
        settings = self.config.meta
        return EpisodeSampler(
            spans,
            seed=seed,
            shots=settings.shots,
            queries=settings.queries,
            length=self.config.data.clip_frames,
            abnormal=abnormal,
        )

    def _corrupter(self) -> Corrupter | None:
        """Pseudo-abnormal clips of training cameras, where the settings ask for them."""
        settings = self.config.meta
        if not (settings.separation and settings.corruptions):
            return None
        return Corrupter(self.footage.library, self.footage.train, settings.corruptions)

    def cases(self, shots: int) -> list[Case]:
        """Cameras after K shots, labelled by tick: generated ones with their anomalies, others with normal life."""
        generated = sorted(self.footage.abnormal)
        plain = sorted(set(self.footage.all) - set(generated))
        return [*(self._labelled_case(scene, shots) for scene in generated), *(self._plain(s, shots) for s in plain)]

    def _labelled_case(self, scene: str, shots: int) -> Case:
        library = self.footage.library
        videos = []
        for span in self.footage.abnormal[scene]:
            features = library.video_features(scene, "test", span.video)
            labels = [any(start <= frame < end for start, end in span.abnormal) for frame in features.frames]
            videos.append((library.part(features, 0, len(features)), torch.tensor(labels)))
        return self._case(scene, self.footage.all[scene], shots, videos)

    def _plain(self, scene: str, shots: int) -> Case:
        """Shots of one half of a camera's normal footage, windows of the other."""
        shown, other = halves(self.footage.all[scene], (self.seed + 3) % 2)
        settings = self.config.population
        samples = [self.footage.library.sample([clip]) for clip in windows(other, settings.windows, settings.seconds)]
        videos = [(each, torch.zeros(each.seconds.shape[1], dtype=torch.bool)) for each in samples]
        return self._case(scene, shown, shots, videos)

    def _case(
        self, scene: str, spans: Sequence[VideoSpan], shots: int, videos: Sequence[tuple[Sample, torch.Tensor]]
    ) -> Case:
        """After at most K shots: fewer where the footage has fewer distinct clips."""
        library, length = self.footage.library, self.config.data.clip_frames
        count = min(shots, sum(len(span.clips(length)) for span in spans))
        drawn = draw_shots(spans, count, length, self.seed + 3).clips if count else ()
        support = library.sample(drawn) if drawn else library.nothing(scene)
        return Case(support, library.grid(scene), shots, tuple(videos))


def _begin(run: Path, scenes: Sequence[Scene], config: Config, seed: int, *, resume: bool, group: Group) -> None:
    """Note what the run is, or check that it is the one to go on with.

    The ranks of torchrun are started again by the command that began them: ``resume`` begins a run as well.
    """
    asked = _Asked(seed=seed, config=config, footage={scene.key: shown_digest(scene) for scene in scenes})
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


def training_footage(
    scenes: Sequence[Scene], config: Config, store: Store, seed: int, progress: Progress
) -> TrainingFootage:
    """Of these scenes; every feature is computed, or found in the cache."""
    features = features_of(config, build_experts(config).reads)
    library = Library(scenes, config.data, features, store, progress=progress)
    usable = [scene for scene in scenes if scene.normal]
    if not usable:
        raise DataError("meta-training: expected scenes with normal videos, found none; choose other --scenes")
    share = config.meta.footage
    spans = {scene.key: [span.begun(share) for span in library.spans(scene.key)] for scene in usable}
    abnormal = _abnormal_spans(library, usable)
    every = [span for each in (*spans.values(), *abnormal.values()) for span in each]
    with progress.task("Decoding and features", len(every)) as task:
        for span in every:
            library.video_features(span.scene, span.side, span.video)
            task.advance(note=span.scene)
    held = _held_out(sorted(spans), config.meta.validation_scenes, seed)
    train = {key: each for key, each in spans.items() if key not in held}
    return TrainingFootage(library, train, {key: spans[key] for key in held}, abnormal)


def _held_out(keys: Sequence[str], wanted: int, seed: int) -> tuple[str, ...]:
    """Scenes that choose when to stop: never more than a third of all."""
    count = min(wanted, len(keys) // 3)
    return tuple(random.Random(f"validation-{seed}").sample(keys, count))


def _abnormal_spans(library: Library, scenes: Sequence[Scene]) -> dict[str, list[VideoSpan]]:
    """Test videos with their labels, of generated cameras only: those of datasets are for testing."""
    chosen = [scene for scene in scenes if _may_teach(scene)]
    return {
        scene.key: [_labelled(library, scene, span) for span in library.spans(scene.key, "test")] for scene in chosen
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


def _labelled(library: Library, scene: Scene, span: VideoSpan) -> VideoSpan:
    labels = frame_labels(scene, library.video(scene.key, "test", span.video), span.frames)
    return replace(span, abnormal=tuple((int(start), int(end)) for start, end in runs(labels)))


def fresh_experts(config: Config, seed: int) -> ExpertSet:
    """Random weights by ``seed``, whatever the state of the global generator, which stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(seed)
        return build_experts(config)


def best(state: TrainingState) -> tuple[Parameters, Parameters]:
    """Parameters and step sizes where each expert's validation loss was lowest, else the last ones."""
    params, free = dict(state.params), dict(state.free)
    if state.best is not None and all(math.isfinite(loss) for loss in state.best.losses.values()):
        params |= state.best.params
        free |= state.best.free
    sizes = {name: tensor.detach() for name, tensor in positive(free).items()}
    return {name: tensor.detach() for name, tensor in params.items()}, sizes
