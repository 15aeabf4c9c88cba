"""What is there that was never there: patches of the picture against those that the shots showed at the same place."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from metavad.config import Config, PatchesConfig
from metavad.experts.base import Expert, Memory, NearestPatch, Reason
from metavad.experts.placing import cells_of
from metavad.features.patches import CHANNELS, STEPS
from metavad.features.sample import Sample
from metavad.types import Box

__all__ = ["Patches", "coreset"]

CANDIDATES = 1024
"""Ticks of the shots that a memory is chosen from at most."""
AT_ONCE = 64
"""Ticks that are projected or measured at once."""
NEAR = (-1, 0, 1)
"""Cells down and across that count as one place."""
FAR = 1e4
"""Squared distance to what is not there."""
NEVER = -1e4
"""Logit of what is not compared."""
LEAST = 0.1
"""Distance, in standard deviations of a direction, under which two patches are the same."""


class Patches(Expert):
    """Distance of a patch, in a learned metric, to the nearest that the shots showed at its place or beside it.

    The distance is PatchCore's (Roth et al. 2022, https://arxiv.org/abs/2106.08265), by place as in PaDiM (Defard et
    al. 2021, https://arxiv.org/abs/2011.08785); the metric is a projection that is meta-learned over cameras and
    adapts to one: what ordinary time does to a place is to count for little in it. It is learned by contrast
    (van den Oord et al. 2018, https://arxiv.org/abs/1807.03748) among neighbourhoods (Goldberger et al. 2004,
    https://papers.nips.cc/paper/2566). Score of a cell: that distance, in standard deviations of a
    direction (higher = more anomalous).
    """

    name: ClassVar[str] = "patches"
    reads: ClassVar[tuple[str, ...]] = ("frames", "patches")
    head: ClassVar[tuple[str, ...]] = ("projection",)
    needs_support: ClassVar[bool] = True

    def __init__(self, rows: int, rate: float, settings: PatchesConfig = PatchesConfig()) -> None:
        super().__init__()
        self.rows, self.settings = rows, settings
        self.step = max(1, round(rate / settings.rate))
        """Ticks from one row of the feature to the next that may differ."""
        directions = torch.linalg.qr(torch.randn(CHANNELS, settings.dimension))[0]
        self.projection = nn.Parameter(directions.T.contiguous())
        """(D, 152); at first orthonormal, which keeps distances on average."""
        self.log_temperature = nn.Parameter(torch.tensor(-2.0))
        """Log of the mean squared distance over directions by which a neighbour is one e-fold less likely."""

    @classmethod
    def build(cls, config: Config) -> "Patches":
        """On the config's grid and rate, by the section ``patches``."""
        return cls(config.data.rows, config.data.rate, config.patches)

    def condition(self, support: Sample) -> Memory:
        """{"vectors": (M, D, h, w)}: projected patches of the shots at each place; where each was seen.

        {"shots": (M, h, w)} and {"ticks": (M, h, w)} say of which shot and of which of its ticks, from 0. At most
        ``patches.memory`` at a place; of more, a coreset. The shot of one that nothing is known of is -1.
        {"clips": (K,)}: zeros, one for each shot.
        """
        memory = self._remembered(support, *self._ticks(support))
        return memory | {"clips": memory["vectors"].new_zeros(support.clips)}

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Mean cross-entropy, in nats, of telling by distance which patch belongs to which place.

        Of patches at drawn ticks and cells, both ways: at a place its own patch against those of other places and
        halves of them put over its own; of a patch, its own place against the other ones. Without a memory every other
        tick of the sample stands in for one.
        """
        clips, ticks = self._ticks(sample)
        if len(memory["vectors"]) == 0:
            memory = self._remembered(sample, clips[::2], ticks[::2])
            clips, ticks = (each[1::2] if len(each) > 1 else each for each in (clips, ticks))
        grid = sample["patches"].shape[-2:]
        number, down, across = self._drawn(len(clips), *grid)
        clips, ticks = clips[number], ticks[number]
        vectors = self._projected(sample["patches"][clips, ticks, :, down, across])
        whole, half = self._nearness(vectors, *_around(_on_grid(memory, grid), down, across))
        known = sample.known["patches"][clips, ticks]
        apart = torch.maximum((down[:, None] - down).abs(), (across[:, None] - across).abs()) > max(NEAR)
        others = torch.where(apart & known[:, None], whole, NEVER)
        halves = torch.where(apart & known[:, None], half, NEVER)
        own = whole.diagonal()
        at_place = torch.logsumexp(torch.cat([own[None], others, halves]), 0)
        of_patch = torch.logsumexp(torch.cat([own[:, None], torch.where(apart, whole, NEVER)], 1), 1)
        weight = known.to(whole)
        loss: Tensor = ((at_place + of_patch - 2 * own) * weight).sum() / weight.sum().clamp_min(1.0)
        return loss

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """(B, T, h, w), the distance to the nearest that was shown; the floor everywhere while nothing was."""
        grid, shape = cells_of(sample, self.rows), sample.seconds.shape
        if len(memory["vectors"]) == 0:
            return self.projection.new_full((*shape, *grid), self.floor)
        away = torch.unflatten(self._distances(sample["patches"].flatten(0, 1), memory), 0, shape)
        maps = _spread(away, grid)
        return torch.where(self.known(sample)[:, :, None, None], maps, maps.new_tensor(self.floor))

    def explain(self, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason | None:
        """How far what is there is from the nearest that each shot showed at that place, and where that was.

        Of the patches from between which the score of the place is taken, the one that is farthest from what was shown.
        """
        count = len(memory["clips"])
        if count == 0:
            return None
        rows = sample["patches"][0, -1:]
        down, across = (each.to(rows.device) for each in _about(place, rows.shape[-2:]))
        fitting = _on_grid(memory, rows.shape[-2:])
        vectors, beyond = _around(fitting, down, across)
        here = self._projected(rows[0, :, down, across].T)[:, None]
        each = (here - vectors).square().mean(-1) + beyond
        which = int(each.amin(1).argmax())
        squares, vectors, beyond = each[which], vectors[which], beyond[which]
        origins = torch.stack([fitting["shots"], fitting["ticks"]], dim=1)
        near = _around({"vectors": origins, "shots": fitting["shots"]}, down[which, None], across[which, None])[0][0]
        shots, ticks = near.round().long().T
        nearest = squares.new_full((count + 1,), FAR)
        nearest = nearest.scatter_reduce(0, shots + 1, squares, "amin")[1:]
        distances = tuple(nearest.sqrt().detach().tolist())
        at, best = (int(down[which]), int(across[which])), int(squares.argmin())
        beside = at[0] + NEAR[best // len(NEAR) % len(NEAR)], at[1] + NEAR[best % len(NEAR)]
        pair = NearestPatch(
            _box(at, rows.shape[-2:]), int(shots[best]), int(ticks[best]), _box(beside, rows.shape[-2:])
        )
        return Reason(_sentence(distances, self._varies(vectors, beyond, shots)), distances, pair)

    def _ticks(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """Clip and tick (N,) of those of its ticks that may differ, or of some of these."""
        clips, ticks = sample.seconds.shape
        each = -(-ticks // self.step)
        number = torch.arange(0, clips * each, max(1, -(-clips * each // CANDIDATES)), device=sample.seconds.device)
        return torch.div(number, each, rounding_mode="floor"), number % each * self.step

    def _remembered(self, sample: Sample, clips: Tensor, ticks: Tensor) -> Memory:
        """Vectors, shots and ticks of these ticks of these clips (N,), by place."""
        patches, known = sample["patches"], sample.known["patches"][clips, ticks]
        height, width = patches.shape[-2:]
        if len(clips) > self.settings.memory:
            with torch.no_grad():
                parts = zip(torch.split(clips, AT_ONCE), torch.split(ticks, AT_ONCE), strict=True)
                vectors = torch.cat([self._projected(patches[part]) for part in parts])
                kept = coreset(vectors, known, self.settings.memory)
            down, across = (torch.arange(side, device=clips.device) for side in (height, width))
            rows = patches[clips[kept], ticks[kept], :, down[:, None], across].movedim(-1, 1)
            clips, ticks, known = clips[kept], ticks[kept], known[kept]
        else:
            rows = patches[clips, ticks]
            clips, ticks, known = (each[:, None, None].expand(-1, height, width) for each in (clips, ticks, known))
        shots = torch.where(known, clips, -1).to(self.projection)
        origins = {"shots": shots.contiguous(), "ticks": ticks.to(self.projection).contiguous()}
        return {"vectors": self._projected(rows).contiguous(), **origins}

    def _projected(self, rows: Tensor) -> Tensor:
        """Stored rows (N, 152, ...) as vectors (N, D, ...)."""
        return torch.einsum("dc,nc...->nd...", self.projection / STEPS, rows.to(self.projection))

    def _drawn(self, ticks: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Tick, row and column of patches spread over all: which, only these sizes say."""
        count = ticks * height * width
        step = max(1, count // self.settings.cells)
        step += step % 2 == 0  # odd, so that rows of even length do not give the same column again and again
        number = torch.arange(0, count, step, device=self.projection.device)
        cell = number % (height * width)
        tick, down = (
            torch.div(each, by, rounding_mode="floor") for each, by in ((number, height * width), (cell, width))
        )
        return tick, down, cell % width

    def _nearness(self, vectors: Tensor, places: Tensor, beyond: Tensor) -> tuple[Tensor, Tensor]:
        """Log likelihoods (C, C) of the i-th patch (C, D) at the j-th place, and of half of it over the patch there.

        A place is the vectors (C, k, D) around it, those that are not there ``beyond`` (C, k) reach.
        """
        products = torch.einsum("id,jkd->ijk", vectors, places)
        here = torch.einsum("jd,jkd->jk", vectors, places)
        among = vectors @ vectors.T
        own, squares = among.diagonal(), places.square().sum(-1)
        whole = own[:, None, None] + squares - 2 * products
        half = ((own[:, None] + own + 2 * among) / 4)[..., None] + squares - (products + here)
        scale = -torch.exp(-self.log_temperature) / vectors.shape[1]
        return (
            torch.logsumexp(scale * whole - beyond, -1),
            torch.logsumexp(scale * half - beyond, -1),
        )

    def _distances(self, rows: Tensor, memory: Memory) -> Tensor:
        """(N, h, w) of rows (N, 152, h, w); of equal ones that follow each other, the first is measured."""
        new = torch.cat(
            [torch.ones_like(rows[:1, 0, 0, 0], dtype=torch.bool), (rows[1:] != rows[:-1]).flatten(1).any(1)]
        )
        memory = _on_grid(memory, rows.shape[-2:])
        found = torch.cat([self._nearest(part, memory) for part in torch.split(rows[new], AT_ONCE)])
        return found[new.cumsum(0) - 1]

    def _nearest(self, rows: Tensor, memory: Memory) -> Tensor:
        """Distance (N, h, w) of rows (N, 152, h, w) to the nearest vector at each place or beside it."""
        height, width = rows.shape[-2:]
        vectors = self._projected(rows).flatten(2).permute(2, 0, 1)
        known, squares = _bordered(memory)
        lowest = vectors.new_full((height * width, len(rows)), FAR)
        for down in range(len(NEAR)):
            for across in range(len(NEAR)):
                part = (..., slice(down, down + height), slice(across, across + width))
                products = vectors @ known[part].flatten(2).permute(2, 1, 0)
                beside = squares[part].flatten(1).T[:, None] - 2 * products
                lowest = torch.minimum(lowest, beside.amin(-1))
        lowest = (lowest + vectors.square().sum(-1)).clamp_min(0) / vectors.shape[-1]
        return torch.unflatten((lowest + LEAST**2).sqrt().T, 1, (height, width))

    def _varies(self, vectors: Tensor, beyond: Tensor, shots: Tensor) -> float:
        """The longest way from a vector (k, D) at a place to the nearest of another shot (k,) there."""
        squares = torch.cdist(vectors, vectors).square() / vectors.shape[1] + beyond
        others = torch.where(shots[:, None] == shots, FAR, squares).amin(1)
        usable = (beyond == 0) & (others < FAR)
        return float(torch.where(usable, others, 0.0).amax().sqrt().detach())


def coreset(vectors: Tensor, known: Tensor, count: int) -> Tensor:
    """Which ``count`` of N vectors (N, D, h, w) stand for all at each place: (count, h, w) numbers of vectors.

    Greedy k-center (Sener and Savarese 2018, https://arxiv.org/abs/1708.00489): the first known one (N,), then the
    farthest from those that were chosen, again and again.
    """
    height, width = vectors.shape[-2:]
    places = vectors.flatten(2).permute(2, 0, 1).contiguous()
    squares = places.square().sum(-1)
    away = torch.where(known, torch.inf, -1.0).to(places).expand(len(places), -1)
    chosen = []
    for _ in range(count):
        farthest = away.argmax(1)
        chosen.append(farthest)
        one = places.gather(1, farthest[:, None, None].expand(-1, 1, places.shape[-1]))
        reach = squares + one.square().sum(-1) - 2 * (places @ one.transpose(1, 2))[..., 0]
        away = torch.minimum(away, reach.clamp_min(0))
    return torch.unflatten(torch.stack(chosen), 1, (height, width))


def _bordered(memory: Memory) -> tuple[Tensor, Tensor]:
    """Vectors (M, D, h + 2, w + 2) with a border of nothing, and their squares (M, h + 2, w + 2), far if not known."""
    known = memory["vectors"]
    squares = known.square().sum(1) + torch.where(memory["shots"] < 0, FAR * known.shape[1], 0.0)
    return (
        functional.pad(known, (1, 1, 1, 1)),
        functional.pad(squares, (1, 1, 1, 1), value=FAR * known.shape[1]),
    )


def _around(memory: Memory, down: Tensor, across: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors (C, 9 M, D) at C cells and beside them, and ``FAR`` for those that are not there (C, 9 M), else 0."""
    near = torch.arange(len(NEAR), device=down.device)
    rows, columns = (down[:, None, None] + near[:, None]), (across[:, None, None] + near)
    vectors = functional.pad(memory["vectors"], (1, 1, 1, 1))[:, :, rows, columns]
    shots = functional.pad(memory["shots"], (1, 1, 1, 1), value=-1.0)[:, rows, columns]
    there = torch.where(shots < 0, FAR, 0.0).to(vectors)
    return vectors.movedim(2, 0).movedim(2, -1).flatten(1, 3), there.movedim(1, 0).flatten(1)


def _on_grid(memory: Memory, grid: Sequence[int]) -> Memory:
    """A memory at the cells (h, w) of a picture of another shape: of another camera, or before any was seen."""
    own = memory["shots"].shape[-2:]
    if tuple(own) == tuple(grid):
        return memory
    rows, columns = (
        torch.div(torch.arange(to, device=memory["shots"].device) * since, to, rounding_mode="floor")
        for to, since in zip(grid, own, strict=True)
    )
    return {name: memory[name][..., rows[:, None], columns] for name in ("vectors", "shots", "ticks")}


def _about(place: tuple[float, float], grid: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Rows and columns (C,) of the up to four cells of a grid (h, w) whose middles lie around a place."""
    ends = []
    for share, length in zip(place, grid, strict=True):
        before = math.floor(share * length - 0.5)
        ends.append(sorted({min(max(0, each), length - 1) for each in (before, before + 1)}))
    cells = torch.cartesian_prod(*(torch.tensor(each) for each in ends))
    return cells[:, 0], cells[:, 1]


def _box(cell: tuple[int, int], grid: Sequence[int]) -> Box:
    """A cell (row, column) of a grid (h, w), in shares of the picture's width and height."""
    (down, across), (height, width) = cell, grid
    return across / width, down / height, (across + 1) / width, (down + 1) / height


def _spread(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Maps (B, T, h, w) on the detector's grid: a finer cell takes what lies around it, a coarser one the highest."""
    if maps.shape[-2] > grid[0] or maps.shape[-1] > grid[1]:
        pooled: Tensor = functional.adaptive_max_pool2d(maps, grid)
        return pooled
    return functional.interpolate(maps, size=grid, mode="bilinear", align_corners=False)


def _sentence(distances: Sequence[float], varies: float) -> str:
    """Of the distance to each shot, and how far shots are from each other there."""
    nearest = min(range(len(distances)), key=distances.__getitem__)
    shots = "the shot did not show" if len(distances) == 1 else f"none of the {len(distances)} shots showed"
    if len(distances) > 1 and distances[nearest] <= varies:
        return f"looks no more unlike the shots than these are unlike each other here, nearest to shot {nearest + 1}"
    return f"is there that {shots} at this place, nearest to shot {nearest + 1}"
