"""Memory banks of a camera's own footage: of its two halves, each for what the other one shows, and of all of it."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from metavad.normality.detector import Detector
from metavad.normality.memory_bank import MemoryBank, bank_feature
from metavad.progress import Progress, along
from metavad.scenes.cache import Store, video_facts
from metavad.scenes.scene import Scene
from metavad.scoring.looks import bank_size, looks
from metavad.scoring.pieces import Piece, has_a_bank, planned_seconds
from metavad.types import ByteArray, FloatArray

__all__ = ["blank_bank", "crossed_banks", "whole_bank"]

LOOKS, APART = 256, 900.0
"""Of how many pictures of the footage beside the clips a memory bank is, about; and what lies nearer together than so
many seconds is in one half."""


def crossed_banks(
    detector: Detector, pieces: Sequence[Piece], store: Store, progress: Progress
) -> Sequence[MemoryBank | None]:
    """For each piece a bank that knows nothing of it; none where there is too little.

    The footage is cut into stretches of a quarter of an hour or more, of which every other one is in the other bank.
    """
    if not has_a_bank(pieces):
        return [None] * len(pieces)
    sides = _sides(pieces)
    known: list[list[tuple[ByteArray, str, float]]] = [[], []]
    begun, every = 0.0, planned_seconds(pieces) / LOOKS
    for piece, side in along(progress, "Looking at what is there", list(zip(pieces, sides, strict=True))):
        wanted = np.arange(math.ceil(begun / every - 0.5), math.ceil((begun + piece.seconds) / every - 0.5)) + 0.5
        shares = (wanted * every - begun) / piece.seconds
        begun += piece.seconds
        known[side] += _looked(detector, piece, shares, store)
    if not all(known):
        return [None] * len(pieces)
    halves = [
        MemoryBank(torch.from_numpy(np.stack([row for row, *_ in each]).view(np.int8)), tuple(one[1:] for one in each))
        for each in known
    ]
    return [halves[1 - side] for side in sides]


def whole_bank(detector: Detector, scene: Scene, banks: Sequence[MemoryBank | None], store: Store) -> MemoryBank | None:
    """Of both halves, and of a picture of each clip shown, or of ``LOOKS`` of them; none where there are no halves."""
    halves = list({id(bank): bank for bank in banks if bank is not None}.values())
    if not halves:
        return None
    found, shots = halves[0].joined(halves[1]), detector.shots
    chosen = {shots[number] for number in np.linspace(0, len(shots) - 1, min(len(shots), LOOKS)).round().astype(int)}
    for video in scene.normal:
        inside = [clip for clip in chosen if clip.side == "normal" and clip.video == video.name]
        if inside:
            frames = np.unique([clip.first + clip.length // 2 for clip in inside])
            seconds = video_facts(store, video, detector.camera.crop).seconds[frames]
            origins = [(video.name, float(second)) for second in seconds]
            found = found.also(looks(detector, video, frames, store), origins)
    return found


def blank_bank(detector: Detector) -> MemoryBank:
    """One as large as that of a half: to try how long it takes."""
    size = bank_size(detector)
    rows = torch.zeros(LOOKS // 2, *bank_feature(size, detector.model.device).shape(*size), dtype=torch.int8)
    return MemoryBank(rows, (("", 0.0),) * len(rows))


def _sides(pieces: Sequence[Piece]) -> list[int]:
    """To which of two halves each piece belongs."""
    sides, begin, side = list[int](), -math.inf, 1
    for piece in pieces:
        if piece.clock - begin >= APART:
            begin, side = piece.clock, 1 - side
        sides.append(side)
    return sides


def _looked(detector: Detector, piece: Piece, shares: FloatArray, store: Store) -> list[tuple[ByteArray, str, float]]:
    """Patches (152, h, w) of pictures at these shares of a piece, with their video and second."""
    if not len(shares):
        return []
    camera, (first, end) = detector.camera, piece.frames
    frames = np.unique(np.minimum(first + (shares * (end - first)).astype(int), end - 1))
    seconds = video_facts(store, piece.video, camera.crop).seconds[frames]
    found = looks(detector, piece.video, frames, store)
    return [(row, piece.video.name, float(second)) for row, second in zip(found, seconds, strict=True)]
