"""The detector of one camera, as one folder on disk."""

import math
import shutil
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from metavad.arguments import checked
from metavad.bundle import (
    Bundle,
    Kind,
    bundle_digest,
    check_tensors,
    damaged,
    facts_as,
    flattened,
    grouped,
    load_bundle,
    save_bundle,
    save_facts,
)
from metavad.config import Config
from metavad.episodes import Clip
from metavad.errors import OutputError
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet, under
from metavad.features.feature import Feature, grid_of
from metavad.features.footage import Camera, Footage
from metavad.features.library import blank_sample, features_of
from metavad.features.stored import StoredClip, stored_tensors, unstored
from metavad.files import claimed
from metavad.normality.base import Base, known_experts
from metavad.normality.calibration import Calibration
from metavad.normality.confirmed import ConfirmedEvent
from metavad.normality.distribution import LEVELS, PopulationScores, ScoreDistribution, levels
from metavad.normality.likeness import Likeness, Pattern, View
from metavad.normality.memory_bank import NOVELTY, MemoryBank, Scale, bank_feature
from metavad.normality.model import SceneModel, SupportScores
from metavad.normality.own_footage import OwnFootage, window_seconds
from metavad.normality.regimes import LIGHT, Light, Regime
from metavad.normality.threshold import Promise, calibrated_threshold, promise_of_threshold
from metavad.normality.versions import (
    Version,
    VersionKind,
    current,
    current_folder,
    history,
    place_of,
    pointed,
    version_of_now,
)
from metavad.runs import runs
from metavad.scenes.video import working_size
from metavad.types import BoolArray

__all__ = ["Detector", "load_detector", "make_detector", "save_detector", "save_threshold", "save_version"]

KIND = Kind(
    "detector",
    "a detector",
    version=8,
    make="make one with `metavad adapt`",
    mend="make it again with `metavad adapt`",
    gaps=("support", "own"),
)


_NO_PROMISE = Promise(1.0, False, "")


