"""What is there at a camera: patches of its own normal footage, and how far a picture is from them, place by place."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metavad.config import PatchesConfig
from metavad.errors import NonFiniteError
from metavad.features.patches import CHANNELS, LONGEST, STEPS, PatchesFeature
from metavad.normality.own_footage import OwnFootage
from metavad.threads import one_thread
from metavad.types import BoolArray, ByteArray, FloatArray, IntArray

__all__ = [
    "LASTS",
    "MINUTE",
    "NOVELTY",
    "RATE",
    "MemoryBank",
    "Scale",
    "bank_feature",
    "farthest",
    "novelty_scale",
    "patch_distances",
]

NOVELTY = "novelty"
"""What its feature is called among those of a tick, and it among the experts of a reason."""
RATE = 0.5
"""Looks a second."""
SHORT_SIDE = 240
"""Pixels of the shorter side of what the network sees at most."""
LASTS = 10.0
"""Seconds over which distances are averaged: what is there for long is what motion does not show."""
CELLS = 3
"""Farthest places that a picture's distance is the mean of."""
NEAR = 3
"""Cells down and across that count as one place: the same and those beside it."""
FAR = 1e6
"""Squared distance to what is not there."""
USUAL, RARE = 0.9, 0.985
"""Shares of a camera's minutes up to whose highest score two scales are made one."""
MINUTE, FEWEST = 60.0, 50
"""Seconds of a minute, and of how many there have to be distances."""
LEAST_NATS, LEAST_DISTANCE = math.log((1 - USUAL) / (1 - RARE)), 0.01
"""By how much the rare minutes are above the usual ones at least, on each scale."""


@dataclass(frozen=True)
class Scale:
    """Distances as frame scores: a line through two points."""

    distance: float
    """That of the usual minute of normal footage."""
    score: float
    """The frame score that is as rare."""
    slope: float
    """Frame score by distance."""

    def of(self, distances: FloatArray) -> FloatArray:
        """Frame scores, at least 0; NaN stays."""
        return np.asarray(np.maximum(self.score + self.slope * (distances - self.distance), 0.0))


