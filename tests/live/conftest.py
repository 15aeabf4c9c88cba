"""What ``watch`` would give a store: events, snapshots and frames of a camera of 48 x 64 pixels."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from metavad.live.index import Session
from metavad.live.types import CameraEvent, ScoredFrame, Snapshot

SIZE = 48, 64
BEGAN = 1_780_000_000.0
"""Seconds since 1970, in May 2026."""


def picture(number, size=SIZE):
    """Grey (H, W), each another one."""
    return np.random.default_rng(number).integers(40, 200, size).astype(np.uint8)


def jpeg(number, size=SIZE):
    wide = cv2.resize(picture(number, (6, 8)), size[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", cv2.cvtColor(wide, cv2.COLOR_GRAY2BGR))[1].tobytes()


def scored(first, last, *, high=(), recording=0, rate=10):
    """Frames of these seconds after the beginning, those between ``high`` with an alarm in a box."""
    for number in range(round(first * rate), round(last * rate)):
        seconds = number / rate
        alarm = bool(high) and high[0] <= seconds < high[1]
        box = (8.0, 12.0, 24.0, 40.0)
        yield ScoredFrame(
            BEGAN + seconds, 9.0 if alarm else 1.0, alarm, recording, box, jpeg(number), picture(number, (24, 32))
        )


def event(start=10.0, end=12.0, **changes):
    made = CameraEvent(
        id="lobby-20260528-000010",
        camera="lobby",
        detector="d" * 64,
        clock="utc",
        start=BEGAN + start,
        end=BEGAN + end,
        peak=BEGAN + (start + end) / 2,
        score=9.0,
        threshold=5.0,
        box=(8.0, 12.0, 24.0, 40.0),
        reason="something moves 3.1 times as fast as anything shown at this place (left)",
        shares={"flow_density": 0.8, "direction": 0.2},
    )
    return replace(made, **changes)


def snapshot(at=11.0):
    heat = np.zeros((6, 8))
    heat[2, 2] = 8.0
    return Snapshot(BEGAN + at, jpeg(round(10 * at)), SIZE, (8.0, 12.0, 24.0, 40.0), heat)


@pytest.fixture
def session():
    return Session("lobby", "utc", "d" * 64, 5.0, 1.0, 300.0)
