"""The experiment: few shots against none, on the same frames for every method, K and draw.

Support comes from the normal side of the target in seeded draws, never from a test video; frames that may be
shown are never scored; nothing looks at the test set but the figures. The only place that joins adapting,
scoring and evaluating; it gives a record (a plain object for JSON) and what a report shows of each camera.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy import ndimage

from metavad import __version__
from metavad.adaptation.adapt import Method, Normality, adapted, fine_tune, learn, refit
from metavad.adaptation.detector import make_detector
from metavad.calibration.accumulation import smooth
from metavad.episodes import Shots, draw_shots
from metavad.errors import DataError, ShotsError, UsageError, nearest
from metavad.evaluation.intervals import paired_bootstrap
from metavad.evaluation.ranking import (
    average_precision,
    chance_precision,
    equal_error_rate,
    macro_auc,
    micro_auc,
)
from metavad.features.base import grid_of
from metavad.features.library import Library, stream
from metavad.features.sample import Sample
from metavad.files import atomic_path
from metavad.meta.base import Base
from metavad.progress import SILENT, Progress
from metavad.scenes.labels import frame_labels
from metavad.scenes.store import Store, cache_folder, content_key
from metavad.scenes.suite import Scene, Video, load_suite
from metavad.scenes.synthetic import write_suite
from metavad.scenes.video import read_colour, read_frames, tick_frames, working_size
from metavad.scoring.baselines import motion, position
from metavad.scoring.events import alarm_intervals
from metavad.scoring.stream import TrackScores, hold, score_track
from metavad.types import BoolArray, ByteArray, FloatArray, IntArray

__all__ = ["METHODS", "Outcome", "Story", "benchmark", "parts_folder"]

ONCE = ("position", "motion", "zero-shot")
"""Stand once for each scene: K = 0, one draw."""
SHOWN = ("fine-tune", "refit", "wrong-scene", "adapted")
"""Stand for each K >= 1, in every draw."""
METHODS = (*ONCE, *SHOWN)


@dataclass(frozen=True)
class Part:
    """One method on one scene, with so many shots, in one draw."""

    scene: str
    method: str
    shots: int
    draw: int


@dataclass(frozen=True)
class Scored:
    """What a part gives: raw and smoothed scores of every tick of every test video, and what it cost."""

    raw: dict[str, FloatArray]
    smoothed: dict[str, FloatArray]
    adapt_seconds: float | None = None
    fps: float | None = None


@dataclass(frozen=True, kw_only=True)
class Story:
    """What a report shows of one camera: its test video with the highest score."""

    scene: str
    video: str
    seconds: FloatArray
    scores: FloatArray
    threshold: float
    alarms: IntArray
    labels: BoolArray
    top_frame: ByteArray
    heat: FloatArray
    shots: tuple[ByteArray, ...]
    text: str


@dataclass(frozen=True)
class Outcome:
    """The record of an experiment, and a story of each camera."""

    record: dict[str, Any]
    stories: tuple[Story, ...]


@dataclass(frozen=True)
class Settings:
    """What was asked for."""

    shots: tuple[int, ...]
    draws: int
    methods: tuple[str, ...]
    shot_frames: int
    seed: int
    paper: bool = False

    @cached_property
    def parts(self) -> tuple[tuple[str, int, int], ...]:
        """(method, K, draw) of every part of one scene."""
        once = [(method, 0, 0) for method in ONCE if method in self.methods]
        shown = [
            (method, shots, draw)
            for shots in sorted(set(self.shots) - {0})
            for method in SHOWN
            if method in self.methods
            for draw in range(self.draws)
        ]
        return (*once, *shown)

    def draw_seed(self, draw: int) -> int:
        """The seed of one draw."""
        return self.seed * 1000 + draw


def benchmark(
    scenes: Sequence[Scene],
    base: Base,
    *,
    shots: Sequence[int] = (0, 1, 5, 10),
    draws: int = 5,
    methods: Sequence[str] = METHODS,
    shot_frames: int = 16,
    seed: int = 0,
    store: Store | None = None,
    parts: Path | None = None,
    stories: bool = True,
    paper: bool = False,
    jobs: int = 1,
    facts: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> Outcome:
    """Few-shot against zero-shot on labelled scenes.

    ``parts`` is a folder in which every finished part is kept, so that a run that was stopped goes on; ``jobs``
    scenes are worked on side by side. ``paper`` adds columns that look at the test set, as the field's published
    figures do; they are called so. ``facts`` are added to the record. Raises :class:`ShotsError`, before
    anything is computed, where the normal footage of a scene is too little, and :class:`UsageError` for an
    unknown method.
    """
    settings = replace(_settings(shots, draws, methods, shot_frames, seed), paper=paper)
    store = store or Store()
    benches = [_Bench(scene, scenes, base, settings, store, parts) for scene in scenes]
    for bench in benches:
        bench.check()
    total = len(settings.parts) * len(benches)
    with progress.task("Benchmark", total) as task:
        rows: list[dict[str, Any]] = []
        differences: list[dict[str, Any]] = []
        finished = Parallel(n_jobs=jobs, return_as="generator")(
            delayed(_figures_of)(bench, None if jobs != 1 else task.advance) for bench in benches
        )
        for bench, (found, compared) in zip(benches, finished, strict=True):
            rows += found
            differences += compared
            if jobs != 1:
                task.advance(len(settings.parts), note=bench.scene.key)
    record = _record(benches, base, settings, rows, dict(facts or {})) | {"differences": differences}
    told = tuple(_story(bench) for bench in benches) if stories else ()
    return Outcome(record, told)


def _settings(shots: Sequence[int], draws: int, methods: Sequence[str], shot_frames: int, seed: int) -> Settings:
    for method in methods:
        if method not in METHODS:
            raise UsageError(f"--methods: expected known methods, found {method!r}; {nearest(method, METHODS)}")
    if not shots or min(shots) < 0 or draws < 1 or shot_frames < 2:
        raise UsageError(
            f"expected shots >= 0, draws >= 1 and shot-frames >= 2, found {list(shots)}, {draws} and {shot_frames}"
        )
    chosen = tuple(method for method in METHODS if method in methods)
    return Settings(tuple(sorted(set(shots))), draws, chosen, shot_frames, seed)


@dataclass
class _Bench:
    """One scene under test: its footage, its frames that count, and how each method is made."""

    scene: Scene
    suite: Sequence[Scene]
    base: Base
    settings: Settings
    store: Store
    folder: Path | None
    _samples: dict[tuple[str, int, int], tuple[Sample, float]] = field(default_factory=dict)

    @cached_property
    def library(self) -> Library:
        """Of the target: only the clips shown are decoded, the test videos' features are cached."""
        return Library([self.scene], self.base.config, self.base.experts.reads, self.store, whole=False)

    @cached_property
    def stranger(self) -> Library:
        """Of another scene of the suite with enough footage, else of a generated camera."""
        others = [scene for scene in self.suite if scene.suite == self.scene.suite and scene.key != self.scene.key]
        start = next((n for n, scene in enumerate(others) if scene.key > self.scene.key), 0)
        for scene in [*others[start:], *others[:start]]:
            library = Library([scene], self.base.config, self.base.experts.reads, self.store, whole=False)
            if scene.normal and self._enough(library, scene):
                return library
        scene = _generated_camera(self.store)
        return Library([scene], self.base.config, self.base.experts.reads, self.store, whole=False)

    def _enough(self, library: Library, scene: Scene) -> bool:
        clips = sum(len(reel.clips(self.settings.shot_frames)) for reel in library.reels(scene.key))
        return clips >= max(self.settings.shots)

    def check(self) -> None:
        """Refuse before anything is computed what cannot be done."""
        if not self.scene.test or (self.scene.labels is None and self.scene.pixel_masks is None):
            raise DataError(
                f"{self.scene.key}: expected test videos with labels, found none; adapt and score it instead"
            )
        self.truth  # noqa: B018 - reads every label file
        for shots in self.settings.shots:
            if shots and set(SHOWN) & set(self.settings.methods):
                self.shots(shots, 0)

    def shots(self, shots: int, draw: int) -> Shots:
        """The clips of one draw."""
        reels = self.library.reels(self.scene.key)
        return draw_shots(reels, shots, self.settings.shot_frames, self.settings.draw_seed(draw))

    @cached_property
    def truth(self) -> dict[str, tuple[BoolArray, BoolArray]]:
        """For each test video its labels (T,), and which frames are scored (T,): none that may be shown."""
        return {video.name: self._truth(video) for video in self.scene.test}

    def _truth(self, video: Video) -> tuple[BoolArray, BoolArray]:
        frames = self.library.facts(self.scene.key, "test", video.name).frames
        counted = np.ones(frames, dtype=bool)
        shown = self.scene.shown(video)
        if shown is not None:
            counted[shown[0] : shown[1]] = False
        return frame_labels(self.scene, video, frames), counted

    def support(self, library: Library, shots: int, draw: int) -> tuple[Sample, float]:
        """The clips of one draw of one scene as a sample, and the seconds that decoding them took."""
        key = next(iter(library.scenes)), shots, draw
        if key not in self._samples:
            started = time.perf_counter()
            reels = library.reels(key[0])
            drawn = draw_shots(reels, shots, self.settings.shot_frames, self.settings.draw_seed(draw))
            sample = library.sample(drawn.clips)
            self._samples = {key: (sample, time.perf_counter() - started)} | self._recent()
        return self._samples[key]

    def _recent(self) -> dict[tuple[str, int, int], tuple[Sample, float]]:
        """The last few samples: the same draw of all methods, not all draws of all scenes."""
        return dict(list(self._samples.items())[: 2 * self.settings.draws])

    @cached_property
    def grid(self) -> tuple[int, int]:
        """Cells of this camera's maps."""
        facts = self.library.facts(self.scene.key, "test", self.scene.test[0].name)
        data = self.base.config.data
        return grid_of(*working_size(facts.height, facts.width, data.short_side), data.rows)

    @cached_property
    def feature_seconds(self) -> float:
        """Seconds that decoding and features take of one frame of the file, measured on the first test video."""
        name = self.scene.test[0].name
        facts, data = self.library.facts(self.scene.key, "test", name), self.base.config.data
        ticks = tick_frames(facts.seconds, data.rate)[:MEASURED]
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
        return _data_digest(self.scene)

    def tracks(self) -> Iterable[tuple[str, Any]]:
        """Test videos with the features of all their ticks."""
        return ((video.name, self.library.track(self.scene.key, "test", video.name)) for video in self.scene.test)


