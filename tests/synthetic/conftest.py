"""Footage that several tests look at: tiny cameras, rendered once."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from metavad.synthetic import CameraSpec, VideoPlan, build_world, plan_videos, render, sample_camera
from metavad.types import BoolArray, ByteArray

CAMERAS = 12


@dataclass(frozen=True)
class Footage:
    """One rendered test video: grey frames (T, H, W) and labels (T,)."""

    spec: CameraSpec
    video: VideoPlan
    frames: ByteArray
    labels: BoolArray


@pytest.fixture(scope="session")
def footage() -> list[list[Footage]]:
    """Test videos of a dozen cameras."""
    cv2.setNumThreads(1)
    return [_camera(sample_camera(7, index, "tiny")) for index in range(CAMERAS)]


def _camera(spec: CameraSpec) -> list[Footage]:
    world, videos = build_world(spec), plan_videos(spec, 0, 4, 4.0, 4.0)[1]
    return [_filmed(spec, video, list(render(spec, video, world))) for video in videos]


def _filmed(spec, video, rendered) -> Footage:
    grey = np.stack([cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) for frame in rendered])
    return Footage(spec, video, grey, np.array([frame.mask.any() for frame in rendered]))
