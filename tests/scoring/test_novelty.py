"""What stays and was never there: the memory bank of a camera's own hours, and what it makes of a picture."""

import json
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

import metavad
from metavad.errors import BundleError, UsageError
from metavad.features.patches import CHANNELS, STEPS
from metavad.normality import detector as detectors
from metavad.normality import memory_bank
from metavad.normality.detector import load_detector, save_detector
from metavad.normality.memory_bank import (
    CELLS,
    LASTS,
    LEAST_NATS,
    MemoryBank,
    Scale,
    bank_feature,
    novelty_scale,
)
from metavad.normality.own_footage import also, joined, left_out
from metavad.scenes.cache import Store
from metavad.scenes.scene import Scene
from metavad.scenes.suite import load_suite
from metavad.scoring import chunks, novelty
from metavad.scoring.calibrating import calibrate, pace
from metavad.scoring.crossed_banks import crossed_banks, whole_bank
from metavad.scoring.event_clip import EventClip
from metavad.scoring.looks import looks
from metavad.scoring.novelty import NoveltyTrace
from metavad.scoring.pieces import pieces_of
from metavad.scoring.stream import score
from metavad.workflows.feedback import feedback
from metavad.workflows.few_shot import adapt
from tests.planted import planted_camera

GRID = 3, 5
BAG = 8.0
"""Second at which it is put down."""


def drawn(count, seed=0, grid=GRID):
    rows = np.random.default_rng(seed).integers(-80, 80, (count, CHANNELS, *grid)).astype(np.int8)
    return rows.view(np.uint8)


def bank_of(rows, scale=None):
    return MemoryBank(torch.from_numpy(rows.view(np.int8)), tuple(("hall", float(n)) for n in range(len(rows))), scale)


