"""Train the tiny backbone that ships, on generated cameras, and write its weights.

python benchmarks/tiny_backbone.py --suite cameras/suite.toml --out metavad/features/backbones/tiny.safetensors
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from metavad.features.backbones.tiny import train_tiny
from metavad.scenes.cache import Store, working_frames
from metavad.scenes.suite import load_suite


def main() -> None:
    """Train, say how well it tells ways of playing apart, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    store, videos = Store(), []
    for scene in load_suite(asked.suite).scenes:
        for video in scene.normal:
            videos.append(working_frames(store, video, short_side=240, rate=10.0, crop=scene.crop)[0])
    started, shares = time.monotonic(), []
    for network, share in train_tiny(videos, steps=asked.steps, batch=16):
        shares.append(share)
        if len(shares) % 50 == 0:
            said = f"step {len(shares)}: {np.mean(shares[-50:]):.3f} told right, {time.monotonic() - started:.0f} s"
            print(said, flush=True)
            save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, asked.out)


if __name__ == "__main__":
    main()