@dataclass(frozen=True)
class Detector:
    """A scene model, its threshold, and what it was shown. A value: methods give another one.

    :func:`metavad.adapt` makes one, :func:`metavad.load_detector` opens one.
    """

    model: SceneModel
    """What scores."""
    threshold: float
    """Frame score (weighted nats) over which an alarm is raised."""
    promise: Promise
    """How many false alarms a day that may cost."""
    camera: Camera
    """Size of the pictures, frames a second, and what is cropped."""
    scene: str
    """The camera's name."""
    shots: tuple[Clip, ...]
    """The K clips that were shown."""
    began: tuple[float, ...]
    """Seconds in its video at which each shot begins."""
    independent: int
    """Shots that share no frame with an earlier one."""
    base: str
    """Digest of the base."""
    config: Config
    """The base's settings."""
    normal_ticks: int = 0
    """Ticks of normal footage of other cameras that the base knows."""
    own: OwnFootage = field(default_factory=OwnFootage)
    """This camera's normal footage beside the shots; empty where there was none."""
    pictures: tuple[bytes, ...] = ()
    """A small JPEG of the middle of each shot."""
    stored: tuple[StoredClip, ...] | None = None
    """The shots as they are stored, for :func:`metavad.feedback` to add to; none where no pictures are kept."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """By video of the shots, and of its own footage, a digest of its content, where it is known."""
    corrections: tuple[int, ...] = ()
    """Numbers, from 0, of shots that were shown because somebody said that an alarm was normal."""
    confirmed: tuple[ConfirmedEvent, ...] = ()
    """Events that are never taken as normal."""
    regimes: tuple[Regime, ...] = ()
    """Lights of its normal footage beside the shots, that with the most footage first; empty where there was little."""
    bank: MemoryBank | None = None
    """What its own normal footage shows at each place, for what lasts; none where there is less than an hour of it."""
    is_chosen: bool = False
    """Whether somebody chose the threshold itself, and not a rate of alarms."""

    def on(self, device: str | None) -> Self:
        """The same whose experts compute elsewhere.

        Args:
            device: such as ``"cuda"``; the CPU where none is named.
        """
        return replace(self, model=self.model.on(device))

    def with_alarms_per_day(self, alarms_per_day: float) -> Self:
        """The same with the threshold of another rate.

        Args:
            alarms_per_day: false alarms a day that the threshold may cost.

        Raises:
            UsageError: a rate that nobody can promise.
        """
        threshold, promise = calibrated_threshold(self.model, self.own, alarms_per_day, normal_ticks=self.normal_ticks)
        return replace(self, threshold=threshold, promise=promise, is_chosen=False)

    def with_threshold(self, threshold: float) -> Self:
        """The same with a threshold of one's own choice, and what that promises.

        Args:
            threshold: frame score (weighted nats) over which an alarm is raised.
        """
        promise = promise_of_threshold(self.model, self.own, threshold, normal_ticks=self.normal_ticks)
        return replace(self, threshold=threshold, promise=promise, is_chosen=True)

    def with_footage(self, own: OwnFootage) -> Self:
        """The same with a threshold from the camera's own footage, where that is enough for one; one that was chosen
        stays.

        Args:
            own: what its normal footage scored; :func:`metavad.calibrate` gathers it.
        """
        bank = None if self.bank is None else self.bank.leaving_out(own, window_seconds(self.model))
        found = replace(self, own=own, bank=bank)
        if self.is_chosen:
            return found.with_threshold(self.threshold)
        return found.with_alarms_per_day(self.promise.alarms_per_day)

    def ignoring(self, cells: BoolArray) -> Self:
        """The same, for which nothing that happens in some cells counts: scores are as high or lower.

        Threshold, promise and digest stay; it is no part of what is saved.

        Args:
            cells: (h, w) of ``grid``, true where nothing counts.
        """
        bank = None if self.bank is None else self.bank.ignoring(cells)
        return replace(self, model=replace(self.model, ignored=torch.from_numpy(cells)), bank=bank)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns (h, w) of its maps."""
        return next(iter(self.model.calibrations.values())).grid

    @cached_property
    def digest(self) -> str:
        """sha256 of everything that is kept of it: tensors, threshold, promise, settings, pictures."""
        return bundle_digest(KIND, _bundle(self))

    @cached_property
    def scores_digest(self) -> str:
        """sha256 of what its scores depend on, and of what is kept of its shots.

        The same over any threshold, and whatever is left out of its memory bank.
        """
        bank = None if self.bank is None else replace(self.bank, left_out=())
        return replace(self, threshold=0.0, promise=_NO_PROMISE, own=OwnFootage(), is_chosen=False, bank=bank).digest

    def lasts(self, number: int) -> float:
        """Seconds of a shot.

        Args:
            number: of the shot, from 0. One of a correction may be of a video with another frame rate.
        """
        if number in self.corrections and self.stored is not None and len(self.stored[number].seconds) > 1:
            seconds = self.stored[number].seconds
            return float(seconds[-1] - seconds[0]) * len(seconds) / (len(seconds) - 1)
        return self.shots[number].length / self.camera.fps

    def was_shown(self, video: str, frame: int) -> bool:
        """Whether a frame was in one of the shots.

        Args:
            video: name of a normal video of the camera.
            frame: number of the frame in it, from 0.
        """
        spans = self._spans.get(video, [])
        place = bisect_right(spans, (frame, math.inf)) - 1
        return place >= 0 and frame < spans[place][1]

    @cached_property
    def _spans(self) -> dict[str, list[tuple[int, float]]]:
        """By video the frames [first, end) of the shots, ascending; of those that begin alike or overlap, one."""
        found: dict[str, list[tuple[int, float]]] = {}
        for clip in sorted(self.shots):
            spans = found.setdefault(clip.video, [])
            if spans and clip.first <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(spans[-1][1], clip.end)
            else:
                spans.append((clip.first, clip.end))
        return found


def make_detector(base: Base, model: SceneModel, footage: Footage, *, alarms_per_day: float) -> Detector:
    """The detector of a scene model that was fitted on this footage."""
    ticks = int(base.facts.get("normal_ticks", 0))
    threshold, promise = calibrated_threshold(model, OwnFootage(), alarms_per_day, normal_ticks=ticks)
    shots = footage.shots
    return Detector(
        model,
        threshold,
        promise,
        footage.camera,
        footage.scene,
        shots.clips,
        footage.began,
        shots.independent,
        base.digest,
        base.config,
        ticks,
        pictures=footage.thumbnails,
        stored=footage.stored,
        sources=footage.sources,
    )