def test_the_distance_is_to_the_nearest_patch_at_a_place_or_beside_it():
    rows, asked = drawn(6), drawn(1, 1)[0]
    vectors, here = rows.view(np.int8) / STEPS, asked.view(np.int8) / STEPS
    expected = np.empty(GRID)
    for row in range(GRID[0]):
        for column in range(GRID[1]):
            around = vectors[:, :, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            squares = (around - here[None, :, row, column, None, None]) ** 2
            expected[row, column] = np.sqrt(squares.mean(1).min())
    np.testing.assert_allclose(bank_of(rows).distances(asked), expected, rtol=1e-5)


def test_the_nearest_picture_is_named():
    rows = drawn(6)
    assert bank_of(rows).origin(rows[4], (2, 3)) == ("hall", 4.0)
    moved = np.roll(rows[2], 1, axis=2)  # what stood beside it is as near
    assert bank_of(rows).origin(moved, (1, 3)) == ("hall", 2.0)
    assert bank_of(rows).distances(moved)[1, 3] < 1e-3


def test_what_is_left_out_of_the_footage_is_as_if_it_had_not_been_there():
    rows = drawn(6)
    own = joined([("hall", np.arange(6.0), np.ones(6))])
    less = left_out(own, "hall", 2.1, 2.9)
    without = bank_of(rows).leaving_out(less, 1.0)
    assert without.left_out == (2,)
    again = also(less, "hall", np.array([2.0]), np.array([1.0]))
    assert bank_of(rows).leaving_out(again, 1.0).left_out == ()  # somebody called it normal afterwards
    assert len(bank_of(rows).without([("hall", 1.5, 3.5)]).origins) == 4
    expected = bank_of(np.delete(rows, 2, 0)).distances(rows[2])
    np.testing.assert_allclose(without.distances(rows[2]), expected, rtol=1e-5)
    assert expected.min() > 0.5
    assert without.leaving_out(own, 1.0).left_out == ()


def test_ignored_cells_are_never_far():
    cells = np.zeros((30, 50), bool)
    cells[:, 9] = True  # in the first of five places; the network looks at its neighbour too
    found = bank_of(drawn(6)).ignoring(cells).distances(drawn(1, 1)[0])
    assert (found[:, :2] == 0).all() and (found[:, 2:] > 0).all()


def test_nothing_is_known_before_ten_seconds_are_over_then_their_mean_counts():
    bank, rows = bank_of(drawn(6), Scale(0.0, 0.0, 1.0)), drawn(25, 1)
    trace = NoveltyTrace(bank)
    found = [trace.push(row, float(second)) for second, row in enumerate(rows)]
    assert all(np.isnan(each.score) for each in found[: int(LASTS)])
    maps = np.stack([bank.distances(row) for row in rows])
    for second in range(int(LASTS), 25):
        mean = maps[second - int(LASTS) : second + 1].mean(0)
        np.testing.assert_allclose(found[second].distances, mean)
        assert found[second].score == pytest.approx(np.sort(mean.ravel())[-CELLS:].mean())


def test_each_tick_counts_whether_the_picture_is_new_or_not(monkeypatch):
    looked = []
    distances = MemoryBank.distances
    monkeypatch.setattr(MemoryBank, "distances", lambda bank, row: looked.append(row) or distances(bank, row))
    one, other = drawn(2, 1)
    trace = NoveltyTrace(bank_of(drawn(6)))
    for tick in range(9):
        last = trace.push(one if tick < 6 else other, float(tick))
    assert len(looked) == 2
    assert [look.ticks for look in last.looks] == [6, 3]
    assert np.isnan(trace.push(one, 9.0).score)  # no scale is known


@pytest.mark.parametrize("is_same", [True, False], ids=["the same bits", "with noise"])
def test_what_stood_for_five_minutes_is_no_longer_new(is_same):
    """Told once; what comes then is new all the same, and what goes leaves what was always there."""
    usual, bag, cat = drawn(1)[0], drawn(1, 1)[0], drawn(1, 2)[0]
    noise = np.random.default_rng(5).integers(-1, 2, (1200, *usual.shape)) * (not is_same)

    def picture(second):
        row = usual.view(np.int8).astype(int)
        row[:, :, :2] = bag.view(np.int8)[:, :, :2] if 100 <= second < 1000 else row[:, :, :2]
        row[:, :, 3:] = cat.view(np.int8)[:, :, 3:] if 700 <= second < 720 else row[:, :, 3:]
        return np.clip(row + noise[second], -127, 127).astype(np.int8).view(np.uint8)

    trace = NoveltyTrace(bank_of(usual[None]))
    found = np.array([trace.push(picture(second), float(second)).distance for second in range(1200)])
    high, low = 0.5 * found[200], 0.2 * found[200]
    assert (found[115:400] > high).all(), "it has just come"
    assert (found[480:700] < low).all() and (found[720 + 15 : 1000] < low).all(), "it has stood there long enough"
    assert (found[712:720] > high).all(), "something else"
    assert (found[1015:] < low).all(), "it is gone"


def test_another_bank_from_now_on_is_as_if_it_had_been_from_the_beginning():
    first, second, rows = bank_of(drawn(6)), bank_of(drawn(4, 2)), drawn(20, 1)
    trace, other = NoveltyTrace(first), NoveltyTrace(second)
    before = [trace.push(row, float(time)) for time, row in enumerate(rows[:12])]
    expected = [other.push(row, float(time)) for time, row in enumerate(rows)]
    latest = trace.use(second, before[-3:])
    after = [trace.push(row, 12.0 + time) for time, row in enumerate(rows[12:])]
    for found, known in zip([*latest, *after], expected[9:], strict=True):
        np.testing.assert_array_equal(found.distances, known.distances)


def test_normal_minutes_reach_as_high_by_what_stays_as_by_everything_else():
    generator = np.random.default_rng(0)
    scores, distances = generator.exponential(3.0, 9000), 1 + generator.exponential(0.05, 9000)
    minute = np.arange(9000) // 43
    scale = novelty_scale(scores, distances, minute)
    own, other = (np.maximum.reduceat(each, np.arange(0, 9000, 43)) for each in (scores, scale.of(distances)))
    for share in (0.9, 0.985):
        assert np.quantile(other, share) == pytest.approx(np.quantile(own, share), rel=1e-6)
    assert scale.of(np.array([0.0, np.nan]))[0] == 0 and np.isnan(scale.of(np.array([np.nan]))[0])


def test_where_nothing_ever_changes_the_scale_is_finite():
    assert novelty_scale(np.zeros(900), np.full(900, 0.4), np.arange(900) // 43) is None, "of 21 minutes"
    scale = novelty_scale(np.zeros(9000), np.full(9000, 0.4), np.arange(9000) // 43)
    assert scale.of(np.array([0.4]))[0] == 0
    assert scale.of(np.array([0.41]))[0] == pytest.approx(LEAST_NATS)


@pytest.mark.parametrize(("size", "grid"), [((240, 360), (15, 22)), ((120, 256), (8, 16)), ((120, 160), (8, 10))])
def test_a_small_picture_is_not_magnified(size, grid):
    assert bank_feature(size).shape(*size) == (CHANNELS, *grid)


@pytest.fixture(scope="module")
def camera(cameras, tmp_path_factory):
    """80 seconds of a camera's ordinary pictures, and 30 in which somebody puts a bag down."""
    scene = load_suite(str(cameras)).scenes[0]
    videos = planted_camera(
        tmp_path_factory.mktemp("bag"), scene, {"normal": (80, []), "bag": (30, [("bag", BAG)]), "hour": (80, [])}
    )
    return Scene("", "lobby", videos["normal"].path.parent, normal=(videos["normal"],), test=(videos["bag"],))


@pytest.fixture(scope="module")
def short():
    """All lengths a tenth of what they are and less."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metavad.scoring.pieces.BANK_SECONDS", 60.0)
        patch.setattr("metavad.scoring.crossed_banks.APART", 10.0)
        patch.setattr("metavad.scoring.pieces.LONGEST", 10.0)
        patch.setattr("metavad.scoring.calibrating.MINUTE", 2.0)
        patch.setattr("metavad.scoring.crossed_banks.LOOKS", 40)
        patch.setattr(memory_bank, "FEWEST", 10)
        patch.setattr(novelty, "LASTS", 3.0)
        yield


@pytest.fixture(scope="module")
def detector(short, tiny_base, camera, tmp_path_factory):
    shown = adapt(tiny_base, camera, shots=4, shot_frames=8, alarms_per_day=2000)
    return calibrate(shown, camera, store=Store(tmp_path_factory.mktemp("store"))).detector


def test_a_piece_is_compared_with_the_other_half_of_the_footage(short, detector, camera, tmp_path):
    bare = replace(detector, bank=None)
    pieces = pieces_of(bare, camera, store=Store(tmp_path))
    banks = crossed_banks(bare, pieces, Store(tmp_path), metavad.progress.SILENT)
    assert len(pieces) == 8
    for piece, bank in zip(pieces, banks, strict=True):
        assert all(not piece.clock <= second < piece.clock + piece.seconds for _, second in bank.origins)
        assert any(second < piece.clock or second >= piece.clock + piece.seconds for _, second in bank.origins)
    assert [bank is banks[0] for bank in banks] == [True, False] * 4
    whole = whole_bank(bare, camera, banks, Store(tmp_path))
    assert [each.origins for each in (whole, detector.bank)] == [detector.bank.origins] * 2
    shown = {(clip.video, (clip.first + clip.length // 2) / 10) for clip in detector.shots}
    assert len(whole.origins) == 40 + len(shown) and shown == {(name, round(at, 3)) for name, at in whole.origins[40:]}


def test_an_estimate_of_the_time_counts_the_bank(short, detector, camera, tmp_path, monkeypatch):
    bare, asked = replace(detector, bank=None), []
    pieces = pieces_of(bare, camera, store=Store(tmp_path))
    monkeypatch.setattr("metavad.scoring.calibrating.score", lambda made, *_, **__: asked.append(made.bank) or ())
    assert pace(bare, pieces) > 0
    assert pace(bare, pieces[:2]) > 0
    assert (len(asked[0].origins), asked[1]) == (20, None)


def test_less_than_an_hour_makes_no_bank(detector, camera, tmp_path):
    found = calibrate(replace(detector, bank=None), camera, budget=30.0, store=Store(tmp_path))
    assert found.detector.bank is None


@pytest.mark.parametrize("hour", [80.0, 80.5])
def test_footage_of_an_hour_but_for_rounding_makes_one(detector, camera, tmp_path, monkeypatch, hour):
    monkeypatch.setattr("metavad.scoring.pieces.BANK_SECONDS", hour)
    bare = replace(detector, bank=None)
    pieces = pieces_of(bare, camera, store=Store(tmp_path))
    assert len(pieces) == 8
    banks = crossed_banks(bare, pieces, Store(tmp_path), metavad.progress.SILENT)
    assert len(whole_bank(replace(bare, shots=()), camera, banks, Store(tmp_path)).origins) == 40


def test_footage_of_which_no_half_is_apart_from_the_other_makes_none(detector, camera, tmp_path, monkeypatch):
    monkeypatch.setattr("metavad.scoring.crossed_banks.APART", 1000.0)
    bare = replace(detector, bank=None)
    pieces = pieces_of(bare, camera, store=Store(tmp_path))
    banks = crossed_banks(bare, pieces, Store(tmp_path), metavad.progress.SILENT)
    assert whole_bank(bare, camera, banks, Store(tmp_path)) is None and len(banks) == len(pieces)


def test_what_stays_alarms_with_its_place_and_its_reason(detector, camera):
    frames = list(score(detector, camera.test[0]))
    alarms = [each for each in frames if each.alarm and BAG <= each.seconds < BAG + 8]
    assert alarms
    cause = max(alarms, key=lambda each: each.score).cause
    assert "stays that was never at this place" in cause.why.text and "normal at" in cause.why.text
    assert cause.why.shares == {"novelty": 1.0}
    x0, y0, x1, y1 = cause.box
    width, height = detector.camera.width, detector.camera.height
    assert (x0 + x1) / 2 < width / 2 and (y0 + y1) / 2 > height / 2
    before = [each.score for each in score(replace(detector, bank=None), camera.test[0])]
    assert all(each.score >= known for each, known in zip(frames, before, strict=True))


def test_pushed_frames_have_the_same_scores(detector, camera):
    import av

    with av.open(str(camera.test[0].path)) as container:
        pushed = [(frame, frame.time) for frame in container.decode(video=0)]
    expected = list(score(detector, camera.test[0]))
    found = list(score(detector, pushed))
    assert [each.score for each in found] == [each.score for each in expected]
    assert [each.novelty for each in found[-50:]] == [each.novelty for each in expected[-50:]]


def test_memory_does_not_grow_while_novelty_makes_every_score(detector, camera, monkeypatch):
    high = replace(detector, bank=replace(detector.bank, scale=replace(detector.bank.scale, score=1e6)))
    made, ticks = chunks._Explainable, list[weakref.ref]()

    def noted(*arguments):
        tick = made(*arguments)
        ticks.append(weakref.ref(tick))
        return tick

    monkeypatch.setattr(chunks, "_Explainable", noted)
    held = [sum(tick() is not None for tick in ticks) for _ in score(high, camera.normal[0])]
    assert len(ticks) > 700
    assert max(held) <= 2 * chunks.CHUNK


def test_it_is_saved_with_the_detector(detector, camera, tmp_path):
    save_detector(tmp_path / "hall", detector)
    again = load_detector(tmp_path / "hall")
    assert again.digest == detector.digest
    assert again.bank.origins == detector.bank.origins and again.bank.scale == detector.bank.scale
    assert [each.score for each in score(again, camera.test[0])] == [
        each.score for each in score(detector, camera.test[0])
    ]


@pytest.mark.parametrize("wrong", [{"origins": []}, {"left_out": [400]}, {"scale": {"distance": 1.0}}])
def test_a_damaged_bank_is_one_line(detector, tmp_path, wrong):
    save_detector(tmp_path / "hall", detector)
    bundle = detectors.load_bundle(tmp_path / "hall", detectors.KIND)
    facts = json.loads(json.dumps(dict(bundle.facts)))
    facts["bank"] |= wrong
    detectors.save_bundle(tmp_path / "bad", detectors.KIND, replace(bundle, facts=facts))
    with pytest.raises(BundleError, match="bank"):
        load_detector(tmp_path / "bad")


def test_what_somebody_calls_normal_does_not_alarm_again(detector, camera, tiny_base):
    bag = EventClip(camera.test[0], BAG + 3, BAG + 7, BAG + 5, 9.0)
    high = detector.with_threshold(0.9 * max(each.score for each in score(detector, camera.test[0])))
    found = feedback(high, bag, "normal", base=tiny_base, alarms=[bag])
    assert len(found.detector.bank.origins) > len(high.bank.origins)
    before, after = (
        max(each.novelty for each in score(one, camera.test[0]) if BAG + 3 < each.seconds < BAG + 8)
        for one in (high, found.detector)
    )
    assert after < before / 1.5
    assert not found.alarms[0].alarms


def test_what_is_shown_belongs_to_what_is_there(detector, camera, tiny_base, tmp_path, monkeypatch):
    monkeypatch.setattr("metavad.scoring.crossed_banks.LOOKS", 4)  # none of them in the seconds of the bag
    both = replace(camera, normal=(*camera.normal, camera.test[0]))
    made = [
        calibrate(
            adapt(tiny_base, both, shots=0, shot_frames=8, show=[show]), both, store=Store(tmp_path)
        ).detector.bank
        for show in (("normal", 30.0), ("bag", BAG + 4))
    ]
    rows = looks(detector, camera.test[0], np.array([round(10 * (BAG + 3))]), Store(tmp_path))
    height, width = made[0].grid
    without, shown = (bank.distances(rows[0])[height // 2 + 1 :, : width // 3].mean() for bank in made)
    assert shown < without / 2


def test_an_event_that_stays_can_be_confirmed_and_is_kept(detector, camera, tmp_path):
    bag = EventClip(camera.test[0], BAG + 3, BAG + 7, BAG + 5, 9.0)
    confirmed = feedback(detector, bag, "abnormal").detector
    save_detector(tmp_path / "hall", confirmed)
    again = load_detector(tmp_path / "hall")
    assert "novelty" in again.confirmed[0].clip.rows
    assert again.confirmed[0].score >= detector.threshold
    assert again.confirmed[0].score > max(each.score for each in score(replace(detector, bank=None), camera.test[0]))
    both = feedback(again, EventClip(camera.test[0], BAG - 4, BAG - 2, BAG - 3, 2.0), "abnormal").detector
    assert both.model.likeness.patterns[0].boost == confirmed.model.likeness.patterns[0].boost
    other = replace(both, bank=None)
    save_detector(tmp_path / "without", other)
    assert load_detector(tmp_path / "without").bank is None


def test_every_heat_map_has_the_detector_s_grid(detector, camera):
    frames = list(score(detector, camera.test[0]))
    assert {each.heat.shape for each in frames} == {detector.grid}
    assert {each.cause.why.heat.shape for each in frames if each.alarm} == {detector.grid}


def test_another_version_is_used_from_the_next_chunk_on(detector, camera, tiny_base):
    bag = EventClip(camera.test[0], BAG + 3, BAG + 7, BAG + 5, 9.0)
    corrected = replace(detector, bank=feedback(detector, bag, "normal", base=tiny_base).detector.bank)
    import av

    live, found = metavad.Live(detector), []
    with av.open(str(camera.test[0].path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= 64:
                live.use(corrected)
            found += live.push(frame, frame.time)
    found += live.flush()
    expected = list(score(corrected, camera.test[0]))
    assert [each.novelty for each in found[100:]] == [each.novelty for each in expected[100:]]
    with pytest.raises(UsageError, match="memory bank"):
        live.use(replace(detector, bank=None))


def test_recordings_that_are_too_short_make_no_bank(short, tiny_base, camera, tmp_path, monkeypatch):
    monkeypatch.setattr(novelty, "LASTS", 30.0)
    shown = adapt(tiny_base, camera, shots=2, shot_frames=8)
    assert calibrate(shown, camera, store=Store(tmp_path)).detector.bank is None
