"""What a benchmark compares and measures: one list of methods and one of figures, in the order of tables."""

from dataclasses import dataclass

__all__ = ["FIGURES", "LEADING", "MEASURED", "METHODS", "PROPOSED", "REFERENCES", "Figure", "Method"]


@dataclass(frozen=True)
class Method:
    """A row of every table: whether it needs shots, and what it is."""

    needs_shots: bool
    """If not, it stands once for each scene: K = 0, one draw. Else for each K >= 1, in every draw."""
    meaning: str
    """In words for people who have not read the paper."""
    recognises: bool = False
    """Whether it also tells classes of whole clips apart (:mod:`metavad.recognition`)."""
    mark: str = ""
    """Of a method that all others are compared with: the mark of what is certainly apart from it."""


METHODS = {
    "position": Method(
        needs_shots=False,
        meaning="Closeness to the middle of the test video. Looks at no pixel: what a method must beat to have seen "
        "anything, since test clips are often cut around their event.",
    ),
    "motion": Method(needs_shots=False, meaning="The largest local motion. No training, no clips."),
    "zero-shot": Method(
        needs_shots=False,
        meaning="The base as it was meta-trained on other cameras, shown nothing of this one (K = 0).",
        mark="*",
    ),
    "fine-tune": Method(
        needs_shots=True,
        meaning="Trained jointly on the same other cameras without meta-learning, then fine-tuned on the K clips.",
        recognises=True,
        mark="†",
    ),
    "refit": Method(
        needs_shots=True,
        meaning="Fitted on the K clips alone, without anything learned on other cameras.",
        recognises=True,
    ),
    "wrong-scene": Method(
        needs_shots=True,
        meaning="The base adapted on K clips of another camera: what it costs to be shown the wrong place.",
    ),
    "adapted": Method(
        needs_shots=True,
        meaning="The base adapted on the K clips of this camera: what metavad proposes.",
        recognises=True,
    ),
}
PROPOSED = "adapted"
REFERENCES = tuple(name for name, method in METHODS.items() if method.mark)
"""What every method is compared with: the base without shots, and the jointly trained control with them."""


@dataclass(frozen=True)
class Figure:
    """A column: what it is called, its unit, which way is good, whether it depends on the machine and its load."""

    title: str
    short: str
    unit: str = "%"
    """Fractions are shown in per cent."""
    lower_is_better: bool = False
    measured: bool = False
    ranks: bool = True
    """Whether it says of a method how good it is, so that the best is worth a mark."""
    nothing: float | None = None
    """Its value where nothing was found at all: never the best."""

    def text(self, value: float) -> str:
        """Such as ``98.3``, ``12.0`` or ``0.62``."""
        return f"{100 * value:.1f}" if self.unit == "%" else f"{value:.2f}" if self.unit == "s" else f"{value:.1f}"


FIGURES = {
    "micro_auc": Figure("micro AUC", "micro"),
    "causal_auc": Figure("micro AUC without looking ahead", "causal"),
    "macro_auc": Figure("macro AUC", "macro"),
    "macro_auc_padded": Figure("macro AUC, padded", "macro, padded"),
    "ap": Figure("average precision", "AP"),
    "ap_chance": Figure("average precision of chance", "chance", ranks=False),
    "eer": Figure("equal error rate", "EER", lower_is_better=True),
    "pixel_auc": Figure("pixel AUC", "pixel"),
    "rbdc": Figure("RBDC", "RBDC", nothing=0.0),
    "tbdc": Figure("TBDC", "TBDC", nothing=0.0),
    "false_alarms_per_hour": Figure(
        "false alarms per hour at the promised threshold", "false/h", "1/h", lower_is_better=True
    ),
    "missed_events": Figure("events missed at the promised threshold", "missed", lower_is_better=True, nothing=1.0),
    "delay_seconds": Figure("delay of alarms", "delay, s", "s", lower_is_better=True),
    "latency_seconds": Figure("time from a frame to its score", "latency, s", "s", lower_is_better=True, measured=True),
    "adapt_seconds": Figure("time to adapt", "adapt, s", "s", lower_is_better=True, measured=True),
    "fps": Figure("frames scored a second", "frames/s", "1/s", measured=True),
    "looks_at_test_set_micro_auc": Figure("micro AUC that LOOKS AT THE TEST SET", "micro, LOOKS AT TEST SET"),
    "looks_at_test_set_macro_auc": Figure("macro AUC that LOOKS AT THE TEST SET", "macro, LOOKS AT TEST SET"),
}
LEADING = "micro_auc"
"""The figure of the first table, and of the differences between methods."""
MEASURED = tuple(name for name, figure in FIGURES.items() if figure.measured)
