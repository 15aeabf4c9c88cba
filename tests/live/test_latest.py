"""A detector's folder while somebody corrects it: what is in use is seen, cheaply, and once."""

from dataclasses import replace

import pytest

import metavad
from metavad.errors import BundleError
from metavad.live import latest as module
from metavad.live.latest import EVERY, LatestDetector
from metavad.normality.detector import save_threshold
from metavad.normality.versions import rollback
from metavad.scenes.suite import load_suite


@pytest.fixture(scope="module")
def detector(cameras, tiny_base):
    return metavad.adapt(tiny_base, load_suite(str(cameras)).scenes[0], shots=2)


class Clock:
    """Seconds that pass by one look each."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds

    def ask(self, latest):
        """What two looks find."""
        found = []
        for _ in range(2):
            self.seconds += EVERY
            found.append(latest.changed())
        return found


@pytest.fixture
def watched(detector, tmp_path):
    """A folder, how it is looked at, its clock, and how often it was opened."""
    folder, clock, opened = tmp_path / "lobby", Clock(), []
    metavad.save_detector(folder, detector)

    def load():
        opened.append(1)
        return metavad.load_detector(folder)

    return folder, LatestDetector(folder, load, now=clock), clock, opened


def test_versions_rollbacks_and_thresholds_are_seen(watched, detector):
    folder, latest, clock, opened = watched
    assert clock.ask(latest) == [None, None]
    corrected = detector.with_threshold(9.0)
    metavad.save_version(folder, corrected)
    first, second = clock.ask(latest)
    assert first is None  # somebody may still write
    assert (second.digest, latest.number) == (corrected.digest, 2)
    save_threshold(folder, detector.with_threshold(7.0))
    assert clock.ask(latest)[1].threshold == 7.0
    rollback(folder)
    assert clock.ask(latest)[1].digest == detector.digest
    assert latest.number == 1
    save_threshold(folder, detector.with_threshold(5.0))
    assert clock.ask(latest)[1].threshold == 5.0
    assert clock.ask(latest) == [None, None]
    assert len(opened) == 4


def test_nothing_is_looked_at_in_between(watched, detector, monkeypatch):
    folder, latest, clock, _ = watched
    metavad.save_version(folder, replace(detector, threshold=9.0))
    monkeypatch.setattr(module, "stamp", None)
    for _ in range(3):
        assert latest.changed() is None
    clock.seconds = EVERY
    with pytest.raises(TypeError):
        latest.changed()


def test_what_cannot_be_read_is_named_once_until_it_changes(watched, detector):
    folder, latest, clock, _ = watched
    facts = (folder / "detector.json").read_bytes()
    (folder / "detector.json").write_bytes(b"{}")
    clock.seconds = EVERY
    assert latest.changed() is None
    with pytest.raises(BundleError, match="expected a detector of format"):
        clock.ask(latest)
    assert clock.ask(latest) == [None, None]
    (folder / "detector.json").unlink()
    clock.seconds += EVERY
    assert latest.changed() is None
    with pytest.raises(BundleError, match="found none"):
        clock.ask(latest)
    (folder / "detector.json").write_bytes(facts)
    assert clock.ask(latest)[1].digest == detector.digest
    (folder / "versions.json").write_text("?")
    with pytest.raises(BundleError, match="expected the versions of a detector"):
        clock.ask(latest)


def test_a_file_that_cannot_be_opened_is_one_line(watched, detector):
    folder, _, clock, _ = watched

    def load():
        raise PermissionError(13, "Permission denied")

    latest = LatestDetector(folder, load, now=clock)
    metavad.save_version(folder, detector)
    with pytest.raises(BundleError, match=r"expected a detector, found what cannot be read \(permission denied\)"):
        clock.ask(latest)
