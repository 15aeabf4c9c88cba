"""Figures over a gap between recordings: nobody waits for a score, and no mean reaches over it."""

from types import SimpleNamespace

import numpy as np
import pytest

from metavad.benchmark.figures import _causal, _latency
from metavad.recordings import recordings
from metavad.scenes.video import tick_frames


def trial_of(seconds, past=0.9):
    """A scene under test of one video with frames at these times."""
    ticks = tick_frames(seconds, 10)
    return SimpleNamespace(
        base=SimpleNamespace(config=SimpleNamespace(scoring=SimpleNamespace(past=past, future=0.5))),
        truth={"a": (np.zeros(len(seconds), bool), np.ones(len(seconds), bool))},
        facts=lambda name: SimpleNamespace(seconds=seconds),
        ticks=lambda name: ticks,
        recordings=lambda name: np.searchsorted(ticks, recordings(seconds)),
    )


def test_the_last_scores_of_a_recording_do_not_wait_for_the_next_one():
    alone = np.arange(5) / 10
    seconds = np.concatenate([alone, 3600 + alone, 7200 + alone])
    assert _latency(trial_of(seconds), 1e9) == pytest.approx(_latency(trial_of(alone), 1e9), abs=1e-6)


def test_a_causal_score_begins_anew_after_a_gap():
    seconds = np.concatenate([np.arange(10) / 10, 3 + np.arange(10) / 10])
    found = _causal(trial_of(seconds, past=60.0), "a", np.repeat([5.0, 1.0], 10))
    np.testing.assert_allclose(found, np.repeat([5.0, 1.0], 10))