@checked
def save_detector(folder: str | Path, detector: Detector) -> None:
    """Write a detector into a new folder: tensors, facts and pictures; whole or not at all.

    Args:
        folder: must not be there yet, or be empty.
        detector: what to write.

    Raises:
        OutputError: the folder holds something; nothing was changed.
        FullDiskError: no room; nothing half-written stays.
        NonFiniteError: a detector that holds NaN or infinity.
    """
    save_bundle(Path(folder), KIND, _bundle(detector))


@checked
def save_threshold(folder: str | Path, detector: Detector, *, of: str | None = None) -> None:
    """Write the threshold of a detector, and what is said of its footage, into its newest version, in one step.

    ``of`` is as in :func:`save_version`. Raises :class:`BundleError` where the folder holds another detector, and
    :class:`OutputError` where somebody has changed it meanwhile.
    """
    folder = Path(folder)
    with claimed(folder, wait=True):
        _stop_if_changed(folder, of)
        save_facts(current_folder(folder), KIND, _bundle(detector))


@checked
def save_version(
    folder: str | Path, detector: Detector, kind: VersionKind = "normal", about: str = "", *, of: str | None = None
) -> Version:
    """Write a new version of a detector beside the earlier ones, and make it the one that is used.

    Whenever this is stopped, the folder holds a whole detector: the earlier version, or the new one.

    Args:
        folder: as :func:`metavad.save_detector` or ``metavad adapt`` wrote it.
        detector: the new version, as :func:`metavad.feedback` gives it.
        kind: what it was made for: ``"normal"`` or ``"abnormal"``.
        about: of what, for people.
        of: digest of the version that it was made of, which must be the one in use still: else two corrections at once
            would make the second one forget the first. Without it whatever is in use counts as that version.

    Raises:
        BundleError: it cannot be told which versions there are.
        NonFiniteError: the detector holds NaN or infinity.
        OutputError: the folder takes no files, or somebody has changed the detector meanwhile; nothing was changed.
    """
    folder = Path(folder)
    with claimed(folder, wait=True):
        _stop_if_changed(folder, of)
        known = history(folder)
        version = version_of_now(len(known) + 1, kind, about, current(folder))
        place = place_of(folder, version.number)
        shutil.rmtree(place, ignore_errors=True)  # of a writer that was killed before it was named
        save_bundle(place, KIND, _bundle(detector))
        pointed(folder, (*known, version), version.number)
    return version


def _stop_if_changed(folder: Path, of: str | None) -> None:
    if of is not None and load_detector(folder).digest != of:
        raise OutputError(
            f"{folder}: expected the version that was read to be in use still, found that somebody has changed the "
            "detector meanwhile; nothing was changed; say it again"
        )


@checked
def load_detector(folder: str | Path, *, version: int | None = None) -> Detector:
    """Open a detector.

    Args:
        folder: as :func:`metavad.save_detector` or ``metavad adapt`` wrote it.
        version: its number, from 1; without it the one that is in use.

    Raises:
        BundleError: it is missing, damaged, of another format, or needs an expert of a package that is not installed.
    """
    folder = current_folder(Path(folder)) if version is None else place_of(Path(folder), version)
    bundle = load_bundle(folder, KIND)
    noted = facts_as(folder, KIND, bundle, _Facts)
    groups = grouped(folder, KIND, bundle.tensors, _GROUPS)
    experts = known_experts(folder, KIND, noted.config, groups["buffers"])
    _check(folder, noted, experts, groups)
    pictures = tuple(bundle.files[name] for name in sorted(bundle.files, key=lambda name: (len(name), name)))
    if len(pictures) not in (0, len(noted.shots)):
        raise damaged(folder, KIND, f"{len(pictures)} pictures of {len(noted.shots)} shots")
    likeness = _likeness(noted, groups["likeness"])
    return Detector(
        replace(_model(noted, experts, groups), likeness=likeness),
        noted.threshold,
        noted.promise,
        noted.camera,
        noted.scene,
        noted.shots,
        noted.began,
        noted.independent,
        noted.base,
        noted.config,
        noted.normal_ticks,
        _own(noted, groups["own"]),
        pictures,
        _clips(folder, "shown", groups["shown"], len(noted.shots)) if noted.keeps_clips else None,
        noted.sources,
        noted.corrections,
        _confirmed(folder, noted, groups, likeness),
        noted.regimes,
        _bank(noted.bank, groups["bank"]),
        noted.is_chosen,
    )


