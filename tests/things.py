"""Samples of regions made by hand, for tests of the experts that read them."""

import torch

from metavad.features.looks import LOOKS
from metavad.features.octants import OCTANTS
from metavad.features.regions import FACTS, LOOKED, MAGNITUDES, MOTION
from metavad.features.sample import Sample

SLOTS = 4
WIDTH = LOOKED + LOOKS


def region(box=(0.4, 0.4, 0.6, 0.8), speed=0.15, way=0, looks=None):
    """One region (``WIDTH``,): all its pixels move with ``speed`` heights/second into octant ``way``."""
    row = torch.zeros(WIDTH)
    row[0], row[1:5], row[6] = 1.0, torch.tensor(box), speed
    level = min(range(len(MAGNITUDES)), key=lambda each: abs(MAGNITUDES[each] - speed))
    row[FACTS + (way % OCTANTS) * len(MAGNITUDES) + level] = 1.0
    row[FACTS + MOTION :] = bars() if looks is None else looks
    return row


def bars(first=0):
    """Histogram of gradients of stripes: every cell has one direction."""
    looks = torch.zeros(LOOKS)
    looks[first::8] = 1.0
    return looks / looks.norm()


def sample_of_regions(clips, ticks=4, size=(24, 32)):
    """K clips, each a list of regions that are there at every tick."""
    rows = torch.zeros(len(clips), ticks, SLOTS, WIDTH)
    for clip, regions in enumerate(clips):
        for slot, one in enumerate(regions):
            rows[clip, :, slot] = one
    known = torch.ones(len(clips), ticks, dtype=torch.bool)
    frames = torch.zeros(len(clips), ticks, *size)
    seconds = torch.arange(ticks).repeat(len(clips), 1) / 10
    return Sample({"frames": frames, "regions": rows}, {"frames": known, "regions": known}, seconds)
