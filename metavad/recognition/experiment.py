"""Recognition by few shots: which clips are accepted, and which are flagged.

K clips of each allowed class are shown to the base's experts of embeddings. A clip's score is the mean over its
ticks; one over the threshold is flagged. The threshold comes from the shown clips alone, each scored by a model that
did not see it; test clips are only counted.
"""

import hashlib
import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from metavad.benchmark.head import head_of
from metavad.benchmark.protocol import METHODS
from metavad.benchmark.record import Source, defined
from metavad.benchmark.settings import MOST_DRAWS
from metavad.config import MOST_SHOTS
from metavad.errors import BundleError, ShotsError, UsageError, VideoError
from metavad.evaluation.ranking import micro_auc
from metavad.experts.set import ExpertSet, under
from metavad.features.library import Library, features_of
from metavad.features.sample import Sample, join
from metavad.normality.base import Base
from metavad.normality.fit import fit
from metavad.normality.methods import Method, method_of
from metavad.normality.model import SceneModel
from metavad.progress import SILENT, Progress
from metavad.recognition.record import ClassFacts, ClipRow, RecognitionRecord
from metavad.recognition.suite import ClassSuite
from metavad.scenes.cache import Store, content_key
from metavad.scenes.scene import Scene, Video
from metavad.threads import one_thread
from metavad.types import BoolArray, FloatArray

__all__ = ["RECOGNISERS", "accept_threshold", "recognise", "two_sides"]

RECOGNISERS = tuple(name for name, method in METHODS.items() if method.recognises)
"""The methods that make something of shown clips alone."""
TOGETHER = "together"
"""The score that is the mean of all experts'."""
FOLDS = 5
"""Parts of the shown clips that are left out in turn for the threshold."""


def accept_threshold(scores: FloatArray, share: float) -> float:
    """The score that a new clip of the allowed classes is at most with probability ``share`` or more.

    Of n left-out scores (n,) the one of rank ceil((n + 1) share), or the highest where that is beyond them: split
    conformal prediction (Vovk, Gammerman and Shafer 2005, https://doi.org/10.1007/b106715).
    """
    rank = math.ceil((len(scores) + 1) * share - 1e-9)
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def two_sides(scores: FloatArray, forbidden: BoolArray, threshold: float) -> dict[str, float]:
    """Share of allowed clips at or under the threshold, share of forbidden ones over it, their mean, and the AUC."""
    flagged = scores > threshold
    accepted, found = float((~flagged[~forbidden]).mean()), float(flagged[forbidden].mean())
    return {
        "allowed_accepted": accepted,
        "forbidden_flagged": found,
        "balanced_accuracy": (accepted + found) / 2,
        "auc": micro_auc([scores], [forbidden]),
    }


@one_thread()
def recognise(
    suite: ClassSuite,
    base: Base,
    *,
    shots: Sequence[int] = (1, 5, 10),
    draws: int = 5,
    methods: Sequence[str] = RECOGNISERS,
    seed: int = 0,
    store: Store | None = None,
    source: Source = Source(),
    progress: Progress = SILENT,
) -> RecognitionRecord:
    """The record of a suite of classes: a row for each method and K, averaged over draws of the shown clips.

    K counts clips of each allowed class; K = 0 is undefined (nothing says what is allowed) and left out. Raises
    :class:`BundleError` where the base has no expert of embeddings, :class:`ShotsError` where a class has fewer than
    K training clips, and :class:`UsageError` where nothing that is asked for is defined.
    """
    asked = tuple(sorted(set(shots) - {0}))
    chosen = tuple(name for name in RECOGNISERS if name in methods)
    if not asked or min(asked) < 0 or max(asked) > MOST_SHOTS or not chosen or not 1 <= draws <= MOST_DRAWS:
        raise UsageError(
            f"{suite.name}: expected shots of 1 to {MOST_SHOTS}, draws of 1 to {MOST_DRAWS}, and methods of "
            f"{', '.join(RECOGNISERS)}, found {list(shots)}, {draws} and {', '.join(methods)}"
        )
    seeds, seeing = [seed * 1000 + draw for draw in range(draws)], of_embeddings(base)
    _enough(suite, asked[-1])
    trial = _Trial(suite, seeing, store or Store(), progress)
    rows = []
    with progress.task("Benchmark", len(chosen) * len(asked) * draws) as task:
        for method in chosen:
            for count in asked:
                found = []
                for draw in seeds:
                    found.append(trial.measure(method, count, draw))
                    task.advance(1, note=f"{suite.name} {method} K={count}")
                rows += [_row(method, count, name, [each[name] for each in found]) for name in found[0]]
    return RecognitionRecord(
        **head_of(base, source),
        kind="recognition",
        methods=chosen,
        shots=asked,
        draws=draws,
        seed=seed,
        draw_seeds=tuple(seeds),
        suite=suite.name,
        accept=suite.accept,
        data=_digest(suite),
        classes=tuple(
            ClassFacts(name=each.name, allowed=each.allowed, train=len(each.train), test=len(each.test))
            for each in suite.classes
        ),
        rows=tuple(rows),
    )