_Size = Annotated[float, Field(ge=0)]


class _CalibrationFacts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    offset: float
    is_active: bool


class _ConfirmedFacts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    video: str
    source: str
    start: float
    end: float
    score: float
    boost: _Size
    seen: tuple[float, float] | None = None
    light: Annotated[Light, Field(min_length=LIGHT, max_length=LIGHT)] | None = None
    is_lasting: bool = True


_Windows = Annotated[int, Field(ge=0)]


class _BankFacts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    origins: tuple[tuple[str, float], ...] = Field(min_length=1)
    left_out: tuple[Annotated[int, Field(ge=0)], ...]
    scale: Scale | None

    @model_validator(mode="after")
    def _of_these_pictures(self) -> Self:
        if max(self.left_out, default=-1) >= len(self.origins):
            raise ValueError(f"expected what is left out to be among {len(self.origins)} pictures")
        return self


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    scene: str
    base: str
    threshold: float
    promise: Promise
    camera: Camera
    shots: tuple[Clip, ...]
    began: tuple[Annotated[float, Field(ge=0)], ...]
    independent: Annotated[int, Field(ge=0)]
    sample_size: _Size
    held_out_size: _Size
    calibrations: dict[str, _CalibrationFacts]
    config: Config
    normal_ticks: Annotated[int, Field(ge=0)]
    own_videos: tuple[str, ...]
    own_normal: tuple[tuple[_Windows, _Windows], ...]
    own_left_out: tuple[tuple[_Windows, _Windows], ...]
    own_is_earlier: bool
    keeps_clips: bool
    sources: dict[str, str]
    corrections: tuple[Annotated[int, Field(ge=0)], ...]
    compared: tuple[str, ...]
    confirmed: tuple[_ConfirmedFacts, ...]
    regimes: tuple[Regime, ...] = ()
    own_regimes: tuple[tuple[tuple[_Windows, _Windows], ...], ...] = ()
    """Windows of each regime but the first."""
    bank: _BankFacts | None = None
    is_chosen: bool = False

    @model_validator(mode="after")
    def _of_these_shots(self) -> Self:
        shots = len(self.shots)
        if any(clip.first < 0 or clip.length < 1 for clip in self.shots):
            raise ValueError("expected shots of frames from 0 on")
        if len(self.began) != shots:
            raise ValueError(f"expected the second at which each of {shots} shots begins, found {len(self.began)}")
        if self.independent > shots or max(self.sample_size, self.held_out_size) > shots + 1e-6:
            raise ValueError(f"expected {shots} shots to count for at most {shots}")
        if max(self.corrections, default=-1) >= shots:
            raise ValueError(f"expected corrections to be among {shots} shots")
        if len(self.own_regimes) != max(0, len(self.regimes) - 1):
            raise ValueError(f"expected the windows of {len(self.regimes)} regimes, found those of others")
        if any(len(regime.light) != LIGHT or min(regime.body, regime.scale) <= 0 for regime in self.regimes):
            raise ValueError(f"expected regimes with {LIGHT} numbers of light, and scales above 0")
        if set(self.calibrations) != set(self.config.experts):
            raise ValueError("expected a calibration of each expert")
        return self


_GROUPS = (
    *("params", "buffers", "memory", "population", "locations", "weights", "frames", "support", "own"),
    *("shown", "likeness", "confirmed", "bank"),
)


