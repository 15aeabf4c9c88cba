"""The record of an experiment, typed: enough to read its figures, and to run it again and see whether they match.

One way to write and to read it. What is undefined is null; what was not asked for is not written. Imports no model:
a report needs nothing else of this package than this and ``protocol``.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from metavad.benchmark.protocol import METHODS
from metavad.errors import DataError
from metavad.files import write_text
from metavad.types import BoolArray, ByteArray, FloatArray, IntArray

__all__ = [
    "MEAN",
    "SCHEMA",
    "BaseFigures",
    "BenchmarkRecord",
    "Difference",
    "Frozen",
    "MeanFigure",
    "MethodName",
    "RecordHead",
    "Row",
    "SceneExample",
    "SceneFacts",
    "SceneFigures",
    "Source",
    "defined",
    "read_record",
    "write_record",
]

SCHEMA = 1
"""Goes up when a name or its meaning changes."""
MEAN = "mean"
"""Stands for a scene where something is of the mean over scenes."""


class Frozen(BaseModel):
    """A table of a record: no other names, no number that is none, no change."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _known_method(name: str) -> str:
    if name not in METHODS:
        raise ValueError(f"expected a known method, found {name!r}")
    return name


MethodName = Annotated[str, AfterValidator(_known_method)]


class RecordHead(Frozen):
    """What every experiment says of itself."""

    schema_version: Literal[1]
    metavad: str
    """Version."""
    command: str
    """As it was typed; empty where it was called from Python."""
    target: str | None
    """The scenes, as ``--target`` takes them; none where they were given as objects, and cannot be found again."""
    device: str
    threads: int
    versions: dict[str, str]
    base: str
    """Digest."""
    base_from: str | None
    """Where the base lay; none where it was given as an object."""
    config: dict[str, JsonValue]
    """The base's, as the version that made it knew it."""
    config_digest: str
    methods: tuple[MethodName, ...]
    shots: tuple[int, ...]
    draws: int
    seed: int
    draw_seeds: tuple[int, ...]


class SceneFacts(Frozen):
    """One scene under test."""

    scene: str
    """``SUITE:SCENE``."""
    layout: str | None
    """Which layout of the dataset was there, where there are several."""
    labels: str | None
    """Which set of labels, where there are several."""
    test_videos: int
    normal_videos: int
    independent_shots: dict[str, int]
    """By K: how many of the clips of the first draw share no frame with another."""
    wrong_scene: str | None
    """The scene that ``wrong-scene`` was shown; none where that was not asked for."""
    data: str
    """Digest of the footage."""
    truth: str
    """Digest of the frame labels."""


class Row(Frozen):
    """One method on one scene with K shots: figures (:data:`~metavad.benchmark.protocol.FIGURES`) over the draws."""

    suite: str
    scene: str
    method: MethodName
    shots: int
    draws: int
    micro_auc: float | None
    micro_auc_std: float | None
    """Standard deviation over draws; none for one draw."""
    macro_auc: float | None
    ap: float | None
    ap_chance: float | None
    eer: float | None
    frames: int
    """That are scored, of all test videos."""
    adapt_seconds: float | None
    fps: float | None
    causal_auc: float | None
    macro_auc_padded: float | None
    pixel_auc: float | None
    rbdc: float | None
    tbdc: float | None
    false_alarms_per_hour: float | None
    delay_seconds: float | None
    missed_events: float | None
    latency_seconds: float | None
    looks_at_test_set_micro_auc: float | None = None
    looks_at_test_set_macro_auc: float | None = None
    labels: str | None
    micro_auc_low: float | None = None
    """Interval over test videos; none where these are too few, and in records of before it was kept."""
    micro_auc_high: float | None = None
    interval_level: float | None = None
    """Of the interval, such as 0.95."""

    @property
    def name(self) -> str:
        """What it is of, such as ``ped2:ped2 adapted K=10``."""
        return f"{self.suite}:{self.scene} {self.method} K={self.shots}"

    def figure(self, name: str) -> float | None:
        """Its value by name; none where it is undefined or was not asked for."""
        value: float | None = getattr(self, name)
        return value

    def spread(self, name: str) -> float | None:
        """Standard deviation over draws of a figure that has one."""
        value: float | None = getattr(self, f"{name}_std", None)
        return value

    def interval(self, name: str) -> tuple[float, float] | None:
        """Of a figure that has one."""
        low, high = (getattr(self, f"{name}_{end}", None) for end in ("low", "high"))
        return None if low is None or high is None else (low, high)


class MeanFigure(Frozen):
    """Mean of a figure over all scenes of a record, with an interval over whole scenes."""

    method: MethodName
    shots: int
    figure: str
    value: float
    low: float | None
    """None where the scenes are too few."""
    high: float | None
    level: float
    scenes: int


