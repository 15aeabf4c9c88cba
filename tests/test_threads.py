"""The number of cores changes no bit, and what the caller allowed torch is the caller's again afterwards."""

from threading import Event, Thread

import cv2
import pytest
import torch

from metavad.benchmark.experiment import run_benchmark
from metavad.benchmark.protocol import MEASURED
from metavad.experts.flow_density import FlowDensity
from metavad.normality.detector import save_detector
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite
from metavad.scoring.calibrating import calibrate
from metavad.scoring.stream import score
from metavad.threads import begun, one_thread, workers
from metavad.workflows.few_shot import adapt
from metavad.workflows.machine import describe_machine
from metavad.workflows.meta_train import meta_train


@pytest.fixture
def threads():
    """Sets torch's and OpenCV's threads."""
    before = torch.get_num_threads(), cv2.getNumThreads()

    def set_to(torchs: int, opencvs: int) -> None:
        torch.set_num_threads(torchs)
        cv2.setNumThreads(opencvs)

    yield set_to
    set_to(*before)


@pytest.fixture(scope="module")
def scene(cameras):
    return load_suite(str(cameras)).scenes[0]


@pytest.fixture
def rounding(monkeypatch):
    """The small footage of tests has no sum that is long enough: scores with the rounding of one that is."""
    plain, many = FlowDensity.score, torch.linspace(0, 1, 1_000_003)
    monkeypatch.setattr(
        FlowDensity,
        "score",
        lambda expert, sample, memory: plain(expert, sample, memory) + (many.sin().sum() - 459_697),
    )


def _bits(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_one_thread_inside_and_the_callers_number_afterwards(threads):
    threads(3, 1)
    found = []
    with one_thread():
        new = Thread(target=lambda: found.append(torch.get_num_threads()))
        new.start()
        new.join()
        with one_thread():
            found += [torch.get_num_threads(), workers()]
        found += [torch.get_num_threads(), workers()]
    assert found == [1, 1, 3, 1, 3]
    assert (torch.get_num_threads(), workers()) == (3, 3)
    with pytest.raises(ValueError, match="on purpose"), one_thread():
        raise ValueError("on purpose")
    assert (torch.get_num_threads(), workers()) == (3, 3)


def test_a_thread_that_prefetches_has_one_for_as_long_as_it_lives(threads):
    threads(3, 1)
    found, go_on = [], Event()

    def work():
        go_on.wait()
        found.append(torch.get_num_threads())

    thread = begun(work)
    assert torch.get_num_threads() == 3
    go_on.set()
    thread.join()
    assert found == [1]
    new = Thread(target=lambda: found.append(torch.get_num_threads()))
    new.start()
    new.join()
    assert found == [1, 3]


@pytest.mark.parametrize("many", [(2, 1), (1, 2), (3, 3)], ids=["torch", "opencv", "both"])
def test_adapting_gives_the_same_detector_on_any_number_of_threads(tiny_base, scene, threads, tmp_path, many):
    for name, count in (("one", (1, 1)), ("many", many)):
        threads(*count)
        save_detector(tmp_path / name, adapt(tiny_base, scene, shots=8))
        assert (torch.get_num_threads(), cv2.getNumThreads()) == count
    assert _bits(tmp_path / "one") == _bits(tmp_path / "many")


@pytest.mark.usefixtures("rounding")
def test_scores_and_calibrations_are_the_same_on_any_number_of_threads(tiny_base, scene, threads, tmp_path):
    found, detector = [], adapt(tiny_base, scene, shots=4, alarms_per_day=5000)
    for count in ((1, 1), (2, 2), (3, 1)):
        threads(*count)
        scores = []
        for frame in score(detector, scene.test[0]):
            scores.append(frame)
            assert torch.get_num_threads() == count[0]
        store = Store(tmp_path / str(count))
        found.append((scores, calibrate(detector, scene, store=store).detector.digest))
        assert torch.get_num_threads() == count[0]
    assert found[0] == found[1] == found[2]


def test_a_base_is_the_same_on_any_number_of_threads(cameras, tiny_config, threads, tmp_path):
    digests = set()
    for count in (1, 3):
        threads(count, count)
        store = Store(tmp_path / f"cache-{count}")
        base = meta_train(load_suite(str(cameras)).scenes, tiny_config, run=tmp_path / str(count), store=store)
        digests.add(base.digest)
        assert torch.get_num_threads() == count
    assert len(digests) == 1


@pytest.mark.usefixtures("rounding")
def test_a_benchmark_is_the_same_on_any_number_of_threads(tiny_base, scene, threads, tmp_path):
    found = []
    for count in (1, 3):
        threads(count, count)
        store = Store(tmp_path / str(count))
        outcome = run_benchmark(
            [scene], tiny_base, shots=(0, 2), draws=1, methods=("zero-shot", "adapted"), store=store
        )
        rows = [row.model_dump(exclude=set(MEASURED)) for row in outcome.record.rows]
        found.append((rows, {name: scores.tobytes() for name, scores in outcome.scores.items()}))
        assert torch.get_num_threads() == count
    assert found[0] == found[1]


def test_records_say_on_how_many_threads_it_was_computed(threads):
    threads(2, 2)
    assert describe_machine("cpu")["threads"] == 1
    assert torch.get_num_threads() == 2