def _bundle(detector: Detector) -> Bundle:
    model = detector.model
    facts = _Facts(
        scene=detector.scene,
        base=detector.base,
        threshold=detector.threshold,
        promise=detector.promise,
        camera=detector.camera,
        shots=detector.shots,
        began=detector.began,
        independent=detector.independent,
        sample_size=model.support.sample_size,
        held_out_size=model.support.held_out_size,
        calibrations={
            name: _CalibrationFacts(offset=each.offset, is_active=each.is_active)
            for name, each in model.calibrations.items()
        },
        config=detector.config,
        normal_ticks=detector.normal_ticks,
        own_videos=detector.own.videos,
        own_normal=_intervals(detector.own.ruling > 0),
        own_left_out=_intervals(detector.own.ruling < 0),
        own_is_earlier=detector.own.is_earlier,
        keeps_clips=detector.stored is not None,
        sources=dict(detector.sources),
        corrections=detector.corrections,
        compared=model.likeness.view.names,
        confirmed=tuple(_ConfirmedFacts(boost=each.pattern.boost, **_of_event(each)) for each in detector.confirmed),
        regimes=detector.regimes,
        own_regimes=tuple(_intervals(detector.own.regime == number) for number in range(1, len(detector.regimes))),
        bank=None if detector.bank is None else _of_bank(detector.bank),
        is_chosen=detector.is_chosen,
    )
    pictures = {f"pictures/{number:03d}.jpg": picture for number, picture in enumerate(detector.pictures)}
    return Bundle(_flat(detector), _dumped(facts), pictures)


def _dumped(facts: _Facts) -> dict[str, Any]:
    """As JSON has it, without what was added to format 8 where it is as it always was: a digest stays what it is."""
    found: dict[str, Any] = facts.model_dump(mode="json")
    for noted in (found, *found["confirmed"]):
        for name, usual in (("is_chosen", False), ("seen", None), ("light", None), ("is_lasting", True)):
            if noted.get(name, usual) == usual:
                noted.pop(name, None)
    return found


def _of_bank(bank: MemoryBank) -> _BankFacts:
    return _BankFacts(origins=bank.origins, left_out=bank.left_out, scale=bank.scale)


def _bank(noted: _BankFacts | None, tensors: Mapping[str, Tensor]) -> MemoryBank | None:
    return None if noted is None else MemoryBank(tensors["rows"], noted.origins, noted.scale, noted.left_out)


_NOTED = ("name", "video", "source", "start", "end", "score", "seen", "light", "is_lasting")
"""What is noted of a confirmed event under its own name."""


def _of_event(event: ConfirmedEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in _NOTED}


def _flat(detector: Detector) -> dict[str, Tensor]:
    model, own, names = detector.model, detector.own, detector.model.experts.reads
    clips = [event.clip for event in detector.confirmed if event.clip is not None]
    each = model.calibrations.items()
    population = {f"{name}.scores": one.population.values for name, one in each}
    parts: list[Mapping[str, Tensor]] = [
        model.params,
        model.experts.kept_buffers,
        model.memory,
        population | {f"{name}.frames": one.frames.values for name, one in each},
        {name: one.location.surprises for name, one in each},
        {name: one.weight for name, one in each},
        {"sample_sizes": model.frames.sample_sizes, "values": model.frames.scores},
        {"frames": model.support.frames},
        {name: torch.from_numpy(np.ascontiguousarray(getattr(own, name))) for name in _OWN},
        {} if detector.stored is None else stored_tensors(detector.stored, names),
        _likeness_tensors(detector),
        stored_tensors(clips, _kept_rows(detector, clips)) if clips else {},
        {} if detector.bank is None else {"rows": detector.bank.rows},
    ]
    found = flattened(dict(zip(_GROUPS, parts, strict=True)))
    return {name: tensor.cpu() for name, tensor in found.items()}


def _kept_rows(detector: Detector, clips: Sequence[StoredClip]) -> tuple[str, ...]:
    """What is kept of confirmed events: what the experts read, and what the memory bank does where all have it."""
    names = tuple(detector.model.experts.reads)
    is_kept = detector.bank is not None and all(NOVELTY in clip.rows for clip in clips)
    return (*names, NOVELTY) if is_kept else names


def _bank_rows(count: int, size: tuple[int, int]) -> Tensor:
    return _like(count, *bank_feature(size).shape(*size)).to(torch.int8)


_OWN = {"video": torch.int64, "starts": torch.float64, "peaks": torch.float32, "novelty": torch.float32}


