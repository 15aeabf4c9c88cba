"""What stood there before a video, a part of it, or a recording after a gap begins."""

from dataclasses import replace

import av
import numpy as np
import pytest
import torch

import metavad
from metavad.errors import FootageWarning, UsageError
from metavad.features.patches import CHANNELS
from metavad.live.state import STATE, STOOD, load_stood, save_stood
from metavad.live.watch import Watch
from metavad.normality.memory_bank import MemoryBank, Scale, bank_feature
from metavad.normality.own_footage import joined
from metavad.progress import SILENT
from metavad.scenes.cache import Store
from metavad.scenes.scene import Crop, Scene, Video
from metavad.scenes.suite import load_suite
from metavad.scoring import calibrating, notable
from metavad.scoring.before import Clocks, Past, digest_of, stood_in, warn_of_order
from metavad.scoring.calibrating import calibrate
from metavad.scoring.looks import bank_size
from metavad.scoring.novelty import NoveltyTrace
from metavad.scoring.results import check_place, known_before, result_of, write_result
from metavad.scoring.stream import score, score_after
from metavad.workflows.few_shot import adapt
from tests.footage import retimed
from tests.live.given import Given, Kept
from tests.planted import planted_camera


@pytest.fixture(scope="module")
def videos(cameras, tmp_path_factory):
    """152 seconds of a camera, and 40 after that, throughout which a bag stands there."""
    scene = load_suite(str(cameras)).scenes[0]
    bag = [("bag", 8.0 * number) for number in range(19)]
    return planted_camera(tmp_path_factory.mktemp("before"), scene, {"first": (152, bag), "second": (40, bag[:5])})


@pytest.fixture(scope="module")
def detector(cameras, tiny_base):
    """One whose bank knows nothing of what this camera shows."""
    scene = load_suite(str(cameras)).scenes[0]
    made = adapt(tiny_base, scene, shots=3, shot_frames=8)
    grid = bank_feature(bank_size(made)).shape(*bank_size(made))
    bank = MemoryBank(torch.zeros(2, *grid, dtype=torch.int8), (("hall", 0.0), ("hall", 1.0)), Scale(0.0, 0.0, 1e3))
    return replace(made, bank=bank, threshold=5.0)


@pytest.fixture
def short(monkeypatch):
    """Lengths of what stood there, a twelfth of what they are: 50 seconds, of which 25, and a look each five."""
    monkeypatch.setattr("metavad.scoring.novelty.EVERY", 5.0)
    monkeypatch.setattr("metavad.scoring.novelty.BEFORE", 50.0)
    monkeypatch.setattr("metavad.scoring.novelty.LONGEST", 25.0)
    monkeypatch.setattr("metavad.scoring.novelty.LASTS", 2.0)
    monkeypatch.setattr("metavad.scoring.before.EVERY", 5.0)
    monkeypatch.setattr("metavad.scoring.before.BEFORE", 50.0)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def novelty(frames, begin=0.0, end=np.inf):
    """The distances of these seconds, once they are known."""
    return np.array([each.novelty for each in frames if begin <= each.seconds < end and not np.isnan(each.novelty)])


def rows(count, seed=0):
    drawn = np.random.default_rng(seed).integers(-80, 80, (count, CHANNELS, 3, 5)).astype(np.int8)
    return drawn.view(np.uint8)


def test_ten_minutes_before_a_frame_are_the_video_s_own_and_then_of_the_one_before(videos, store):
    first, second = videos["first"], videos["second"]
    alone = Clocks(Crop(), store)
    assert alone.past(first, 0) == alone.past(second, 300) == ()
    assert alone.past(first, 1301) == (Past(first, 101, pytest.approx(10.1)), Past(first, 701, pytest.approx(70.1)))
    clocks = alone.in_a_row([first, second])
    assert clocks.past(first, 0) == ()
    assert clocks.past(second, 0) == (
        Past(first, 320, pytest.approx(-120.0)),
        Past(first, 920, pytest.approx(-60.0)),
    )
    apart = Clocks(Crop(), store, {first: 0.0, second: 152.0 + 80.0})
    assert [each.frame for each in apart.past(second, 0)] == [320, 920, 1519]  # the last one before the gap, too
    assert [each.seconds for each in apart.past(second, 0)] == pytest.approx([-200.0, -140.0, -80.0])
    assert Clocks(Crop(), store, {first: 0.0, second: 1000.0}).past(second, 0) == ()
    assert Clocks(Crop(), store, {first: 0.0}).past(second, 0) == ()
    minutes = [replace(second, name=f"{number}", path=second.path) for number in range(40)]
    row = Clocks(Crop(), store).in_a_row(minutes)
    assert [(each.video.name, each.frame) for each in row.past(minutes[39], 0)][-3:] == [
        ("34", 200),
        ("36", 0),
        ("37", 200),
    ]
    assert len(row.past(minutes[39], 0)) == 10


