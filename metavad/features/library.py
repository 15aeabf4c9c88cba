"""Clip references to samples: decoding, features and their cache in one place."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from metavad.config import Config, DataConfig
from metavad.episodes import Clip, VideoSpan
from metavad.errors import ConfigError, VideoError, nearest
from metavad.features.embeddings import EmbeddingsFeature
from metavad.features.feature import Feature, Reading, grid_of
from metavad.features.flow import FlowFeature, FlowFieldFeature
from metavad.features.frames import FramesFeature
from metavad.features.patches import PatchesFeature
from metavad.features.poses import PosesFeature
from metavad.features.regions import RegionsFeature
from metavad.features.sample import Sample, gathered, join
from metavad.features.stored import StoredClip
from metavad.progress import SILENT, Progress
from metavad.recordings import recordings
from metavad.scenes.cache import Store, content_key, data_digest, ticks_key, video_facts, working_frames
from metavad.scenes.keypoints import keypoints_file
from metavad.scenes.scene import Scene, Video
from metavad.scenes.video import Frame, VideoFacts, read_frames, tick_frames, working_size
from metavad.scenes.video.black_or_frozen import Glance, Glancing
from metavad.types import ByteArray, FloatArray, IntArray

__all__ = [
    "Library",
    "VideoFeatures",
    "blank_sample",
    "features_of",
    "recorded",
    "sample_of",
    "sample_of_stored",
    "shown_digest",
    "side_by_side",
    "stream",
    "stretches",
]

Found = TypeVar("Found")
Item = TypeVar("Item")


def features_of(config: Config, names: Sequence[str], device: str | None = None) -> dict[str, Feature]:
    """The features of these names with the config's settings; raises :class:`ConfigError` on an unknown name.

    ``device`` is where the network of ``patches`` computes; by default a GPU where there is one.
    """
    makers: dict[str, Callable[[], Feature]] = {
        "flow": lambda: FlowFeature(config.data.rows, config.flow),
        "flow_field": lambda: _flow_field(config),
        "embeddings": lambda: EmbeddingsFeature(config.embedding),
        "frames": lambda: FramesFeature(config.prediction.short_side),
        "patches": lambda: PatchesFeature(config.patches, device),
        "poses": lambda: PosesFeature(config.pose),
        "regions": lambda: RegionsFeature(config.regions, config.flow, config.appearance),
    }
    if unknown := [name for name in names if name not in makers]:
        raise ConfigError(f"reads: unknown feature {unknown[0]!r}; {nearest(unknown[0], makers)}")
    return {name: makers[name]() for name in names}


def _flow_field(config: Config) -> FlowFieldFeature:
    both = config.flow_patches.stacking == "bidirectional"
    return FlowFieldFeature(config.data.rate, config.data.rows, both=both, settings=config.flow)


@dataclass(frozen=True)
class VideoFeatures:
    """The features of all ticks of one video."""

    frames: IntArray
    """Frame of the file at each tick (T,)."""
    seconds: FloatArray
    """Time of each tick in the file (T,)."""
    rows: dict[str, np.ndarray]
    """Of each feature, by name, as stored (T, ...)."""
    recordings: IntArray
    """Half-open intervals (R, 2) of each recording's ticks."""

    def __len__(self) -> int:
        return len(self.frames)

    def begun(self, start: int, stop: int) -> FloatArray:
        """Of the ticks [start, stop), the seconds since their recording began (T,)."""
        first = self.recordings[:, 0]
        ticks = np.arange(start, stop)
        return np.asarray(self.seconds[ticks] - self.seconds[first[np.searchsorted(first, ticks, side="right") - 1]])