MEASURED = 40
"""Ticks on which the cost of decoding and features is measured."""


def _generated_camera(store: Store) -> Scene:
    """A camera that no suite holds, made once: what ``wrong-scene`` is shown where a suite has one scene only."""
    folder = cache_folder() / "suites" / "wrong-scene"
    write_suite(folder, scenes=1, seed=7919, size="small", test_videos=0)
    return load_suite(str(folder)).scenes[0]


_All = dict[tuple[str, int], list[Scored]]
"""By method and K, the draws."""


def _figures_of(
    bench: _Bench, advance: Callable[..., None] | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All rows of one scene, and the differences between its methods."""
    scored: _All = {}
    for method, shots, draw in bench.settings.parts:
        part = Part(bench.scene.key, method, shots, draw)
        found = _kept(bench, part)
        if found is None:
            found = _score_part(bench, part)
            _keep(bench, part, found)
        scored.setdefault((method, shots), []).append(found)
        if advance is not None:
            advance(1, note=f"{bench.scene.key} {method} K={shots}")
    rows = [_row(bench, method, shots, draws) for (method, shots), draws in scored.items()]
    return rows, _differences(bench, scored)


# ---------------------------------------------------------------- one part


def _score_part(bench: _Bench, part: Part) -> Scored:
    if part.method == "position":
        raw = {name: position(track.seconds) for name, track in bench.tracks()}
        return Scored(raw, raw)
    if part.method == "motion":
        return _scored(bench, lambda track: _plain(bench, motion(track.rows["flow"]), track), None)
    started = time.perf_counter()
    model, waited = _model(bench, part)
    seconds = time.perf_counter() - started + waited
    return _scored(bench, lambda track: score_track(model, bench.library, track), seconds)


def _plain(bench: _Bench, raw: FloatArray, track: Any) -> TrackScores:
    """Scores without a model, smoothed as those of a model are."""
    settings = bench.base.config.scoring
    smoothed = smooth(raw, track.seconds, settings.past, settings.ahead)
    return TrackScores(track.frames, track.seconds, smoothed, raw, None)


def _scored(bench: _Bench, score: Callable[[Any], TrackScores], adapt_seconds: float | None) -> Scored:
    raw, smoothed, frames = {}, {}, 0
    tracks = list(bench.tracks())
    started = time.perf_counter()
    for name, track in tracks:
        found = score(track)
        raw[name], smoothed[name] = found.raw.astype(np.float32), found.scores.astype(np.float32)
        frames += len(bench.truth[name][0])
    spent = time.perf_counter() - started + frames * bench.feature_seconds
    return Scored(raw, smoothed, adapt_seconds, frames / spent)


def _model(bench: _Bench, part: Part) -> tuple[Normality, float]:
    """The adapted model, and the seconds that reading the shots took when that was done before."""
    base, seed = bench.base, bench.settings.draw_seed(part.draw)
    if part.method == "zero-shot":
        return learn(adapted(base), bench.library.nothing(bench.scene.key, "test"), grid=bench.grid), 0.0
    library = bench.stranger if part.method == "wrong-scene" else bench.library
    started = time.perf_counter()
    sample, seconds = bench.support(library, part.shots, part.draw)
    waited = seconds - (time.perf_counter() - started)
    makers: dict[str, Callable[[], Method]] = {
        "fine-tune": lambda: fine_tune(base),
        "refit": lambda: refit(base, seed),
        "wrong-scene": lambda: adapted(base),
        "adapted": lambda: adapted(base),
    }
    return learn(makers[part.method](), sample, grid=bench.grid), max(0.0, waited)


# ---------------------------------------------------------------- finished parts on disk


def parts_folder(base: Base, shot_frames: int, seed: int) -> Path:
    """Where the parts of one experiment are kept: by base, settings, and the code that makes them."""
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        if "report" not in path.parts and "cli" not in path.parts:
            code.update(path.read_bytes())
    facts = json.dumps([__version__, code.hexdigest(), base.digest, shot_frames, seed])
    return cache_folder() / "benchmarks" / hashlib.sha256(facts.encode()).hexdigest()[:16]


def _file(folder: Path, bench: _Bench, part: Part) -> Path:
    """A file for each part, under the digest of the footage that it saw."""
    digest = bench.digest
    if part.method == "wrong-scene":
        digest += "-" + _data_digest(next(iter(bench.stranger.scenes.values())))
    return folder / digest / f"{part.method}-{part.shots}-{part.draw}.npz"


def _keep(bench: _Bench, part: Part, scored: Scored) -> None:
    if bench.folder is None:
        return
    facts = json.dumps({"adapt_seconds": scored.adapt_seconds, "fps": scored.fps, "videos": list(scored.raw)})
    arrays: dict[str, Any] = {f"raw-{n}": row for n, row in enumerate(scored.raw.values())}
    arrays |= {f"smoothed-{n}": row for n, row in enumerate(scored.smoothed.values())}
    with atomic_path(_file(bench.folder, bench, part)) as beside, beside.open("wb") as file:
        np.savez(file, facts=np.frombuffer(facts.encode(), np.uint8), **arrays)


def _kept(bench: _Bench, part: Part) -> Scored | None:
    if bench.folder is None or not _file(bench.folder, bench, part).is_file():
        return None
    with np.load(_file(bench.folder, bench, part), allow_pickle=False) as file:
        facts = json.loads(file["facts"].tobytes())
        raw = {name: file[f"raw-{n}"] for n, name in enumerate(facts["videos"])}
        smoothed = {name: file[f"smoothed-{n}"] for n, name in enumerate(facts["videos"])}
    return Scored(raw, smoothed, facts["adapt_seconds"], facts["fps"])


# ---------------------------------------------------------------- figures


def _row(bench: _Bench, method: str, shots: int, draws: Sequence[Scored]) -> dict[str, Any]:
    figures = [_figures(bench, draw) for draw in draws]
    labels = _counted_labels(bench)
    micro = [figure["micro_auc"] for figure in figures]
    means = {name: _mean([figure[name] for figure in figures]) for name in figures[0]}
    return {
        "suite": bench.scene.suite,
        "scene": bench.scene.name,
        "method": method,
        "shots": shots,
        "draws": len(draws),
        "micro_auc": means.pop("micro_auc"),
        "micro_auc_std": _spread(micro),
        "macro_auc": means.pop("macro_auc"),
        "ap": means.pop("ap"),
        "ap_chance": _defined(chance_precision(labels)),
        "eer": means.pop("eer"),
        "frames": sum(len(row) for row in labels),
        "adapt_seconds": _mean([_number(draw.adapt_seconds) for draw in draws]),
        "fps": _mean([_number(draw.fps) for draw in draws]),
        **means,
    }


def _counted_labels(bench: _Bench) -> list[BoolArray]:
    return [labels[counted] for labels, counted in bench.truth.values()]


def _figures(bench: _Bench, scored: Scored) -> dict[str, float]:
    labels, scores = _counted_labels(bench), _frame_scores(bench, scored.smoothed)
    causal = {name: _causal(bench, name, raw) for name, raw in scored.raw.items()}
    figures = {
        "micro_auc": micro_auc(scores, labels),
        "macro_auc": macro_auc(scores, labels),
        "ap": average_precision(scores, labels),
        "eer": equal_error_rate(scores, labels),
        "macro_auc_padded": macro_auc(scores, labels, padded=True),
        "micro_auc_causal": micro_auc(_frame_scores(bench, causal), labels),
    }
    return figures | (_published(scores, labels) if bench.settings.paper else {})


def _causal(bench: _Bench, name: str, raw: FloatArray) -> FloatArray:
    """Smoothed over the past only."""
    facts = bench.library.facts(bench.scene.key, "test", name)
    config = bench.base.config
    return smooth(raw, facts.seconds[tick_frames(facts.seconds, config.data.rate)], config.scoring.past, 0.0)


def _published(scores: Sequence[FloatArray], labels: Sequence[BoolArray]) -> dict[str, float]:
    """The field's habit: a centred Gaussian, then each test video stretched to [0, 1] by its own extremes."""
    stretched = [_stretched(ndimage.gaussian_filter1d(row.astype(np.float64), PAPER_SIGMA)) for row in scores]
    return {
        "looks_at_test_set_micro_auc": micro_auc(stretched, labels),
        "looks_at_test_set_macro_auc": macro_auc(stretched, labels),
    }


PAPER_SIGMA = 7.0
"""Frames; published code uses 2 to 20."""


def _stretched(scores: FloatArray) -> FloatArray:
    low, high = float(scores.min()), float(scores.max())
    return np.asarray((scores - low) / max(high - low, 1e-12))


def _differences(bench: _Bench, scored: _All) -> list[dict[str, Any]]:
    """How far ``adapted`` lies above zero-shot and above fine-tune, with intervals over test videos."""
    pairs = [(shots, other) for method, shots in scored if method == "adapted" for other in ("zero-shot", "fine-tune")]
    return [
        _difference(bench, scored, shots, other, (other, 0 if other in ONCE else shots))
        for shots, other in pairs
        if (other, 0 if other in ONCE else shots) in scored
    ]


def _difference(bench: _Bench, scored: _All, shots: int, other: str, key: tuple[str, int]) -> dict[str, Any]:
    ours, theirs = (_drawn(bench, scored[which]) for which in (("adapted", shots), key))
    generator = np.random.default_rng([bench.settings.seed, shots, ONCE.index(other) if other in ONCE else 9])
    found = paired_bootstrap(_mean_auc, ours, theirs, _counted_labels(bench), generator=generator, resamples=RESAMPLES)
    return {
        "suite": bench.scene.suite,
        "scene": bench.scene.name,
        "shots": shots,
        "figure": "micro_auc",
        "adapted_minus": other,
        **{name: _defined(getattr(found, name)) for name in ("value", "low", "high", "level", "share_above")},
        "videos": found.units,
        "certain": bool(found.certain),
    }


RESAMPLES = 300
"""Of the paired bootstrap: enough for two digits of an interval's ends."""


def _drawn(bench: _Bench, draws: Sequence[Scored]) -> list[FloatArray]:
    """For each test video the scores of all draws (S, T)."""
    rows = [_frame_scores(bench, draw.smoothed) for draw in draws]
    return [np.stack(video) for video in zip(*rows, strict=True)]


def _mean_auc(scores: Sequence[FloatArray], labels: Sequence[BoolArray]) -> float:
    """Micro AUC of each draw, averaged."""
    return float(np.mean([micro_auc([video[draw] for video in scores], labels) for draw in range(len(scores[0]))]))


def _frame_scores(bench: _Bench, ticks: Mapping[str, FloatArray]) -> list[FloatArray]:
    """Tick scores held over every frame of the file; only frames that count."""
    rows = []
    for name, (labels, counted) in bench.truth.items():
        facts = bench.library.facts(bench.scene.key, "test", name)
        at = tick_frames(facts.seconds, bench.base.config.data.rate)
        rows.append(hold(at, ticks[name], len(labels))[counted])
    return rows


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _defined(value: float) -> float | None:
    """A figure for JSON: null where it is undefined."""
    return float(value) if math.isfinite(value) else None


def _mean(values: Sequence[float]) -> float | None:
    return _defined(float(np.mean(values)))


def _spread(values: Sequence[float]) -> float | None:
    """Standard deviation over draws (n - 1)."""
    return _defined(float(np.std(values, ddof=1))) if len(values) > 1 else None


# ---------------------------------------------------------------- record and stories


def _record(
    benches: Sequence[_Bench], base: Base, settings: Settings, rows: list[dict[str, Any]], facts: dict[str, Any]
) -> dict[str, Any]:
    return {
        "metavad": __version__,
        "command": facts.pop("command", ""),
        "base": base.digest,
        "config": base.config.model_dump(mode="json"),
        "seed": settings.seed,
        "rows": rows,
        "shots": list(settings.shots),
        "draws": settings.draws,
        "methods": list(settings.methods),
        "shot_frames": settings.shot_frames,
        "scenes": [_scene_facts(bench) for bench in benches],
        **facts,
    }


def _scene_facts(bench: _Bench) -> dict[str, Any]:
    scene = bench.scene
    shown = bool(set(SHOWN) & set(bench.settings.methods))
    independent = {str(k): bench.shots(k, 0).independent for k in bench.settings.shots if k and shown}
    return {
        "scene": scene.key,
        "layout": scene.layout,
        "labels": scene.label_set,
        "test_videos": len(scene.test),
        "normal_videos": len(scene.normal),
        "independent_shots": independent,
        "wrong_scene": next(iter(bench.stranger.scenes)) if "wrong-scene" in bench.settings.methods else None,
        "data": bench.digest,
    }


def _data_digest(scene: Scene) -> str:
    """sha256 over the content of all videos and frame labels, 12 digits."""
    summed = hashlib.sha256()
    summed.update(repr((scene.crop, scene.normal_frames)).encode())
    for video in (*scene.normal, *scene.test):
        summed.update(json.dumps([video.name, content_key(video)], sort_keys=True).encode())
    return summed.hexdigest()[:12]


def _story(bench: _Bench) -> Story:
    """The camera after the most shots: the test video that has the highest score, and its frame."""
    key, most = bench.scene.key, max(bench.settings.shots)
    try:
        shots = bench.shots(most, 0) if most else Shots((), 0)
    except ShotsError:
        shots = Shots((), 0)
    settings = bench.base.config
    detector = make_detector(
        bench.base, bench.library, key, shots, alarms_per_day=settings.adaptation.alarms_per_day, pictures=False
    )
    tracks = dict(bench.tracks())
    scored = {name: score_track(detector.normality, bench.library, track) for name, track in tracks.items()}
    name = max(scored, key=lambda video: float(scored[video].scores.max()))
    found = score_track(detector.normality, bench.library, tracks[name], maps=True)
    facts = bench.library.facts(key, "test", name)
    scores = hold(found.frames, found.scores, facts.frames)
    tick = int(np.argmax(found.scores))
    assert found.fused is not None  # maps were asked for
    return Story(
        scene=bench.scene.name,
        video=name,
        seconds=facts.seconds,
        scores=scores,
        threshold=detector.threshold,
        alarms=alarm_intervals(scores, facts.seconds, detector.threshold, merge=settings.scoring.merge),
        labels=bench.truth[name][0],
        top_frame=_picture(bench, "test", name, int(found.frames[tick])),
        heat=found.fused[tick],
        shots=tuple(_picture(bench, clip.side, clip.video, clip.first + clip.length // 2) for clip in shots.clips),
        text=detector.promise.text,
    )


def _picture(bench: _Bench, side: str, name: str, frame: int) -> ByteArray:
    """A frame (H, W, 3), red-green-blue, cropped."""
    video = bench.library.video(bench.scene.key, side, name)
    return np.ascontiguousarray(read_colour(video, frame, bench.scene.crop)[..., ::-1])