@dataclass(frozen=True)
class MemoryBank:
    """M pictures of a camera's normal footage as patches, and how far what lasts may be from them.

    PatchCore's bank and distance (Roth et al. 2022, https://arxiv.org/abs/2106.08265), by place as in PaDiM (Defard et
    al. 2021, https://arxiv.org/abs/2011.08785), averaged over ten seconds. Nothing is learned; what counts is that the
    camera's own hours say which distances are usual there.
    """

    rows: Tensor
    """(M, 152, h, w) signed bytes, ``STEPS`` to a standard deviation of a channel."""
    origins: tuple[tuple[str, float], ...]
    """Video and second of each of the M pictures."""
    scale: Scale | None = None
    """Distances as frame scores; none while nobody knows which are usual."""
    left_out: tuple[int, ...] = ()
    """Numbers of pictures that do not count, since somebody said that they are not normal."""
    ignored: BoolArray | None = None
    """Places (h, w) that are never far; no part of what is saved."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns (h, w) of its places."""
        height, width = self.rows.shape[-2:]
        return int(height), int(width)

    def ignoring(self, cells: BoolArray) -> "MemoryBank":
        """The same for which no patch is far that shows any of some cells (any grid over the same picture)."""
        touched = functional.adaptive_max_pool2d(torch.from_numpy(cells).float()[None], self.grid)
        around = functional.max_pool2d(touched, NEAR, 1, NEAR // 2)  # a patch is averaged with those beside it
        return replace(self, ignored=around[0].bool().numpy())

    def also(self, rows: ByteArray, origins: Sequence[tuple[str, float]]) -> "MemoryBank":
        """The same with more pictures (N, 152, h, w), and where these come from."""
        return self.joined(MemoryBank(torch.from_numpy(np.array(rows).view(np.int8)), tuple(origins)))

    def joined(self, other: "MemoryBank") -> "MemoryBank":
        """The same with the pictures of another one."""
        rows = torch.cat([self.rows, other.rows])
        return replace(self, rows=rows, origins=(*self.origins, *other.origins))

    def leaving_out(self, own: OwnFootage, length: float) -> "MemoryBank":
        """The same for which pictures do not count whose seconds of the camera's own footage are left out.

        ``length`` is that of its windows, in seconds.
        """
        wrong = []
        for number, (video, second) in enumerate(self.origins):
            if video in own.videos:
                inside = (own.video == own.videos.index(video)) & (own.starts <= second)
                inside &= second < own.starts + length
                if (own.ruling[inside] < 0).any() and not (own.ruling[inside] > 0).any():
                    wrong.append(number)
        return replace(self, left_out=tuple(wrong))

    def without(self, seconds: Sequence[tuple[str, float, float]]) -> "MemoryBank":
        """The same without its pictures of these seconds of videos, unless these are all."""
        kept = [
            number
            for number, (video, second) in enumerate(self.origins)
            if not any(video == name and start <= second <= end for name, start, end in seconds)
        ]
        if not kept or len(kept) == len(self.origins):
            return self
        places = {number: place for place, number in enumerate(kept)}
        left_out = tuple(places[number] for number in self.left_out if number in places)
        return MemoryBank(self.rows[kept], tuple(self.origins[n] for n in kept), self.scale, left_out, self.ignored)

    @one_thread()
    def distances(self, row: ByteArray) -> FloatArray:
        """Root mean square distance (h, w) of each patch of a picture (152, h, w) to the nearest at its place or beside
        it, in standard deviations of a channel; higher = more anomalous."""
        nearest, _ = self._nearest(row)
        found = np.sqrt(np.maximum(nearest, 0.0) / CHANNELS)
        if not np.isfinite(found).all():
            raise NonFiniteError("the memory of what is there gave NaN or infinity; adapt the detector again")
        return found if self.ignored is None else np.where(self.ignored, 0.0, found)

    @one_thread()
    def origin(self, row: ByteArray, cell: tuple[int, int]) -> tuple[str, float]:
        """Video and second of the picture that has the nearest patch to that in a cell of a picture (152, h, w)."""
        return self.origins[int(self._nearest(row)[1][cell])]

    def _nearest(self, row: ByteArray) -> tuple[FloatArray, IntArray]:
        """Squared distance (h, w) to the nearest patch, and the number of its picture."""
        height, width = self.grid
        asked = torch.from_numpy(np.array(row).view(np.int8)).float()[None] / STEPS
        around = functional.unfold(asked, NEAR, padding=NEAR // 2).view(CHANNELS, NEAR * NEAR, height * width)
        products = torch.bmm(around.permute(2, 1, 0).contiguous(), self._places)
        lowest, which = (self._squares[:, None] - 2 * products).min(2)
        lowest, which = (each.T.reshape(NEAR, NEAR, height, width) for each in (lowest, which))
        best = torch.full((height, width), FAR)
        number = torch.zeros(height, width, dtype=torch.long)
        reach = NEAR // 2
        for down in range(-reach, reach + 1):
            for across in range(-reach, reach + 1):
                # What a place finds of the patch ``down`` below it is that patch's distance to the place above it.
                there = (slice(max(0, -down), height - max(0, down)), slice(max(0, -across), width - max(0, across)))
                here = (slice(max(0, down), height - max(0, -down)), slice(max(0, across), width - max(0, -across)))
                away = lowest[down + reach, across + reach][there]
                nearer = away < best[here]
                number[here] = torch.where(nearer, which[down + reach, across + reach][there], number[here])
                best[here] = torch.minimum(best[here], away)
        return (best + asked[0].square().sum(0)).double().numpy(), number.numpy()

    @cached_property
    def _places(self) -> Tensor:
        """(h w, 152, M)."""
        return (self.rows.flatten(2).permute(2, 1, 0).float() / STEPS).contiguous()

    @cached_property
    def _squares(self) -> Tensor:
        """Of each vector of a place (h w, M); far where it does not count."""
        found = self._places.square().sum(1)
        found[:, list(self.left_out)] += FAR
        return found


def bank_feature(size: tuple[int, int], device: str | None = None) -> PatchesFeature:
    """The feature that a bank keeps, for working pictures of this height and width; a small one is not magnified."""
    own = max(min(size), math.ceil(max(size) / LONGEST))
    feature = PatchesFeature(PatchesConfig(short_side=min(SHORT_SIDE, own), rate=RATE), device)
    feature.frames_kept = 0.0
    return feature


@one_thread()
def patch_distances(row: ByteArray, other: ByteArray) -> FloatArray:
    """Root mean square distance (h, w) of each patch of a picture (152, h, w) to the nearest of another one, at its
    place or beside it, in standard deviations of a channel."""
    asked, there = (torch.from_numpy(np.array(each).view(np.int8)).float() / STEPS for each in (row, other))
    height, width = asked.shape[1:]
    around = functional.pad(there, [NEAR // 2] * 4, value=math.inf)
    shifted = (
        around[:, down : down + height, across : across + width] for down in range(NEAR) for across in range(NEAR)
    )
    nearest = torch.stack([(asked - each).square().sum(0) for each in shifted]).amin(0)
    return np.asarray((nearest / CHANNELS).sqrt().double().numpy())


def farthest(distances: FloatArray) -> float:
    """The distance of a picture: the mean of its farthest places (h, w)."""
    return float(np.sort(distances, axis=None)[-CELLS:].mean())


def novelty_scale(scores: FloatArray, distances: FloatArray, minute: IntArray) -> Scale | None:
    """The scale on which a camera's normal minutes reach as high by what lasts as by everything else.

    Of N windows their highest frame score, their greatest distance and the number of their minute, ascending; NaN is
    not known. Block maxima (Gumbel 1958; Coles 2001, https://doi.org/10.1007/978-1-4471-3675-0): their two quantiles
    are made one, and beyond them both tails are taken for exponential. None where fewer than ``FEWEST`` minutes are
    known.
    """
    known = ~np.isnan(scores) & ~np.isnan(distances)
    begins = np.unique(minute[known], return_index=True)[1]
    if len(begins) < FEWEST:
        return None
    of_scores, of_distances = (
        np.quantile(np.maximum.reduceat(each[known], begins), [USUAL, RARE]) for each in (scores, distances)
    )
    rise = max(of_scores[1] - of_scores[0], LEAST_NATS)
    way = max(of_distances[1] - of_distances[0], LEAST_DISTANCE)
    return Scale(float(of_distances[0]), float(of_scores[0]), float(rise / way))