class Difference(Frozen):
    """Micro AUC of one method minus that of another with the same shots, with a paired interval."""

    suite: str
    """Empty for the mean over scenes."""
    scene: str
    """:data:`MEAN` for that."""
    method: MethodName
    shots: int
    minus: MethodName
    figure: str
    value: float | None
    low: float | None
    high: float | None
    level: float | None
    """Of the interval, such as 0.95."""
    share_above: float | None
    """Share of resamples over 0."""
    videos: int | None = None
    """That were resampled, of one scene."""
    scenes: int | None = None
    """That were resampled, of the mean."""
    certain: bool
    """The interval leaves out 0, and the units are enough for it to be believed."""

    @property
    def name(self) -> str:
        """What it is of, such as ``ped2:ped2 adapted K=10 minus zero-shot``."""
        return f"{self.suite}:{self.scene} {self.method} K={self.shots} minus {self.minus}"


class BenchmarkRecord(RecordHead):
    """Few-shot against zero-shot on scenes: what ``metavad benchmark --json`` writes."""

    kind: Literal["benchmark"]
    shot_frames: int
    paper_protocol: bool
    """Whether rows have the columns that look at the test set."""
    jobs: int
    scenes: tuple[SceneFacts, ...]
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    means: tuple[MeanFigure, ...] = ()
    """Of several scenes; none in records of before they were kept."""


@dataclass(frozen=True)
class Source:
    """How an experiment was asked for on the command line: what it takes to ask again."""

    command: str = ""
    target: str | None = None
    base_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class SceneExample:
    """What a report shows of one scene: the test video with the highest score, and the clips that were shown."""

    scene: str
    """As in the record's rows."""
    video: str
    seconds: FloatArray
    """(T,) times of its frames."""
    scores: FloatArray
    """(T,), higher = more anomalous."""
    threshold: float
    alarms: IntArray
    """(N, 2) half-open frames."""
    labels: BoolArray
    """(T,), true = abnormal."""
    top_frame: ByteArray
    """(H, W, 3) RGB: the frame with the highest score."""
    heat: FloatArray
    """(h, w): its score map."""
    shots: tuple[ByteArray, ...]
    """A frame (H, W, 3) RGB of each clip that was shown."""
    text: str
    """The promise of the threshold, in a sentence."""
    reason: str
    """Why that frame scores highest; empty where nothing stands out."""
    nearest: int | None
    """Number of the shot that is nearest to it."""


def defined(value: float) -> float | None:
    """A figure for a record: none where it is undefined."""
    return float(value) if math.isfinite(value) else None


class SceneFigures(Frozen):
    """Micro AUC of one scene by K; zero-shot is K = 0, the others are of ``adapted``."""

    scene: str
    """``SUITE:SCENE``."""
    micro_auc: dict[Annotated[str, Field(pattern="^[0-9]{1,9}$")], float | None]


class BaseFigures(Frozen):
    """The short record that lies beside a base: how it was made, and what was measured with it."""

    schema_version: Literal[1]
    kind: Literal["base-figures"]
    base: str
    """Digest."""
    made_by: tuple[str, ...]
    """Commands."""
    command: str
    """That measured it."""
    rows: tuple[SceneFigures, ...]


R = TypeVar("R", bound=Frozen)


def write_record(path: Path, record: Frozen) -> None:
    """As JSON; what was not asked for is left out."""
    content = record.model_dump(mode="json", exclude_unset=True)
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_record(path: Path, *kinds: type[R]) -> R:
    """A record of one of these kinds; raises :class:`DataError` where the file is none, or of another schema."""
    known = {get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in kinds}
    try:
        content = path.read_bytes()
        head = _Head.model_validate_json(content)
        if head.kind in known and head.schema_version == SCHEMA:
            return known[head.kind].model_validate_json(content, strict=True)
    except (OSError, ValidationError) as error:
        found = _first(error) if isinstance(error, ValidationError) else error.strerror or str(error)
        raise DataError(f"{path}: {_expected(known)}, found {found}") from None
    if head.kind is None or head.schema_version is None:
        raise DataError(f"{path}: {_expected(known)}, found a file that does not say both; make it again")
    raise DataError(
        f"{path}: {_expected(known)}, found kind {head.kind!r} of schema {head.schema_version}; read it with the "
        "version of metavad that wrote it, or run its command again"
    )


def _expected(kinds: Iterable[str]) -> str:
    return f"expected a record of schema {SCHEMA} and kind {' or '.join(kinds)}"


class _Head(BaseModel):
    """What says how to read the rest."""

    kind: str | None = None
    schema_version: int | None = None


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or "the whole"
    return f"{where}: {first['msg'].lower()}"