def of_embeddings(base: Base) -> Base:
    """The base with its experts of embeddings alone, on a map of one cell: a clip has no places.

    Raises :class:`BundleError` where it has none.
    """
    names = tuple(name for name, expert in base.experts.each() if "embeddings" in expert.reads)
    if not names:
        raise BundleError(
            f"base {base.digest}: expected an expert of embeddings, found {', '.join(base.config.experts)}; "
            "make a base with `metavad meta-train --config embedding`"
        )
    some = base.only(names)
    data = some.config.data.model_copy(update={"rows": 1})
    return replace(some, config=some.config.model_copy(update={"data": data}))


@dataclass(frozen=True)
class _Measured:
    """One draw by one score: figures, the share flagged of each class, the threshold, and what the draw cost."""

    figures: dict[str, float]
    flagged: dict[str, float]
    threshold: float
    seconds: float


@dataclass
class _Trial:
    """The clips of a suite as samples; each is read once."""

    suite: ClassSuite
    base: Base
    store: Store
    progress: Progress
    _samples: dict[str, Sample] = field(default_factory=dict)

    def __post_init__(self) -> None:
        allowed, forbidden = self.suite.side(allowed=True), self.suite.side(allowed=False)
        clips = [clip for each in (*allowed, *forbidden) for clip in (*each.train, *each.test)]
        scene = Scene(self.suite.name, "clips", self.suite.root, normal=tuple(clips))
        features = features_of(self.base.config, ["embeddings"])
        library = Library([scene], self.base.config.data, features, self.store)
        with self.progress.task("Embeddings", len(clips)) as task:
            for clip in clips:
                self._samples[clip.name] = _sample(library, scene, clip)
                task.advance(1, note=clip.name)

    def measure(self, name: str, shots: int, seed: int) -> dict[str, _Measured]:
        """One method after K clips of each allowed class: by each expert's score, and by their mean."""
        started = time.perf_counter()
        method = method_of(name, self.base, seed)
        shown = [self._samples[clip.name] for clip in shown_clips(self.suite, shots, seed)]
        left_out = _left_out(method, shown)
        model = _fitted(method, join(shown))
        seconds = time.perf_counter() - started
        found = np.stack([clip_scores(model, self._samples[clip.name]) for clip in self._tested()])
        columns = dict(zip(self.base.config.experts, zip(left_out.T, found.T, strict=True), strict=True))
        if len(columns) > 1:
            columns[TOGETHER] = together(left_out, left_out), together(left_out, found)
        return {name: self._measured(*column, seconds) for name, column in columns.items()}

    def _tested(self) -> list[Video]:
        return [clip for each in self.suite.classes for clip in each.test]

    def _measured(self, left_out: FloatArray, scores: FloatArray, seconds: float) -> _Measured:
        counts = [len(each.test) for each in self.suite.classes]
        forbidden = np.repeat([not each.allowed for each in self.suite.classes], counts)
        threshold = accept_threshold(left_out, self.suite.accept)
        parts = np.split(scores > threshold, np.cumsum(counts)[:-1])
        flagged = {each.name: float(part.mean()) for each, part in zip(self.suite.classes, parts, strict=True)}
        return _Measured(two_sides(scores, forbidden, threshold), flagged, threshold, seconds)


