"""The record of recognition, typed: what ``metavad benchmark --json`` writes for a suite of classes."""

from typing import Literal

from metavad.benchmark.protocol import Figure
from metavad.benchmark.record import Frozen, MethodName, RecordHead

__all__ = ["FIGURES", "ClassFacts", "ClipRow", "RecognitionRecord"]

FIGURES = {
    "allowed_accepted": Figure("allowed accepted", "accepted"),
    "forbidden_flagged": Figure("forbidden flagged", "flagged"),
    "balanced_accuracy": Figure("balanced accuracy", "balanced"),
    "auc": Figure("AUC", "AUC"),
}


class ClassFacts(Frozen):
    """One class, and how many clips it has to show and to test."""

    name: str
    allowed: bool
    train: int
    test: int


class ClipRow(Frozen):
    """One method after K clips of each allowed class, by one score: figures over the draws of the clips."""

    method: MethodName
    score: str
    """An expert's, or the mean of all experts'."""
    shots: int
    draws: int
    allowed_accepted: float | None
    allowed_accepted_std: float | None
    forbidden_flagged: float | None
    forbidden_flagged_std: float | None
    balanced_accuracy: float | None
    balanced_accuracy_std: float | None
    auc: float | None
    auc_std: float | None
    threshold: float | None
    flagged: dict[str, float]
    """By class: the share of its clips over the threshold."""
    adapt_seconds: float

    @property
    def name(self) -> str:
        """What it is of, such as ``adapted embedding K=10``."""
        return f"{self.method} {self.score} K={self.shots}"

    def figure(self, name: str) -> float | None:
        """Its value by name; none where it is undefined."""
        value: float | None = getattr(self, name)
        return value

    def spread(self, name: str) -> float | None:
        """Standard deviation over draws of a figure; none for one draw."""
        value: float | None = getattr(self, f"{name}_std")
        return value


class RecognitionRecord(RecordHead):
    """Few-shot recognition of allowed and forbidden classes."""

    kind: Literal["recognition"]
    suite: str
    accept: float
    """The share of allowed clips that the threshold is to accept."""
    data: str
    """Digest of all clips, and which class they are of."""
    classes: tuple[ClassFacts, ...]
    rows: tuple[ClipRow, ...]