def _likeness_tensors(detector: Detector) -> dict[str, Tensor]:
    view = detector.model.likeness.view
    found = {name: each for name in ("background", "scale") if (each := getattr(view, name)) is not None}
    for number, event in enumerate(detector.confirmed):
        pattern = event.pattern
        parts = {"values": pattern.values, "places": pattern.places, "radii": pattern.radii, "cells": event.cells}
        found |= {f"{number:04d}.{name}": each for name, each in parts.items()}
    return found


def _likeness(noted: _Facts, tensors: Mapping[str, Tensor]) -> Likeness:
    view = View(noted.compared, tensors.get("background"), tensors.get("scale"))
    patterns = []
    for number, each in enumerate(noted.confirmed):
        values, places, radii = (tensors[f"{number:04d}.{part}"] for part in ("values", "places", "radii"))
        patterns.append(Pattern(values, places, radii, each.boost))
    return Likeness(view, tuple(patterns))


def _confirmed(
    folder: Path, noted: _Facts, groups: Mapping[str, Parameters], likeness: Likeness
) -> tuple[ConfirmedEvent, ...]:
    count = len(noted.confirmed)
    clips: Sequence[StoredClip | None] = [None] * count
    if noted.keeps_clips and count:
        clips = _clips(folder, "confirmed", groups["confirmed"], count)
    cells = [groups["likeness"][f"{number:04d}.cells"] for number in range(count)]
    return tuple(
        ConfirmedEvent(pattern=pattern, cells=at, clip=clip, **{name: getattr(each, name) for name in _NOTED})
        for each, pattern, at, clip in zip(noted.confirmed, likeness.patterns, cells, clips, strict=True)
    )


def _clips(folder: Path, group: str, tensors: Mapping[str, Tensor], count: int) -> tuple[StoredClip, ...]:
    try:
        found = unstored(tensors)
    except ValueError as error:
        raise damaged(folder, KIND, f"{group}/ticks has {error}") from None
    if len(found) != count:
        raise damaged(folder, KIND, f"{group}/ticks has {len(found)} clips of {count}")
    return found


def _own(noted: _Facts, tensors: Mapping[str, Tensor]) -> OwnFootage:
    ruling = np.zeros(len(tensors["peaks"]), np.int8)
    for intervals, value in ((noted.own_normal, 1), (noted.own_left_out, -1)):
        for start, end in intervals:
            ruling[start:end] = value
    video, starts, peaks, novelty = (tensors[name].numpy() for name in _OWN)
    regime = np.zeros(len(peaks), np.int64)
    for number, windows in enumerate(noted.own_regimes, 1):
        for start, end in windows:
            regime[start:end] = number
    return OwnFootage(noted.own_videos, video, starts, peaks, ruling, noted.own_is_earlier, regime, novelty)


def _intervals(flags: BoolArray) -> tuple[tuple[int, int], ...]:
    return tuple((start, end) for start, end in runs(flags).tolist())


def _model(noted: _Facts, experts: ExpertSet, groups: Mapping[str, Parameters]) -> SceneModel:
    known = levels()
    calibrations = {
        name: Calibration(
            ScoreDistribution(groups["population"][f"{name}.scores"], known),
            ScoreDistribution(known, groups["locations"][name]),
            ScoreDistribution(groups["population"][f"{name}.frames"], known),
            each.offset,
            groups["weights"][name],
            each.is_active,
        )
        for name, each in noted.calibrations.items()
    }
    frames = PopulationScores(groups["frames"]["sample_sizes"], groups["frames"]["values"])
    support = SupportScores(len(noted.shots), noted.sample_size, noted.held_out_size, groups["support"]["frames"])
    config = noted.config
    return SceneModel(
        experts, groups["params"], groups["memory"], calibrations, frames, support, config.scoring, config.data.rate
    )