def shown_clips(suite: ClassSuite, shots: int, seed: int) -> list[Video]:
    """K training clips of each allowed class, drawn by seed: the first of every class, then the second of every one.

    Neighbours in this order are left out together, so that as few classes as possible go with all their clips.
    """
    generator = random.Random(f"classes-{seed}-{shots}")
    drawn = [generator.sample(each.train, shots) for each in suite.side(allowed=True)]
    return [clip for group in zip(*drawn, strict=True) for clip in group]


def clip_scores(model: SceneModel, sample: Sample) -> FloatArray:
    """Each expert's own score of one clip, mean over its known ticks (E,); higher = more anomalous.

    Nothing is calibrated: score distributions are of a camera's ticks, most of which are ordinary.
    """
    experts, sample = model.experts, sample.on(model.device)
    with torch.no_grad():
        maps = under(experts, model.params, ExpertSet.score, sample, model.memory)
        found = [float(maps[name][..., 0, 0][expert.known(sample)].mean()) for name, expert in experts.each()]
    return np.array(found)


def together(left_out: FloatArray, scores: FloatArray) -> FloatArray:
    """Mean over experts of scores (n, E), each in deviations of the left-out ones (m, E) from their mean: (n,)."""
    spread = left_out.std(0)
    return np.asarray(((scores - left_out.mean(0)) / np.where(spread > 0, spread, 1.0)).mean(1))


def _fitted(method: Method, shown: Sample) -> SceneModel:
    return fit(method, shown, (1, 1))  # of a clip's pictures one point stands for all


def _left_out(method: Method, shown: Sequence[Sample]) -> FloatArray:
    """The scores of each shown clip by a model that was shown the others (n, E)."""
    scores = []
    for held in np.array_split(np.arange(len(shown)), min(FOLDS, len(shown))):
        rest = [sample for number, sample in enumerate(shown) if number not in held]
        model = _fitted(method, join(rest) if rest else shown[0].select([]))
        scores += [clip_scores(model, shown[number]) for number in held]
    return np.stack(scores)


def _sample(library: Library, scene: Scene, clip: Video) -> Sample:
    """A whole clip; of its pictures one point stands for all, so that clips of any size meet."""
    features = library.video_features(scene.key, "normal", clip.name)
    found = library.part(features, 0, len(features), fresh=True)
    if not found.known["embeddings"].any():
        raise VideoError(f"{clip.path}: expected a clip of several frames, found one too short; take it away")
    point = torch.zeros(*found.seconds.shape, 1, 1)
    known = {**found.known, "frames": torch.ones_like(found.known["embeddings"])}
    return Sample({**found.features, "frames": point}, known, found.seconds)


def _enough(suite: ClassSuite, shots: int) -> None:
    for each in suite.side(allowed=True):
        if len(each.train) < shots:
            raise ShotsError(
                f"{suite.name}: class {each.name!r}: expected {shots} training clips, found {len(each.train)}; "
                "give more clips or fewer --shots"
            )


def _row(method: str, shots: int, score: str, found: Sequence[_Measured]) -> ClipRow:
    """Figures averaged over draws, with their spread; what is flagged of each class."""
    figures: dict[str, float | None] = {}
    for name in found[0].figures:
        values = [each.figures[name] for each in found]
        figures[name] = defined(float(np.mean(values)))
        figures[f"{name}_std"] = defined(float(np.std(values, ddof=1))) if len(values) > 1 else None
    return ClipRow(
        method=method,
        score=score,
        shots=shots,
        draws=len(found),
        threshold=defined(float(np.mean([each.threshold for each in found]))),
        flagged={name: float(np.mean([each.flagged[name] for each in found])) for name in found[0].flagged},
        adapt_seconds=float(np.mean([each.seconds for each in found])),
        **figures,
    )


def _digest(suite: ClassSuite) -> str:
    """sha256 over the content of all clips and which class they are of, 12 digits."""
    summed = hashlib.sha256()
    for each in suite.classes:
        for clip in (*each.train, *each.test):
            summed.update(
                json.dumps([each.allowed, clip.name, content_key(clip, dated=False)], sort_keys=True).encode()
            )
    return summed.hexdigest()[:12]
