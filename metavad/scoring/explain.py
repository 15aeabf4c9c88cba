"""Why a moment surprises: each expert's share, and a sentence from its own quantities."""

from dataclasses import dataclass

import torch

from metavad.adaptation.adapt import Normality, Surprise, together
from metavad.experts.base import Expert, Memory, Reason
from metavad.experts.set import ExpertSet, memory_of, under
from metavad.features.sample import Sample
from metavad.threads import one_thread

__all__ = ["Explanation", "explain", "parts_at", "whereabouts"]

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
    """How far each shot is from it there, by the loudest expert that can say; empty where none can."""


@one_thread()
def explain(model: Normality, sample: Sample, found: Surprise, tick: int) -> Explanation | None:
    """Why a tick of a sample of one clip surprises; ``None`` where nothing does.

    ``found`` is what :func:`surprises` found of the sample, or of its last ticks.
    """
    behind = tick - int(sample.seconds.shape[1])
    fused = found.fused[0, behind]
    cell = divmod(int(fused.argmax()), fused.shape[-1])
    if not fused[cell] > 0:
        return None
    shares = _normed(parts_at(model, found, behind, cell))
    place = (cell[0] + 0.5) / fused.shape[-2], (cell[1] + 0.5) / fused.shape[-1]
    loud = [name for name in sorted(shares, key=lambda name: -shares[name]) if shares[name] > 0]
    reasons = {name: _reason(model, name, sample.until(tick), place) for name in loud}
    quoted = [name for name in loud if name == loud[0] or (shares[name] >= SECOND and reasons[name] is not None)]
    said = [_text(model, name, reasons[name]) for name in quoted[:2]]
    far = next((reason.distances for reason in reasons.values() if reason is not None and reason.distances), ())
    return Explanation(f"something {', and '.join(dict.fromkeys(said))} ({whereabouts(place)})", shares, place, far)


def parts_at(model: Normality, found: Surprise, tick: int, cell: tuple[int, int]) -> dict[str, float]:
    """What each expert adds to the fused surprise at a cell of a tick; they sum to it."""
    row, column = cell
    return {name: float(together(model, {name: each[0, tick, row, column]})) for name, each in found.maps.items()}


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
    return {name: part / total for name, part in parts.items()}


def _reason(model: Normality, name: str, sample: Sample, place: tuple[float, float]) -> Reason | None:
    with torch.no_grad():
        return under(model.method.experts, model.params, _asked, name, sample, model.memory, place)


def _asked(experts: ExpertSet, name: str, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason | None:
    expert: Expert = dict(experts.each())[name]
    return expert.explain(sample, memory_of(name, memory), place)


def _text(model: Normality, name: str, reason: Reason | None) -> str:
    """What the expert says, else the least that its features let one say."""
    if reason is not None:
        return reason.text
    moves = all(read.startswith("flow") for read in dict(model.method.experts.each())[name].reads)
    against = "anything shown" if model.shots else "what other cameras show"
    return f"{'moves' if moves else 'looks'} unlike {against}"
