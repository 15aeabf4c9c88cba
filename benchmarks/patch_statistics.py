"""Mean and standard deviation of each channel of the patches, over cameras, for networks/efficientnet-lite0.toml.

    python benchmarks/patch_statistics.py --suite benchmarks/suites/licensed.toml --data DATA --json FILE

Every camera counts the same, by so many frames spread evenly over its normal videos.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from record import begin, options, record_of, write

from metavad.features.networks.efficientnet_lite import patch_network
from metavad.features.networks.registry import network_named
from metavad.features.networks.torch_runner import TorchRunner
from metavad.features.patches import average_patches
from metavad.scenes.cache import Store, working_frames
from metavad.scenes.scene import Scene
from metavad.types import FloatArray
from metavad.workflows.suites import open_suite


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__, base=False)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--frames", type=int, default=24, help="of each camera")
    return parser


def means(scene: Scene, runner: TorchRunner, frames: int) -> FloatArray:
    """Mean of each channel and of its square (2, C) over a camera's patches."""
    pictures = np.concatenate(
        [working_frames(Store(), video, short_side=240, rate=1.0, crop=scene.crop)[0] for video in scene.normal]
    )
    some = pictures[np.linspace(0, len(pictures) - 1, frames).round().astype(int)]
    width = 16 * round(some.shape[2] / 16)
    found = runner([cv2.resize(np.asarray(each), (width, 240), interpolation=cv2.INTER_AREA) for each in some])
    patches = average_patches(*found).double()
    return torch.stack([patches.mean((0, 2, 3)), patches.square().mean((0, 2, 3))]).numpy()


def main() -> None:
    """Measure, print the table, write the record."""
    given = begin(arguments())
    scenes = open_suite(given.suite, data=given.data).scenes
    runner = TorchRunner(patch_network(), network_named("efficientnet-lite0").input)
    mean, square = np.mean([means(scene, runner, given.frames) for scene in scenes], axis=0)
    deviation = np.sqrt(square - mean**2)
    for name, values in (("mean", mean), ("deviation", deviation)):
        print(f"{name} = [{', '.join(f'{value:.3g}' for value in values)}]")
    rows = {"mean": mean.tolist(), "deviation": deviation.tolist()}
    write(given.json, record_of(rows, base=None, scenes=[scene.key for scene in scenes], frames=given.frames))


if __name__ == "__main__":
    main()
