"""Why a moment surprises: each expert's share, and a sentence from its own quantities."""

from dataclasses import dataclass, field

from metavad.experts.base import NearestPatch, Reason
from metavad.features.sample import Sample
from metavad.normality.model import SceneModel, Surprise
from metavad.threads import one_thread
from metavad.types import FloatArray

__all__ = ["Explanation", "explain", "whereabouts"]

SECOND = 0.25
"""Share from which a second expert is quoted too."""


@dataclass(frozen=True)
class Explanation:
    """Why one moment surprises."""

    text: str
    """"something moves 3.1 times as fast as anything shown at this place (bottom left)"."""
    shares: dict[str, float]
    """Each expert's share of the surprise at the place; they sum to 1."""
    place: tuple[float, float]
    """Where the surprise is highest: shares of the height from the top and of the width from the left."""
    distances: tuple[float, ...] = ()
    """How far each shot is from it there, by the expert with the largest share that can say; empty where none can."""
    nearest: NearestPatch | None = None
    """The patch there and the nearest that was shown, where the sentence is about these."""
    heat: FloatArray | None = field(default=None, compare=False, repr=False)
    """The surprise of each place (h, w), in nats."""


@one_thread()
def explain(model: SceneModel, sample: Sample, found: Surprise, tick: int) -> Explanation | None:
    """Why a tick of a sample of one clip surprises; ``None`` where nothing does.

    ``found`` is what :meth:`SceneModel.score` found of the sample, or of its last ticks.
    """
    behind = tick - int(sample.seconds.shape[1])
    fused = found.fused[0, behind]
    cell = divmod(int(fused.argmax()), fused.shape[-1])
    if not fused[cell] > 0:
        return None
    shares = _normed(model.contributions(found, behind, cell))
    place = (cell[0] + 0.5) / fused.shape[-2], (cell[1] + 0.5) / fused.shape[-1]
    adding = [name for name in sorted(shares, key=lambda name: -shares[name]) if shares[name] > 0]
    reasons = {name: model.explain(name, sample.until(tick), place) for name in adding}
    quoted = [name for name in adding if name == adding[0] or (shares[name] >= SECOND and reasons[name] is not None)]
    texts = [_text(model, name, reasons[name]) for name in quoted[:2]]
    far = next((reason.distances for reason in reasons.values() if reason is not None and reason.distances), ())
    quotes = [reason for name in quoted[:2] if (reason := reasons[name]) is not None]
    nearest = next((reason.nearest for reason in quotes if reason.nearest is not None), None)
    if found.raised is not None and found.raised[0, behind][cell] > 0:
        texts.append("is like what was confirmed as abnormal")
    return Explanation(
        f"something {', and '.join(dict.fromkeys(texts))} ({whereabouts(place)})",
        shares,
        place,
        far,
        nearest,
        fused.numpy(),
    )


def whereabouts(place: tuple[float, float]) -> str:
    """A place in thirds of the picture.

    >>> whereabouts((0.9, 0.1)), whereabouts((0.5, 0.5)), whereabouts((0.5, 0.9)), whereabouts((0.1, 0.5))
    ('bottom left', 'middle', 'right', 'top')
    """
    down = ("top", "", "bottom")[min(2, int(3 * place[0]))]
    across = ("left", "", "right")[min(2, int(3 * place[1]))]
    return " ".join(filter(None, (down, across))) or "middle"


def _normed(parts: dict[str, float]) -> dict[str, float]:
    total = sum(parts.values())
    return {name: part / total for name, part in parts.items()} if total > 0 else parts


def _text(model: SceneModel, name: str, reason: Reason | None) -> str:
    """What the expert says, else the least that its features let one say."""
    if reason is not None:
        return reason.text
    moves = all(read.startswith("flow") for read in dict(model.experts.each())[name].reads)
    against = "anything shown" if model.support.clips else "what other cameras show"
    return f"{'moves' if moves else 'looks'} unlike {against}"