def test_times_that_overlap_are_not_believed(videos, store):
    first, second = videos["first"], videos["second"]
    after, a_little, twice = ({first: 0.0, second: begin} for begin in (152.0, 140.0, 5.0))
    for begins in (after, a_little):
        assert Clocks(Crop(), store, begins).believed().begins == begins
    with pytest.warns(FootageWarning, match="expected times that follow each other"):
        assert Clocks(Crop(), store, twice).believed().begins == {}


def test_an_order_that_a_shell_made_is_named(videos):
    names = [replace(videos["first"], path=videos["first"].path.with_name(f"{number}.mp4")) for number in (1, 10, 2)]
    with pytest.warns(FootageWarning, match=r"2\.mp4: expected videos in the order .* after 10\.mp4"):
        warn_of_order(names)
    warn_of_order([names[0], names[2], names[1]])  # a warning is an error here


def test_before_a_gap_the_last_frame_counts(videos, tmp_path, store):
    times = [100 * each + 70_000 * (each >= 300) for each in range(400)]
    path = retimed(videos["second"].path, tmp_path / "gap.mkv", times)
    gap = Video("gap", path)
    assert Clocks(Crop(), store).past(gap, 350) == (Past(gap, 299, pytest.approx(30.0)),)
    times = [100 * each + 70_000 * (each >= 300) for each in range(1520)]
    path = retimed(videos["first"].path, tmp_path / "long.mkv", times)
    past = Clocks(Crop(), store).past(Video("long", path), 1000)
    assert [(each.frame, round(each.seconds)) for each in past] == [(299, 30), (400, 110)]


def test_what_it_depends_on_has_a_digest(videos):
    first, second = videos["first"], videos["second"]
    pasts = [
        (),
        (Past(first, 3, -60.0),),
        (Past(first, 4, -60.0),),
        (Past(first, 3, -61.0),),
        (Past(second, 3, -60.0),),
    ]
    assert len({digest_of(past) for past in pasts}) == len(pasts)
    assert digest_of(()) == ""


@pytest.mark.parametrize(
    ("begin", "counts"), [(700.0, True), (1299.0, False), (50.0, False)], ids=["soon", "after ten minutes", "set back"]
)
def test_what_stood_before_a_recording_is_not_new_in_it(begin, counts):
    usual, bag = rows(1)[0], rows(1, 1)[0]
    bank = MemoryBank(torch.from_numpy(usual[None].view(np.int8)), (("hall", 0.0),))
    before = NoveltyTrace(bank)
    for second in range(100, 700):
        before.push(bag, float(second))
    after, alone = NoveltyTrace(bank, before.stood), NoveltyTrace(bank)
    found, expected = (
        np.array([trace.push(bag, begin + second).distance for second in range(60)]) for trace in (after, alone)
    )
    if counts:
        assert (found[10:] < 0.01 * expected[10:]).all()
    else:
        np.testing.assert_array_equal(found, expected)


def test_what_stood_before_a_gap_in_a_file_is_not_new_after_it(short, detector, videos, tmp_path):
    times = [100 * each + 3_000 * (each >= 300) for each in range(400)]
    path = retimed(videos["second"].path, tmp_path / "gap.mkv", times)
    frames = list(score(detector, path))
    assert frames[-1].recording == 1
    assert novelty(frames, 4, 20).min() > 2 * novelty(frames, 36, 43).max()


def test_pushed_frames_know_it_too_to_the_same_bits(short, detector, videos, tmp_path):
    times = [100 * each + 3_000 * (each >= 300) for each in range(400)]
    path = retimed(videos["second"].path, tmp_path / "gap.mkv", times)
    expected = [each.score for each in score(detector, path)]
    with av.open(str(path)) as container:
        given = [(frame, number / 1000) for frame, number in zip(container.decode(video=0), times, strict=True)]
    assert [each.score for each in score(detector, iter(given))] == expected
    whole, found = metavad.Live(detector), []
    for place, each in enumerate(given):
        if place == 300:  # a service that starts again
            found += whole.flush()
            whole = metavad.Live(detector, stood=whole.stood)
        found += whole.push(*each)
    found += whole.flush()
    assert [each.score for each in found] == expected
    assert metavad.Live(replace(detector, bank=None), stood=whole.stood).stood == ()
    with pytest.raises(UsageError, match="expected looks of this detector's camera, uint8"):
        metavad.Live(detector, stood=[(5.0, rows(1)[0])])


def test_a_video_that_goes_on_from_another_one_knows_what_stood_there(short, detector, videos, tmp_path, store):
    first, second = videos["first"], videos["second"]
    past = Clocks(detector.camera.crop, store).in_a_row([first, second]).past(second, 0)
    assert len(past) == 10
    (stood,) = stood_in(detector, [past], store)
    alone, after = list(score(detector, second)), list(score_after(stood, detector, second))
    assert novelty(alone, 4, 20).min() > 2 * novelty(after, 4, 20).max()
    result = result_of(detector, second, past=past)
    (tmp_path / "second").mkdir()
    written = write_result(tmp_path / "second", detector, second, result, stood=stood)
    assert written[1].highest.max() == pytest.approx(max(each.score for each in after))
    (tmp_path / "second" / "timeline.png").touch()
    assert check_place(tmp_path / "second", result)
    alone = result_of(detector, second)
    assert check_place(tmp_path / "second", alone), "other videos before it are no reason to score it again"
    assert known_before(tmp_path / "second") == result.before != alone.before == ""