def _check(folder: Path, noted: _Facts, experts: ExpertSet, groups: Mapping[str, Parameters]) -> None:
    """Every tensor is what the settings, the camera and the shots say."""
    names = noted.config.experts
    size = working_size(noted.camera.height, noted.camera.width, noted.config.data.short_side)
    ticks = [*groups["support"].get("frames", torch.zeros(0)).shape[1:2], 1][0]
    tables = [f"{name}.{kind}" for name in names for kind in ("scores", "frames")]
    windows = groups["own"].get("video", torch.zeros(0)).numel()
    rows = len(groups["frames"].get("sample_sizes", ()))
    each: dict[str, Mapping[str, Tensor]] = {
        "params": dict(experts.named_parameters()),
        "population": {table: _like(LEVELS) for table in tables},
        "locations": {name: _like(LEVELS, *grid_of(*size, noted.config.data.rows)) for name in names},
        "weights": {name: _like() for name in names},
        "frames": {"sample_sizes": PopulationScores.unit().sample_sizes.repeat(rows), "values": _like(rows, LEVELS)},
        "support": {"frames": _like(len(noted.shots), ticks)},
        "own": {name: _like(windows).to(kind) for name, kind in _OWN.items()},
        "bank": {} if noted.bank is None else {"rows": _bank_rows(len(noted.bank.origins), size)},
    }
    for group, wanted in each.items():
        check_tensors(folder, KIND, group, groups[group], wanted)
    video = groups["own"]["video"]
    if len(video) and not 0 <= int(video.min()) <= int(video.max()) < len(noted.own_videos):
        raise damaged(folder, KIND, "own/video names a video that is not there")
    if not rows:
        raise damaged(folder, KIND, "frames/values has no rows")
    features = features_of(noted.config, experts.reads)
    shown = [blank_sample(features, size, count) for count in (1, 2)]
    with torch.no_grad():
        none, one = (
            under(experts, groups["params"], ExpertSet.condition, sample) for sample in (shown[0].select([]), shown[1])
        )
    check_tensors(folder, KIND, "memory", groups["memory"], none, one)
    _check_clips(folder, noted, experts, groups, size)


def _check_clips(
    folder: Path, noted: _Facts, experts: ExpertSet, groups: Mapping[str, Parameters], size: tuple[int, int]
) -> None:
    """What is kept of clips is what the features make of pictures of this size."""
    features = features_of(noted.config, experts.reads)
    kept = {"shown": len(noted.shots) if noted.keeps_clips else None}
    kept["confirmed"] = len(noted.confirmed) if noted.keeps_clips and noted.confirmed else None
    for group, count in kept.items():
        read = dict(features)
        if group == "confirmed" and noted.bank is not None and f"rows.{NOVELTY}" in groups[group]:
            read[NOVELTY] = bank_feature(size)
        one, two = (
            stored_tensors([_blank_clip(read, size, ticks)] * ticks, tuple(read))
            if count
            else stored_tensors([], experts.reads)
            if count == 0
            else {}
            for ticks in (1, 2)
        )
        check_tensors(folder, KIND, group, groups[group], one, two)
    blank, grid = blank_sample(features, size), grid_of(*size, noted.config.data.rows)
    if unknown := [name for name in noted.compared if name not in features or not features[name].picture]:
        raise damaged(folder, KIND, f"compared: {unknown[0]} is no picture")
    channels = View(noted.compared).described(blank, grid).shape[-1] if noted.compared else 0
    examples = []
    for count in (1, 2):
        each = {"scale": _like(channels)} if noted.compared else {}
        if "frames" in noted.compared:
            each["background"] = _like(*blank["frames"].shape[-2:])
        for number in range(len(noted.confirmed)):
            each[f"{number:04d}.values"] = _like(count, channels)
            each[f"{number:04d}.places"] = _like(count, 2).to(torch.int64)
            each[f"{number:04d}.radii"] = _like(count)
            each[f"{number:04d}.cells"] = _like(count, 3).to(torch.int64)
        examples.append(each)
    check_tensors(folder, KIND, "likeness", groups["likeness"], *examples)


def _blank_clip(features: Mapping[str, Feature], size: tuple[int, int], ticks: int) -> StoredClip:
    rows = {name: np.zeros((ticks, *feature.shape(*size)), np.uint8) for name, feature in features.items()}
    looks = dict.fromkeys(range(ticks), b"-" * ticks) if any(each.frames_kept for each in features.values()) else {}
    return StoredClip(rows, np.zeros(ticks), looks)


def _like(*shape: int) -> Tensor:
    return torch.empty(*shape, device="meta") if shape else torch.empty((), device="meta")
