"""What is like a confirmed event scores higher: a part of a score map that is never negative, and bounded.

A confirmed event is remembered by some of its most surprising places: what the features showed there. What comes later
within ``REACH`` of such a place, and is nearer to it in the features than half as far as anything that was shown, gets
up to ``boost`` nats more. By the triangle inequality that is nearer to the event than to everything shown at its place,
and nothing that was shown gets any. Spheres around what is known, of a size that the other class sets, are the
restricted Coulomb energy classifier (Reilly, Cooper and Elbaum 1982, https://doi.org/10.1007/BF00387211).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from metavad.experts.background import contrast
from metavad.features.sample import Sample

__all__ = ["NOTHING", "REACH", "Likeness", "Pattern", "View", "view_of"]

REACH = 0.2
"""Heights of the picture within which a place is the same."""
HALF = 0.5
"""Of the distance to what was shown at its place: how far a pattern reaches."""
NOISE = 0.01
"""Spread of a feature under which it is taken for noise."""
APART = 1e-3
"""Distance from what was shown under which a place of an event is as what was shown."""


@dataclass(frozen=True)
class View:
    """How features are compared: each place of each tick as D numbers."""

    names: tuple[str, ...] = ()
    """Of the features, those that are pictures."""
    background: Tensor | None = None
    """Mean local contrast of the shots' frames (H, W), where frames are among them."""
    scale: Tensor | None = None
    """What is divided by (D,): the spread on the shots, so that each feature counts once."""

    def described(self, sample: Sample, grid: tuple[int, int]) -> Tensor:
        """Each place of a sample (B, T, h, w, D)."""
        parts = [self._channels(name, sample.features[name], grid) for name in self.names]
        found = torch.cat(parts, dim=2).movedim(2, -1)
        return found if self.scale is None else found / self.scale

    def _channels(self, name: str, rows: Tensor, grid: tuple[int, int]) -> Tensor:
        """A feature on the grid (B, T, C, h, w)."""
        if name == "frames":
            rows = contrast(rows)
            rows = (rows if self.background is None else rows - self.background).abs()[:, :, None]
        rows = rows if rows.is_floating_point() else rows.float()
        pooled = functional.adaptive_avg_pool2d(rows.flatten(0, 1), grid)
        return pooled.reshape(*rows.shape[:3], *grid)

    def known(self, sample: Sample) -> Tensor:
        """Ticks (B, T) of which all of it is known."""
        return torch.stack([sample.known[name] for name in self.names]).all(0)


def view_of(names: Sequence[str], shots: Sample, grid: tuple[int, int]) -> View:
    """How to compare at a camera with these shots (B = K, at least 1)."""
    clips = [shots.select([number]) for number in range(shots.clips)]  # all of them at once take too much memory
    background = None
    if "frames" in names:
        background = torch.stack([contrast(clip["frames"])[clip.known["frames"]].mean(0) for clip in clips]).mean(0)
    plain = View(tuple(names), background)
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for clip in clips:
        one = plain.described(clip, grid)[plain.known(clip)].flatten(0, -2).double()
        count, total, squares = count + len(one), total + one.sum(0), squares + one.square().sum(0)
    spread = (squares / max(count, 1) - (total / max(count, 1)).square()).clamp_min(0).sqrt()
    each = torch.cat([torch.full((_width(shots, name),), float(_width(shots, name))) for name in names]).sqrt()
    return View(plain.names, background, (spread.clamp_min(NOISE) * each).float())


def _width(sample: Sample, name: str) -> int:
    return 1 if name == "frames" else int(sample.features[name].shape[2])


@dataclass(frozen=True)
class Pattern:
    """One confirmed event, as M of its places."""

    values: Tensor
    """What the features showed (M, D)."""
    places: Tensor
    """Row and column in cells (M, 2)."""
    radii: Tensor
    """How far each reaches (M,)."""
    boost: float
    """Nats that a place gets which is just like it; at least 0."""

    def none(self) -> "Pattern":
        """The same of no place."""
        return replace(self, values=self.values[:0], places=self.places[:0], radii=self.radii[:0])

    def raised(self, described: Tensor) -> Tensor:
        """Nats (B, T, h, w), 0 to ``boost``, of what was described (B, T, h, w, D)."""
        if not len(self.values) or not self.boost > 0:
            return described.new_zeros(described.shape[:-1])
        flat = described.flatten(0, -2)
        distance = torch.cdist(flat, self.values, compute_mode="donot_use_mm_for_euclid_dist")
        alike = (1 - distance / self.radii).clamp(0, 1).reshape(*described.shape[:-1], -1)
        near = (1 - _apart(self.places, described) / REACH).clamp(0, 1).movedim(0, -1)
        return self.boost * (alike * near).amax(-1)

    @classmethod
    def of(cls, described: Tensor, cells: Tensor, shown: Sequence[Tensor], boost: float) -> "Pattern":
        """Of the places ``cells`` (M, 3: tick, row, column) of one clip as it was described (1, T, h, w, D)."""
        return cls.apart(described[0][tuple(cells.T)], cells[:, 1:], shown, boost)

    @classmethod
    def apart(cls, values: Tensor, places: Tensor, shown: Sequence[Tensor], boost: float) -> "Pattern":
        """Of values (M, D) at places (M, 2), but for those that are as what was ``shown``, the shots (1, T, h, w, D).

        Ticks that are not known are NaN.
        """
        radii = _nearest(values, places, shown)
        apart = radii > APART
        return cls(values[apart], places[apart], HALF * radii[apart], boost)


def _nearest(values: Tensor, places: Tensor, shown: Sequence[Tensor]) -> Tensor:
    """Distance (M,) of each to the nearest of what was shown within reach of its place; 0 where nothing was."""
    found = torch.full((len(values),), torch.inf)
    near = _apart(places, shown[0]) < REACH
    for clip in shown:
        for number, (value, mask) in enumerate(zip(values, near, strict=True)):
            distance = (clip[0][:, mask] - value).square().sum(-1).sqrt()
            least = distance[~distance.isnan()]
            if len(least):
                found[number] = torch.minimum(found[number], least.min())
    return found.nan_to_num(posinf=0.0)


def _apart(places: Tensor, described: Tensor) -> Tensor:
    """Heights of the picture (M, h, w) from each place to each cell of what was described (..., h, w, D)."""
    height, width = described.shape[-3:-1]
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None]
    down = rows[None] - places[:, 0, None, None]
    across = columns[None] - places[:, 1, None, None]
    distance: Tensor = torch.sqrt((down.square() + across.square()).float()) / min(height, width)
    return distance


@dataclass(frozen=True)
class Likeness:
    """Everything that was confirmed at a camera."""

    view: View = View()
    patterns: tuple[Pattern, ...] = ()

    def raised(self, sample: Sample, grid: tuple[int, int]) -> Tensor | None:
        """Nats (B, T, h, w) by which places are raised, at least 0 each; none where nothing raises."""
        if not any(len(pattern.values) and pattern.boost > 0 for pattern in self.patterns):
            return None
        described = self.view.described(sample, grid)
        found = torch.stack([pattern.raised(described) for pattern in self.patterns]).amax(0)
        return found * self.view.known(sample)[:, :, None, None]


NOTHING = Likeness()
"""Where nothing was confirmed."""