def test_calibration_knows_what_stood_before_each_piece(short, detector, videos, store, monkeypatch):
    monkeypatch.setattr("metavad.scoring.pieces.BANK_SECONDS", 60.0)
    monkeypatch.setattr("metavad.scoring.crossed_banks.APART", 10.0)
    monkeypatch.setattr("metavad.scoring.pieces.LONGEST", 10.0)
    asked = list[tuple[float, ...]]()

    def noted(stood, *arguments, **more):
        asked.append(tuple(round(second, 1) for second, _ in stood))
        return score_after(stood, *arguments, **more)

    monkeypatch.setattr(calibrating, "score_after", noted)
    camera = Scene("", "lobby", videos["first"].path.parent, normal=(videos["first"], videos["second"]))
    begins = Clocks(detector.camera.crop, store).in_a_row(camera.normal).begins
    calibrate(replace(detector, bank=None), camera, begins=begins, store=store)
    assert len(asked) == 21
    assert asked[:3] == [(), (0.0, 5.0), (0.0, 5.0, 10.0, 15.0)]
    assert asked[16] == tuple(np.arange(-50.0, 0.0, 5.0))  # the second video begins
    asked.clear()
    calibrate(replace(detector, bank=None), camera, store=store)
    assert asked[:3] == [(), (3.0,), (3.0, 8.0, 13.0)]  # of the second video alone


def test_what_alarms_in_the_footage_is_explained_with_what_stood_before(short, detector, videos, store, monkeypatch):
    own = joined([("second", np.arange(0.0, 40.0, 2.0), np.where(np.arange(20) == 0, 9.0, 1.0))])
    camera = Scene("", "lobby", videos["first"].path.parent, normal=(videos["first"], videos["second"]))
    asked = []
    monkeypatch.setattr(notable, "score_after", lambda stood, *_, **__: asked.append([each for each, _ in stood]) or ())
    clocks = Clocks(detector.camera.crop, store).in_a_row(camera.normal)
    found = notable.notable_clusters(
        replace(detector.with_footage(own), threshold=5.0), camera, {}, clocks, store, SILENT
    )
    assert len(found) == 1
    assert asked == [pytest.approx(list(np.arange(-50.0, 0.0, 5.0)))]  # it is scored from the begin of the second on


def test_what_a_watched_camera_showed_is_known_after_a_restart(short, detector, videos, tmp_path):
    with av.open(str(videos["second"].path)) as container:
        given = [(frame, number / 10) for number, frame in enumerate(container.decode(video=0))]
    first, second = Kept(), Kept()
    Watch(detector, Given(given[:300]), first, tmp_path, camera="lobby").run()
    assert any(each.alarm for each in first.frames_of), "it has just come"
    kept = load_stood(tmp_path, detector, "lobby")
    assert [round(seconds) for seconds, _ in kept][-1] == 24
    Watch(detector, Given(given[310:]), second, tmp_path, camera="lobby").run()
    fresh = Kept()
    Watch(detector, Given(given[310:]), fresh, tmp_path / "fresh", camera="lobby").run()
    scores = [max(each.score for each in kept.frames_of if 34 < each.seconds < 38) for kept in (second, fresh)]
    assert 2 * scores[0] < scores[1]


@pytest.mark.parametrize("content", [b"", b"no archive", None], ids=["empty", "another file", "of another camera"])
def test_what_cannot_be_read_is_not_known(detector, tmp_path, content):
    save_stood(tmp_path, detector, "lobby", [(5.0, rows(1)[0])])
    (tmp_path / STATE).touch()
    assert load_stood(tmp_path, detector, "lobby")[0][0] == 5.0
    if content is None:
        camera = replace(detector.camera, crop=Crop(top=4))
        assert load_stood(tmp_path, replace(detector, camera=camera), "lobby") == ()
        assert load_stood(tmp_path, detector, "gate") == ()
        return
    (tmp_path / STOOD).write_bytes(content)
    assert load_stood(tmp_path, detector, "lobby") == ()


@pytest.mark.parametrize("why", ["no bank", "begun anew"])
def test_what_nobody_can_use_any_more_is_removed(detector, tmp_path, why):
    save_stood(tmp_path, detector, "lobby", [(5.0, rows(1)[0])])
    if why == "no bank":
        (tmp_path / STATE).touch()
    assert load_stood(tmp_path, replace(detector, bank=None) if why == "no bank" else detector, "lobby") == ()
    assert not (tmp_path / STOOD).exists()


def test_a_full_disk_is_no_reason_to_stop_watching(short, detector, videos, tmp_path, monkeypatch):
    with av.open(str(videos["second"].path)) as container:
        given = [(frame, number / 10) for number, frame in enumerate(container.decode(video=0))]

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("metavad.live.watch.save_stood", full)
    kept = Kept()
    Watch(detector, Given(given), kept, tmp_path, camera="lobby").run()
    assert len(kept.frames_of) == len(given)