class Library:
    """Everything that experts read of a set of scenes.

    With ``whole`` (training, benchmarks) a video's features are computed once for all its ticks and cached on
    disk; without (adapting to one camera) only the clips asked for are decoded.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        data: DataConfig,
        features: Mapping[str, Feature],
        store: Store,
        *,
        whole: bool = True,
        progress: Progress = SILENT,
    ) -> None:
        self.scenes = {scene.key: scene for scene in scenes}
        self.features = dict(features)
        self._data, self._store, self._whole, self._progress = data, store, whole, progress
        self.glances: dict[tuple[str, float], Glance] = {}
        """What clips showed that were decoded by themselves, by video and seconds."""
        self._facts: dict[tuple[str, str, str], VideoFacts] = {}
        self._videos: dict[tuple[str, str, str], VideoFeatures] = {}

    def video(self, scene: str, side: str, name: str) -> Video:
        """The video of this name on the ``normal`` or ``test`` side."""
        videos: Sequence[Video] = getattr(self.scenes[scene], side)
        return next(video for video in videos if video.name == name)

    def facts(self, scene: str, side: str, name: str) -> VideoFacts:
        """Length, size and times of a video, read once."""
        key = (scene, side, name)
        if key not in self._facts:
            self._facts[key] = video_facts(self._store, self.video(*key), self.scenes[scene].crop)
        return self._facts[key]

    def spans(self, scene: str, side: str = "normal") -> list[VideoSpan]:
        """What the episode sampler must know of a scene's videos."""
        span = self.scenes[scene].normal_frames if side == "normal" else None
        return [self._span_of(scene, side, video.name, span) for video in getattr(self.scenes[scene], side)]

    def video_features(self, scene: str, side: str, name: str) -> VideoFeatures:
        """All ticks of one video, from the cache or computed now."""
        key = (scene, side, name)
        if key not in self._videos:
            self._videos[key] = self._compute(*key)
        return self._videos[key]

    def sample(self, clips: Sequence[Clip], stored: Sequence[StoredClip] | None = None) -> Sample:
        """The clips of one scene as one sample (B = clips, T ticks); decoded unless they are ``stored`` already."""
        if self._whole:
            return join([replace(self._clip(clip), origins=self._origin(clip)) for clip in clips])
        each = self.stored(clips) if stored is None else stored
        return sample_of_stored(self.features, each, [self._origin(clip) for clip in clips])

    def stored(self, clips: Sequence[Clip]) -> tuple[StoredClip, ...]:
        """The clips of one scene as they are stored, decoded side by side; none where whole videos are kept."""
        found = {} if self._whole else self._read(clips)
        return tuple(found[clip] for clip in clips if clip in found)

    def nothing(self, scene: str, side: str = "normal") -> Sample:
        """A sample of no clip (B = 0) with this camera's shapes: what zero-shot is shown."""
        return blank_sample(self.features, self._size(self._first(scene, side))).select([])

    def grid(self, scene: str, side: str = "normal") -> tuple[int, int]:
        """Cells (h, w) of a camera's score maps, by its first video."""
        return self.grid_of(self._first(scene, side))

    def grid_of(self, facts: VideoFacts) -> tuple[int, int]:
        """Cells (h, w) of the score maps of one video."""
        return grid_of(*self._size(facts), self._data.rows)

    def _first(self, scene: str, side: str) -> VideoFacts:
        return self.facts(scene, side, getattr(self.scenes[scene], side)[0].name)

    def _size(self, facts: VideoFacts) -> tuple[int, int]:
        """Height and width of the working pictures."""
        return working_size(facts.height, facts.width, self._data.short_side)

    def part(self, features: VideoFeatures, start: int, stop: int, *, fresh: bool = False) -> Sample:
        """Ticks [start, stop) of a video as a sample of one clip; ``fresh``: nothing before ``start`` is known."""
        rows = {name: rows[start:stop] for name, rows in features.rows.items()}
        seconds = features.seconds[start:stop] - features.seconds[start]
        begun = features.begun(start, stop)
        return sample_of(self.features, rows, seconds, np.minimum(begun, seconds) if fresh else begun, over=fresh)

    def pictures(self, clip: Clip) -> tuple[list[ByteArray], IntArray]:
        """Working frames (H, W) of a clip's ticks, and the ticks' frame numbers."""
        ticks = self._ticks(clip)
        return [frame.image for frame in self._working(clip, ticks)], ticks

    def of_pictures(self, clip: Clip, pictures: Sequence[ByteArray], ticks: IntArray) -> Sample:
        """A sample of one clip that shows these pictures at its ticks, its own or changed ones."""
        rows = _Rows(self.features, self._reading(clip.scene, clip.side, clip.video, ticks))
        for picture in pictures:
            rows.add(picture)
        return sample_of(self.features, rows.stacked(), rows.seconds, rows.seconds)

    def _span_of(self, scene: str, side: str, name: str, span: tuple[int, int] | None) -> VideoSpan:
        facts = self.facts(scene, side, name)
        first, last = span or (0, facts.frames)
        ticks = tick_frames(facts.seconds, self._data.rate)
        parts = tuple(recordings(facts.seconds)[:, 0].tolist())
        return VideoSpan(scene, name, min(last, facts.frames), facts.rate, tuple(ticks.tolist()), first, side, parts)

    def _origin(self, clip: Clip) -> Tensor:
        facts = self.facts(clip.scene, clip.side, clip.video)
        videos = [video.name for video in getattr(self.scenes[clip.scene], clip.side)]
        return torch.tensor([[float(videos.index(clip.video)), float(facts.seconds[clip.first])]])

    def _clip(self, clip: Clip) -> Sample:
        facts = self.facts(clip.scene, clip.side, clip.video)
        ticks = tick_frames(facts.seconds, self._data.rate)
        inside = np.flatnonzero((ticks >= clip.first) & (ticks < clip.end))
        if self._whole and clip.first in ticks and len(inside) > _SHORT:
            features = self.video_features(clip.scene, clip.side, clip.video)
            return self.part(features, int(inside[0]), int(inside[-1]) + 1, fresh=True)
        return self.of_pictures(clip, *self.pictures(clip))

    def _reading(self, scene: str, side: str, name: str, ticks: IntArray) -> Reading:
        key = (scene, side, name)
        return Reading(self.video(*key), self.facts(*key), self.scenes[scene].crop, ticks)

    def _ticks(self, clip: Clip) -> IntArray:
        """The ticks' frame numbers; of a clip too short for more, its first and last frame."""
        facts = self.facts(clip.scene, clip.side, clip.video)
        ticks = clip.first + tick_frames(facts.seconds[clip.first : clip.end], self._data.rate)
        return np.unique([clip.first, clip.end - 1]) if len(ticks) <= _SHORT else ticks

    def _working(self, clip: Clip, frames: Sequence[int] | IntArray) -> Iterator[Frame]:
        """Working frames of these numbers of the clip's video."""
        video, crop = self.video(clip.scene, clip.side, clip.video), self.scenes[clip.scene].crop
        return read_frames(video, short_side=self._data.short_side, crop=crop, every=frames)

    def _read(self, clips: Sequence[Clip]) -> dict[Clip, StoredClip]:
        """Every clip as it is stored: neighbours are decoded in one go, and some goes side by side."""
        found: dict[Clip, StoredClip] = {}
        looks = max(1, LOOKS // len(clips)) if clips else 0
        with self._progress.task("Reading clips", len(clips)) as task:

            def read(stretch: Sequence[Clip]) -> None:
                found.update(self._stretch(stretch, looks))
                task.advance(len(stretch), note=stretch[0].video)

            side_by_side(read, stretches(clips))
        return found

    def _stretch(self, clips: Sequence[Clip], looks: int) -> dict[Clip, StoredClip]:
        """Of clips of one video, in the order of time, with so many looks of each at most."""
        wanted: dict[int, list[_Rows]] = {}
        rows = {}
        for clip in clips:
            ticks = self._ticks(clip)
            reading = self._reading(clip.scene, clip.side, clip.video, ticks)
            rows[clip] = _Rows(self.features, reading, max(feature.frames_kept for feature in self.features.values()))
            for tick in ticks.tolist():
                wanted.setdefault(tick, []).append(rows[clip])
        for frame in self._working(clips[0], sorted(wanted)):
            for each in wanted.pop(frame.index):
                each.add(frame.image)
        for clip, each in rows.items():
            seconds = self.facts(clip.scene, clip.side, clip.video).seconds
            self.glances[clip.video, float(seconds[clip.first])] = each.glance.found
        return {clip: StoredClip(each.stacked(), each.seconds, each.looks(looks)) for clip, each in rows.items()}

    def _compute(self, scene: str, side: str, name: str) -> VideoFeatures:
        video, crop, data = self.video(scene, side, name), self.scenes[scene].crop, self._data
        frames, indices, seconds = working_frames(
            self._store, video, short_side=data.short_side, rate=data.rate, crop=crop
        )
        key = {**content_key(video), "crop": repr(crop), "rate": data.rate}
        key["short_side"] = min(self._size(self.facts(scene, side, name)))
        reading = self._reading(scene, side, name, indices)
        edges = np.searchsorted(indices, recordings(reading.facts.seconds))
        key["ticks"] = ticks_key(indices, seconds, edges)
        rows = {
            name: self._store.array({**key, **feature.of(reading).key()}, partial(recorded, feature, reading, frames))
            for name, feature in self.features.items()
        }
        return VideoFeatures(indices, seconds, rows, edges)


class _Rows:
    """What every feature makes of a clip, tick by tick, and so many ``looks`` of it a second."""

    def __init__(self, features: Mapping[str, Feature], reading: Reading, looks: float = 0.0) -> None:
        seconds = reading.facts.seconds[reading.frames]
        self.seconds: FloatArray = seconds - seconds[0]
        self._streams = {name: feature.of(reading).start() for name, feature in features.items()}
        self._rows: dict[str, list[ByteArray]] = {name: [] for name in features}
        self._times = enumerate(self.seconds.tolist())
        self._pause, self._looks = 1 / looks if looks else np.inf, dict[int, bytes]()
        self._due = 0.0 if looks else np.inf
        self.glance = Glancing()

    def add(self, picture: ByteArray) -> None:
        """The next tick's working frame (H, W)."""
        tick, time = next(self._times)
        self.glance.add(picture)
        if time >= self._due - _SLACK:
            self._looks[tick], self._due = _jpeg(picture), time + self._pause
        for name, row in self._streams.items():
            self._rows[name].append(row(picture, time))

    def stacked(self) -> dict[str, ByteArray]:
        """Rows (T, ...) of each feature."""
        return {name: np.stack(rows) for name, rows in self._rows.items()}

    def looks(self, most: int) -> dict[int, bytes]:
        """Its looks by tick, or so many of them from the first to the last; the middle one of one."""
        ticks, count = list(self._looks), min(most, len(self._looks))
        places = [len(ticks) // 2] if count == 1 else np.linspace(0, len(ticks) - 1, count).round().astype(int).tolist()
        return {ticks[place]: self._looks[ticks[place]] for place in places}


def _jpeg(picture: ByteArray) -> bytes:
    """A grey picture (H, W)."""
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def shown_digest(scene: Scene, features: Iterable[Feature] = ()) -> str:
    """Of all that a scene shows to these features: its videos, which of them are the normal ones, and files beside."""
    found = f"{data_digest(scene)}-{len(scene.normal)}"
    if not any(feature.needs_files for feature in features):
        return found
    beside = json.dumps([_digest_beside(video) for video in (*scene.normal, *scene.test)])
    return f"{found}-{hashlib.sha256(beside.encode()).hexdigest()[:12]}"


def _digest_beside(video: Video) -> str:
    """Of the file of its poses; empty where there is none, which whoever reads it will say."""
    try:
        return hashlib.sha256(keypoints_file(video).read_bytes()).hexdigest()
    except VideoError:
        return ""


def sample_of(
    features: Mapping[str, Feature],
    rows: Mapping[str, ByteArray],
    seconds: FloatArray,
    begun: FloatArray,
    *,
    over: bool = True,
) -> Sample:
    """Stored rows as a sample of one clip; ``begun`` (T,) is the past of each tick that was seen, in seconds.

    Of a clip that is ``over`` and in which a feature is nowhere known, the last tick knows what it can.
    """
    known = {name: begun >= feature.past for name, feature in features.items()}
    for flags in known.values():
        flags[-1] |= over and not flags.any() and len(flags) > 1 and begun[0] == 0
    return Sample(
        {name: feature.tensor(rows[name])[None] for name, feature in features.items()},
        {name: torch.from_numpy(flags)[None] for name, flags in known.items()},
        torch.from_numpy(np.asarray(seconds, dtype=np.float32))[None],
    )


def sample_of_stored(
    features: Mapping[str, Feature], clips: Sequence[StoredClip], origins: Sequence[Tensor] | None = None
) -> Sample:
    """Stored clips, at least one, as one sample (B = clips); ``origins`` (1, 2) of each as a sample has them."""
    each = (
        replace(
            sample_of(features, clip.rows, clip.seconds, clip.seconds),
            origins=None if origins is None else origins[number],
        )
        for number, clip in enumerate(clips)
    )
    return gathered(each, len(clips), max(len(clip.seconds) for clip in clips))


def recorded(feature: Feature, reading: Reading, frames: Iterable[ByteArray]) -> Iterator[ByteArray]:
    """One row for each tick of a reading; after a gap the feature begins anew."""
    pictures = iter(frames)
    for part in reading.recordings():
        yield from stream(feature.of(part), islice(pictures, len(part.frames)), part.seconds)


def blank_sample(features: Mapping[str, Feature], size: tuple[int, int], ticks: int = 1) -> Sample:
    """A sample of one clip of blank working pictures of this height and width, a tenth of a second apart."""
    rows = {name: np.zeros((ticks, *feature.shape(*size)), np.uint8) for name, feature in features.items()}
    return sample_of(features, rows, np.arange(ticks) / 10, np.arange(ticks) / 10)


def stream(feature: Feature, frames: Iterable[ByteArray], seconds: Iterable[float]) -> Iterator[ByteArray]:
    """One row for each tick."""
    row = feature.start()
    for frame, time in zip(frames, seconds, strict=True):
        yield row(np.asarray(frame), float(time))


def stretches(clips: Sequence[Clip]) -> list[list[Clip]]:
    """Each clip once, those of one video that lie beside each other together; the more, the more clips there are.

    What lies between them is decoded once for all of them, and a file is opened once.
    """
    size = max(1, min(_TOGETHER, len(clips) // 16))
    found: list[list[Clip]] = []
    for clip in sorted(set(clips)):
        beside = found[-1] if found else []
        if not beside or len(beside) == size or beside[0].video != clip.video:
            found.append(beside := [])
        beside.append(clip)
    return found


def side_by_side(work: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
    """What ``work`` makes of every item, a few at a time in threads: decoding and flow leave the interpreter free."""
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _AT_ONCE)) as pool:
        return list(pool.map(work, items))


_AT_ONCE = 8
"""Pieces that are decoded side by side at most."""
_TOGETHER = 8
"""Clips that are decoded in one go at most."""
LOOKS = 1000
"""Working frames that are kept of clips at most, but one of each."""
_SLACK = 0.02
"""Seconds by which ticks may be off the grid of looks."""
_SHORT = 2
"""A clip of at most this many ticks takes its first and last frame instead."""
