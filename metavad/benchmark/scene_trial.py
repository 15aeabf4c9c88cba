"""One scene under test: its footage, its frames that count, and where shots come from."""

import hashlib
import time
import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from metavad.benchmark.region_truth import RegionTruth, region_truth_of
from metavad.benchmark.settings import Settings
from metavad.episodes import Shots, draw_shots
from metavad.errors import DataError, FootageWarning
from metavad.features.feature import grid_of
from metavad.features.library import Library, VideoFeatures, features_of, shown_digest, stream
from metavad.features.sample import Sample
from metavad.normality.base import Base
from metavad.recordings import recordings
from metavad.scenes.cache import Store, data_digest
from metavad.scenes.labels import check_rows, frame_labels, unlabelled
from metavad.scenes.scene import Scene, Video
from metavad.scenes.suite import load_suite
from metavad.scenes.video import VideoFacts, read_frames, tick_frames, working_size
from metavad.types import BoolArray, IntArray
from metavad.workflows.suites import generated_suite

__all__ = ["SceneTrial"]

TIMED = 40
"""Ticks on which the cost of decoding and features is measured."""


@dataclass
class SceneTrial:
    """One scene under test; what is read of it is read once, whatever is scored on it."""

    scene: Scene
    scenes: Sequence[Scene]
    """All scenes of the experiment, from which another one is taken."""
    base: Base
    settings: Settings
    store: Store
    folder: Path | None
    _samples: dict[tuple[str, int, int], tuple[Sample, float]] = field(default_factory=dict)

    @cached_property
    def library(self) -> Library:
        """Of the target: only the clips shown are decoded, the test videos' features are cached."""
        return Library([self.scene], self.base.config.data, self.base.features, self.store, whole=False)

    @cached_property
    def other_scene(self) -> Library:
        """Of another scene of the suite with enough footage, else of a generated camera."""
        others = [scene for scene in self.scenes if scene.suite == self.scene.suite and scene.key != self.scene.key]
        start = next((n for n, scene in enumerate(others) if scene.key > self.scene.key), 0)
        for scene in [*others[start:], *others[:start]]:
            library = Library([scene], self.base.config.data, self.base.features, self.store, whole=False)
            if scene.normal and self._enough(library, scene):
                return library
        (scene,) = load_suite(str(generated_suite(1, seed=7919, size="small", test_videos=0))).scenes
        return Library([scene], self.base.config.data, self.base.features, self.store, whole=False)

    def _enough(self, library: Library, scene: Scene) -> bool:
        clips = sum(len(span.clips(self.settings.shot_frames)) for span in library.spans(scene.key))
        return clips >= max(self.settings.shots)

    def resampling(self) -> np.random.Generator:
        """What draws the test videos of every interval: the same ones, whatever else is asked for."""
        return np.random.default_rng([self.settings.seed, zlib.crc32(self.scene.key.encode())])

    def check(self) -> None:
        """Refuse before anything is computed what cannot be done."""
        if not self.scene.test or (self.scene.labels is None and self.scene.pixel_masks is None):
            raise DataError(
                f"{self.scene.key}: expected test videos with labels, found none; adapt and score it instead, or "
                "label them with `metavad data label`"
            )
        check_rows(self.scene)
        if not self.truth:  # reads every label file
            raise DataError(
                f"{self.scene.key}: expected frames to score, found that shots may come from all of them; "
                "shorten normal_frames"
            )
        self._warn_unlabelled()
        self._one_shape()
        if any(self.settings.shots) and self.settings.shows_clips:
            self._one_size()
        for shots in self.settings.shots:
            if shots and self.settings.shows_clips:
                self.shots(shots, 0)

    def _warn_unlabelled(self) -> None:
        """A table leaves out what is normal, and what was forgotten."""
        names = [video.name for video in unlabelled(self.scene)]
        if names:
            which = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
            warnings.warn(
                f"{self.scene.key}: no row of the labels is about {len(names)} of {len(self.scene.test)} test videos "
                f"({which}): they count as normal throughout; if they are, say so with normal_if_missing",
                FootageWarning,
                stacklevel=4,
            )

    def _one_shape(self) -> None:
        """A camera has one shape of picture: maps and tails by place are cells of it."""
        shapes = {self._cells(name): name for name in self.truth}
        if len(shapes) > 1:
            found = [(name, self.facts(name)) for name in list(shapes.values())[:2]]
            shown = " and ".join(f"{facts.width}x{facts.height} in {name}" for name, facts in found)
            raise DataError(
                f"{self.scene.key}: expected test videos of one shape, found {shown}; make a scene of each camera"
            )

    def _one_size(self) -> None:
        """Clips that are shown together have pictures of one size, as `metavad adapt` asks."""
        facts = {video.name: self.library.facts(self.scene.key, "normal", video.name) for video in self.scene.normal}
        sizes = {f"{each.width}x{each.height}": name for name, each in facts.items()}
        if len(sizes) > 1:
            shown = " and ".join(f"{size} in {name}" for size, name in list(sizes.items())[:2])
            raise DataError(
                f"{self.scene.key}: expected normal videos of one size, found {shown}; make a scene of each camera"
            )

    def _cells(self, name: str) -> tuple[int, int]:
        facts, data = self.facts(name), self.base.config.data
        return grid_of(*working_size(facts.height, facts.width, data.short_side), data.rows)

    def shots(self, shots: int, draw: int) -> Shots:
        """The clips of one draw."""
        spans = self.library.spans(self.scene.key)
        return draw_shots(spans, shots, self.settings.shot_frames, self.settings.draw_seed(draw))

    def facts(self, name: str) -> VideoFacts:
        """Length, size and times of a test video."""
        return self.library.facts(self.scene.key, "test", name)

    def ticks(self, name: str) -> IntArray:
        """Frame of the file at each tick of a test video (T,)."""
        return tick_frames(self.facts(name).seconds, self.base.config.data.rate)

    def recordings(self, name: str) -> IntArray:
        """Half-open intervals of ticks (R, 2) of the recordings of a test video."""
        return np.searchsorted(self.ticks(name), recordings(self.facts(name).seconds))

    @cached_property
    def truth(self) -> dict[str, tuple[BoolArray, BoolArray]]:
        """For each test video its labels (T,), and which frames are scored (T,): none that may be shown.

        A video all of which may be shown is left out.
        """
        found = {video.name: self._truth(video) for video in self.scene.test}
        return {name: (labels, counted) for name, (labels, counted) in found.items() if counted.any()}

    def _truth(self, video: Video) -> tuple[BoolArray, BoolArray]:
        frames = self.facts(video.name).frames
        counted = np.ones(frames, dtype=bool)
        shown = self.scene.shown(video)
        if shown is not None:
            counted[shown[0] : shown[1]] = False
        labels = frame_labels(self.scene, video, frames)
        if shown is not None and labels[slice(*shown)].any():
            warnings.warn(
                f"{self.scene.key}: shots may be drawn from what the labels of {video.name} call abnormal; "
                "choose other normal_frames",
                FootageWarning,
                stacklevel=2,
            )
        return labels, counted

    @cached_property
    def labels(self) -> list[BoolArray]:
        """Labels of the frames that count, video by video."""
        return [labels[counted] for labels, counted in self.truth.values()]

    @cached_property
    def regions(self) -> RegionTruth:
        """Where what is abnormal is, as far as anybody drew it."""
        ticks = {name: self.ticks(name) for name in self.truth}
        sizes = {name: (self.facts(name).height, self.facts(name).width) for name in self.truth}
        return region_truth_of(self.scene, self.truth, ticks, self.grid, sizes)

    def support(self, library: Library, shots: int, draw: int) -> tuple[Sample, float]:
        """The clips of one draw of one scene as a sample, and the seconds that decoding them took."""
        key = next(iter(library.scenes)), shots, draw
        if key not in self._samples:
            started = time.perf_counter()
            spans = library.spans(key[0])
            drawn = draw_shots(spans, shots, self.settings.shot_frames, self.settings.draw_seed(draw))
            sample = library.sample(drawn.clips)
            self._samples = {key: (sample, time.perf_counter() - started)} | self._recent()
        return self._samples[key]

    def _recent(self) -> dict[tuple[str, int, int], tuple[Sample, float]]:
        """The last few samples: the same draw of all methods, not all draws of all scenes."""
        return dict(list(self._samples.items())[: 2 * self.settings.draws])

    @cached_property
    def grid(self) -> tuple[int, int]:
        """Cells of this camera's maps."""
        return self._cells(self.scene.test[0].name)

    @cached_property
    def feature_seconds(self) -> float:
        """Seconds that decoding and features take of one frame of the file, measured on the first test video."""
        name = self.scene.test[0].name
        facts, data = self.facts(name), self.base.config.data
        ticks = self.ticks(name)[:TIMED]
        started = time.perf_counter()
        frames = read_frames(self.scene.test[0], short_side=data.short_side, crop=self.scene.crop, every=ticks)
        images = [frame.image for frame in frames]
        for feature in self.library.features.values():
            for _ in stream(feature, images, facts.seconds[ticks].tolist()):
                pass
        return (time.perf_counter() - started) / (int(ticks[-1]) + 1)

    @cached_property
    def digest(self) -> str:
        """Of the footage."""
        return data_digest(self.scene)

    @cached_property
    def shown(self) -> str:
        """Of all that is read of it, and of which videos are the normal ones."""
        return shown_digest(self.scene, self.library.features.values())

    @cached_property
    def other_shown(self) -> str:
        """The same of the other scene."""
        (scene,) = self.other_scene.scenes.values()
        return shown_digest(scene, self.other_scene.features.values())

    @property
    def truth_digest(self) -> str:
        """sha256 over all frame labels that count, 12 digits."""
        summed = hashlib.sha256()
        for labels in self.labels:
            summed.update(labels.tobytes() + b"/")
        return summed.hexdigest()[:12]

    @cached_property
    def moving(self) -> Library:
        """Of the target, with flow, which the baseline needs also where no expert reads it."""
        if "flow" in self.base.experts.reads:
            return self.library
        flow = features_of(self.base.config, ["flow"])
        return Library([self.scene], self.base.config.data, flow, self.store, whole=False)

    def test_features(self, library: Library | None = None) -> Iterable[tuple[str, VideoFeatures]]:
        """Test videos that are scored, with the features of all their ticks."""
        read = library or self.library
        return ((name, read.video_features(self.scene.key, "test", name)) for name in self.truth)
