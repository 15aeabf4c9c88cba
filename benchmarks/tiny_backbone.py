"""Train the tiny backbone that ships, on generated cameras, and write its weights.

    python benchmarks/tiny_backbone.py --suite cameras/suite.toml --steps 1200 \\
        --out metavad/features/backbones/tiny.safetensors --json FILE
"""

import argparse
import time
from pathlib import Path

import numpy as np
from record import begin, options, record_of, write
from safetensors.torch import save_file

from metavad.features.backbones.tiny import train_tiny
from metavad.scenes.cache import Store, working_frames
from metavad.workflows.suites import open_suite


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__, base=False)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    return parser


def main() -> None:
    """Train, say how well it tells ways of playing apart, write."""
    given = begin(arguments())
    store, videos = Store(), []
    for scene in open_suite(given.suite).scenes:
        for video in scene.normal:
            videos.append(working_frames(store, video, short_side=240, rate=10.0, crop=scene.crop)[0])
    started, shares, rows = time.monotonic(), [], []
    for network, share in train_tiny(videos, steps=given.steps, batch=16):
        shares.append(share)
        if len(shares) % 50 == 0:
            rows.append({"step": len(shares), "told right": float(np.mean(shares[-50:]))})
            print(rows[-1], f"{time.monotonic() - started:.0f} s", flush=True)
            save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, given.out)
    write(given.json, record_of(rows, base=None, suite=given.suite))


if __name__ == "__main__":
    main()
