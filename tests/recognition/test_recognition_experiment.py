"""Two sides, the threshold, and which clips are shown."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from metavad.recognition.experiment import accept_threshold, shown_clips, together, two_sides
from metavad.recognition.suite import ClassSuite, ClipClass
from metavad.scenes.scene import Video


def suite_of(train=6, classes=3):
    def clips(side, name, count):
        return tuple(Video(f"{side}/{name}/{n}", Path(f"{side}/{name}/{n}.mp4")) for n in range(count))

    allowed = [
        ClipClass(f"a{n}", True, clips("train", f"a{n}", train), clips("test", f"a{n}", 2)) for n in range(classes)
    ]
    return ClassSuite("gym", "Gym", Path(), (*allowed, ClipClass("b", False, (), clips("test", "b", 4))), 0.9)


@given(st.integers(0, 10_000))
def test_figures_agree_with_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    scores, forbidden = generator.integers(0, 6, 20).astype(float), np.arange(20) % 3 == 0
    found = two_sides(scores, forbidden, 2.0)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(forbidden, scores > 2.0))
    assert found["auc"] == pytest.approx(roc_auc_score(forbidden, scores))


def test_the_threshold_accepts_what_it_says():
    """Over many draws: a new clip of the same kind is accepted with the probability asked for, or a little more."""
    generator = np.random.default_rng(0)
    draws = generator.normal(size=(4000, 20))
    accepted = [row[-1] <= accept_threshold(row[:-1], 0.8) for row in draws]
    assert 0.78 < np.mean(accepted) < 0.86


def test_of_few_scores_the_threshold_is_the_highest():
    assert accept_threshold(np.array([3.0, 1.0, 2.0]), 0.9) == 3.0
    assert accept_threshold(np.arange(9.0), 0.5) == 4.0
    assert accept_threshold(np.arange(9.0), 0.9) == 8.0


def test_scores_of_other_scales_count_alike():
    left_out = np.random.default_rng(0).normal(size=(10, 2)) * [1.0, 1000.0]
    scores = np.random.default_rng(1).normal(size=(5, 2)) * [1.0, 1000.0]
    np.testing.assert_allclose(together(left_out, scores), together(left_out / [1, 1000], scores / [1, 1000]))
    assert np.isfinite(together(left_out[:1], scores)).all()


def test_shown_clips_are_of_training_and_of_every_allowed_class():
    suite = suite_of()
    shown = [clip.name for clip in shown_clips(suite, 4, seed=1)]
    assert len(set(shown)) == 12
    assert all(name.startswith("train/a") for name in shown)
    assert [name.split("/")[1] for name in shown] == ["a0", "a1", "a2"] * 4
    assert shown == [clip.name for clip in shown_clips(suite, 4, seed=1)]
    assert shown != [clip.name for clip in shown_clips(suite, 4, seed=2)]


def test_test_clips_never_decide_the_threshold(monkeypatch):
    """The same shown clips under other test clips: the same threshold."""
    from metavad.recognition import experiment

    monkeypatch.setattr(experiment, "join", lambda samples: samples)
    monkeypatch.setattr(experiment, "_fitted", lambda method, shown: float(np.mean(shown)))
    monkeypatch.setattr(experiment, "clip_scores", lambda model, sample: np.array([abs(sample - model)]))
    found = []
    for shift in (0.0, 50.0):
        trial = object.__new__(experiment._Trial)
        trial.suite = suite_of()
        trial.base = type("Base", (), {"config": type("Config", (), {"experts": ("embedding",)})})
        clips = [clip for each in trial.suite.classes for clip in (*each.train, *each.test)]
        trial._samples = {clip.name: n + shift * clip.name.startswith("test") for n, clip in enumerate(clips)}
        found.append(trial.measure("adapted", 3, 0)["embedding"])
    assert found[0].threshold == found[1].threshold
    assert found[0].figures != found[1].figures
