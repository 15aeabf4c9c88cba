"""Corrections: a false alarm that comes again and again goes, confirmed events stay, and versions are whole."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from metavad.bundle import Bundle, load_bundle, save_bundle
from metavad.errors import BundleError, UsageError, VideoError
from metavad.features.library import sample_of_stored
from metavad.features.sample import Sample
from metavad.normality import detector as module
from metavad.normality.detector import KIND, load_detector, save_detector, save_version
from metavad.normality.fit import fit
from metavad.normality.likeness import Likeness, Pattern, View
from metavad.normality.memory_bank import MemoryBank
from metavad.normality.methods import Adapted
from metavad.normality.own_footage import joined
from metavad.normality.regimes import Regime, light_of
from metavad.normality.versions import current, history, place_of, rollback
from metavad.scenes.cache import content_digest
from metavad.scenes.scene import Scene, Video
from metavad.scenes.suite import load_suite
from metavad.scenes.video import read_frames
from metavad.scoring.calibrating import calibrate
from metavad.scoring.event_clip import EventClip
from metavad.scoring.stream import score
from metavad.workflows.feedback import feedback
from metavad.workflows.few_shot import adapt
from tests.footage import write_video
from tests.planted import planted_camera

THRESHOLD = 3.7
DISCS = {"monday": (1.5, 10.5), "tuesday": (2.0,)}
BLOCKS = {"monday": (6.0,), "tuesday": (6.0,)}


@pytest.fixture(scope="module")
def videos(cameras, tmp_path_factory):
    each = {
        name: (
            14 if name == "monday" else 10,
            [*(("disc", s) for s in DISCS[name]), *(("block", s) for s in BLOCKS[name])],
        )
        for name in DISCS
    }
    scene = load_suite(str(cameras)).scenes[0]
    return planted_camera(tmp_path_factory.mktemp("planted"), scene, {"normal": (40, []), **each})


@pytest.fixture(scope="module")
def camera(videos):
    return Scene("", "lobby", videos["normal"].path.parent, normal=(videos["normal"],))


@pytest.fixture(scope="module")
def detector(tiny_base, camera):
    return adapt(tiny_base, camera, shots=8, shot_frames=8).with_threshold(THRESHOLD)


def disc(videos, name="monday", number=0):
    begin = DISCS[name][number]
    return EventClip(videos[name], begin + 0.2, begin + 1.6, begin + 0.8, 4.5)


def block(videos, name="monday"):
    begin = BLOCKS[name][0]
    return EventClip(videos[name], begin + 0.2, begin + 1.2, begin + 0.7, 3.9)


@pytest.fixture(scope="module")
def confirmed(detector, videos):
    """The detector after one of the blocks was confirmed."""
    return feedback(detector, block(videos), "abnormal").detector


@pytest.fixture(scope="module")
def corrected(confirmed, videos, tiny_base):
    """And one of the discs called normal."""
    alarms = [disc(videos), disc(videos, number=1), disc(videos, "tuesday"), block(videos), block(videos, "tuesday")]
    return feedback(confirmed, disc(videos), "normal", base=tiny_base, alarms=alarms)


def scores_of(detector, video):
    return np.array([frame.score for frame in score(detector, video)])


def highest(detector, event):
    return max(frame.score for frame in score(detector, event.video) if event.start <= frame.seconds <= event.end)


def test_a_recurring_false_alarm_goes_and_no_planted_event_is_lost(corrected, detector, videos):
    *discs, one, other = corrected.alarms
    assert all(highest(detector, event) > THRESHOLD for event in (disc(videos), disc(videos, "tuesday"), block(videos)))
    assert [each.alarms for each in discs] == [False] * 3
    assert one.alarms
    assert other.alarms
    assert corrected.lost == ()
    assert [each.alarms for each in corrected.confirmed] == [True]
    assert corrected.shown >= 2
    after = corrected.detector
    assert highest(after, disc(videos, number=1)) == pytest.approx(discs[1].after, abs=0.3)
    assert highest(after, disc(videos, number=1)) < after.threshold < highest(after, block(videos, "tuesday"))


def test_what_was_confirmed_scores_no_lower_after_other_corrections(confirmed, corrected):
    (event,) = corrected.confirmed
    assert event.after >= event.before - 1e-4
    assert event.before == confirmed.confirmed[0].score
    assert corrected.detector.confirmed[0].pattern.boost <= corrected.detector.threshold + confirmed.threshold


def test_confirming_lowers_no_score_and_raises_what_is_like_it(detector, confirmed, videos):
    boost = confirmed.confirmed[0].pattern.boost
    assert 0 < boost <= THRESHOLD
    for name in ("monday", "tuesday", "normal"):
        before, after = scores_of(detector, videos[name]), scores_of(confirmed, videos[name])
        assert (after >= before).all()
        assert (after <= before + boost + 1e-4).all()
    assert highest(confirmed, block(videos, "tuesday")) > highest(detector, block(videos, "tuesday")) + 0.5
    assert highest(confirmed, disc(videos)) == pytest.approx(highest(detector, disc(videos)))
    assert confirmed.threshold == detector.threshold


def test_the_reason_says_that_it_is_like_what_was_confirmed(confirmed, videos):
    causes = [frame.cause for frame in score(confirmed, videos["tuesday"]) if 6.2 <= frame.seconds <= 7.2]
    assert any(cause.why is not None and "like what was confirmed as abnormal" in cause.why.text for cause in causes)


def test_nothing_that_was_shown_is_raised(confirmed, tiny_base):
    support = sample_of_stored(tiny_base.features, confirmed.stored)
    raised = confirmed.model.score(support).raised
    assert raised is not None
    assert float(raised.max()) == 0.0


@given(
    values=st.lists(st.tuples(*[st.floats(-9, 9, width=32)] * 2), min_size=1, max_size=5),
    shown=st.lists(st.tuples(*[st.floats(-9, 9, width=32)] * 2), min_size=12, max_size=12),
    seen=st.lists(st.tuples(*[st.floats(-9, 9, width=32)] * 2), min_size=12, max_size=12),
    boost=st.floats(0, 5),
)
@hypothesis_settings(max_examples=50)
def test_likeness_is_never_negative_bounded_and_zero_on_what_was_shown(values, shown, seen, boost):
    clip, query = (torch.tensor(each).reshape(1, 1, 3, 4, 2) for each in (shown, seen))
    places = torch.tensor([[number % 3, number % 4] for number in range(len(values))])
    pattern = Pattern.apart(torch.tensor(values), places, [clip], boost)
    raised = pattern.raised(query)
    assert bool(((raised >= 0) & (raised <= boost)).all())
    assert float(pattern.raised(clip).max()) == 0.0


def test_features_of_bytes_are_compared_too():
    sample = Sample(
        {"patches": torch.randint(-128, 127, (1, 3, 4, 6, 8), dtype=torch.int8)},
        {"patches": torch.ones(1, 3, dtype=torch.bool)},
        torch.zeros(1, 3),
    )
    assert View(("patches",)).described(sample, (3, 4)).shape == (1, 3, 3, 4, 4)


def test_without_anything_confirmed_nothing_is_computed(detector, tiny_base):
    assert detector.model.likeness == Likeness(View(), ())
    assert detector.model.score(sample_of_stored(tiny_base.features, detector.stored)).raised is None


def test_what_is_kept_of_the_shots_gives_the_same_model(detector, tiny_base):
    origins = [torch.tensor([[0.0, began]]) for began in detector.began]
    support = sample_of_stored(tiny_base.features, detector.stored, origins)
    model = fit(Adapted(tiny_base), support, detector.model.calibrations["flow_density"].grid)
    for group in ("params", "memory"):
        for name, tensor in getattr(model, group).items():
            assert torch.equal(tensor, getattr(detector.model, group)[name]), name
    assert model.support.sample_size == detector.model.support.sample_size


def test_corrections_say_nothing_of_how_high_a_camera_scores_as_a_rule(corrected):
    shots = corrected.detector
    assert [shots.shots[number].video for number in shots.corrections] == ["monday"] * corrected.shown
    frames = shots.model.support.frames
    drawn = [number for number in range(len(shots.shots)) if number not in shots.corrections]
    assert frames[list(shots.corrections)].isnan().all()
    assert not frames[drawn].isnan().all(1).any()


def test_clips_of_a_correction_lie_in_both_halves(corrected):
    count = len(corrected.detector.shots)
    assert {number < count // 2 for number in corrected.detector.corrections} == {True, False}


def test_a_normal_event_calibrates_the_threshold(detector, videos, tiny_base):
    own = joined([("normal", 1.4 * np.arange(100), np.linspace(0.5, 2.0, 100))])
    long = EventClip(videos["tuesday"], 1.0, 5.4, 2.8)
    after = feedback(detector.with_footage(own), long, "normal", base=tiny_base).detector
    assert after.own.is_earlier
    assert "as it scored before the last correction" in after.promise.text
    assert not after.promise.supported
    assert len(after.own.peaks) > 100
    assert (after.own.ruling[100:] == 1).all()


def test_an_event_of_another_regime_is_compared_on_the_scale_of_all(detector, videos, tiny_base, tmp_path):
    """A night whose scores are spread four times as wide: 4 there is what 1.75 is by day."""
    (picture,) = (frame.image for frame in read_frames(videos["monday"], short_side=None, every=[70]))
    night = tuple(float(each) for each in light_of(picture))
    regimes = Regime("day", (0.0,) * 6, 10.0, 1.0, 1.0), Regime("night", night, 50.0, 1.0, 4.0)
    plain, both = (
        feedback(each, block(videos), "abnormal", alarms=[disc(videos)])
        for each in (detector, replace(detector, regimes=regimes))
    )
    score = plain.alarms[0].after
    assert both.alarms[0].after == pytest.approx(1.0 + (score - 1.0) / 4)
    event = both.detector.confirmed[0]
    assert event.light == pytest.approx(night, abs=20)
    assert event.score == pytest.approx(1.0 + (plain.detector.confirmed[0].score - 1.0) / 4, rel=0.02)
    assert both.confirmed[0].after == pytest.approx(event.score)
    save_detector(tmp_path / "both", both.detector)
    assert load_detector(tmp_path / "both").confirmed[0].light == event.light
    own = joined([("normal", 1.4 * np.arange(100), np.linspace(0.5, 2.0, 100))])
    after = feedback(
        replace(detector, regimes=regimes, own=own),
        EventClip(videos["tuesday"], 1.0, 5.4, 2.8),
        "normal",
        base=tiny_base,
    )
    assert (after.detector.own.regime[100:] == 1).all()


def test_a_confirmed_event_is_not_its_higher_neighbour(detector, videos):
    begin = DISCS["monday"][0]
    after = EventClip(videos["monday"], begin + 2.2, begin + 2.8, begin + 2.5, 1.0)
    (found,) = feedback(detector, after, "abnormal").confirmed
    assert found.before < highest(detector, disc(videos)) - 0.5
    assert found.after == pytest.approx(found.before, abs=1e-4)


def test_a_shot_lasts_as_long_as_it_does_whatever_the_rate_of_its_video(corrected):
    found = replace(corrected.detector, camera=replace(corrected.detector.camera, fps=20.0))
    lasting = {number in found.corrections: found.lasts(number) for number in range(len(found.shots))}
    assert lasting[True] == pytest.approx(0.8, abs=0.05)
    assert lasting[False] == pytest.approx(0.4)


def test_what_is_as_it_always_was_is_not_written(detector, confirmed, tmp_path):
    """The digest of a detector from before there was a choice, or a light, is the same."""
    save_detector(tmp_path / "plain", confirmed.with_alarms_per_day(10))
    facts = json.loads((tmp_path / "plain" / "detector.json").read_text())
    assert "is_chosen" not in str(facts)
    assert "'light'" not in str(facts)
    save_detector(tmp_path / "chosen", detector)
    assert "is_chosen" in (tmp_path / "chosen" / "detector.json").read_text()


def test_a_threshold_that_somebody_chose_stays(detector, tmp_path):
    own = joined([("normal", 1.4 * np.arange(100), np.linspace(0.5, 2.0, 100))])
    chosen = detector.with_threshold(9.0).with_footage(own)
    assert (chosen.threshold, chosen.is_chosen) == (9.0, True)
    save_detector(tmp_path / "chosen", chosen)
    assert load_detector(tmp_path / "chosen").is_chosen
    assert not chosen.with_alarms_per_day(10).is_chosen


def test_a_bank_without_some_pictures_is_still_of_the_same_detector(detector):
    bank = MemoryBank(torch.zeros(2, 152, 3, 4, dtype=torch.int8), (("normal", 1.0), ("normal", 2.0)))
    one, other = (replace(detector, bank=replace(bank, left_out=numbers)) for numbers in ((), (1,)))
    assert one.digest != other.digest
    assert one.scores_digest == other.scores_digest


# what is refused


def test_what_was_confirmed_is_never_taken_as_normal(confirmed, videos, tiny_base):
    near = EventClip(videos["monday"], 6.9, 8.0, 7.5)
    with pytest.raises(UsageError, match=r"confirmed as abnormal .*rollback"):
        feedback(confirmed, near, "normal", base=tiny_base)
    with pytest.raises(UsageError, match="confirmed already"):
        feedback(confirmed, block(videos), "abnormal")
    beside = EventClip(videos["monday"], 7.3, 9.0, 8.0)
    after = feedback(confirmed, beside, "normal", base=tiny_base).detector
    for number in after.corrections:
        clip = after.shots[number]
        assert clip.first / 10 >= 7.2 or clip.end / 10 <= 6.2


def test_shots_that_show_a_confirmed_event_are_taken_back(detector, videos, tiny_base):
    own = joined([("normal", 1.4 * np.arange(28), np.ones(28))])
    began = detector.began[3]
    event = EventClip(videos["normal"], began, began + 0.5, began + 0.2)
    result = feedback(replace(detector, own=own), event, "abnormal", base=tiny_base)
    assert result.shown == -1
    assert began not in result.detector.began
    assert len(result.detector.pictures) == len(result.detector.stored) == len(result.detector.shots) == 7
    left_out = result.detector.own.ruling < 0
    assert left_out.any()
    assert all(start < began + 0.5 and began < start + 1.4 + 1e-6 for start in result.detector.own.starts[left_out])


def test_footage_of_another_video_of_the_same_name_stays_as_it_is(detector, videos, tiny_base):
    """A camera that names its files by the hour has one of each name every day."""
    own = joined([("09", 1.4 * np.arange(100), np.linspace(0.5, 2.0, 100))])
    today = replace(videos["tuesday"], name="09")
    other = replace(detector, sources={**detector.sources, "09": "0" * 12}).with_footage(own)
    after = feedback(other, EventClip(today, 1.0, 5.4, 2.8), "abnormal").detector
    assert (after.own.ruling == 0).all()
    same = replace(other, sources={**detector.sources, "09": content_digest(today)})
    after = feedback(same, EventClip(today, 1.0, 5.4, 2.8), "abnormal").detector
    assert (after.own.ruling < 0).sum() == 4
    after = feedback(other, EventClip(today, 1.0, 5.4, 2.8), "normal", base=tiny_base).detector
    assert after.own.videos == ("09", f"09-{content_digest(today)[:8]}")


def test_calibration_says_which_footage_it_is_of(detector, camera):
    found = calibrate(detector, camera)
    assert found.detector.sources == {"normal": content_digest(camera.normal[0])}
    shown = 8 * 8 / 10
    assert 30 < found.seconds <= 40 - shown


@pytest.mark.parametrize("verdict", ["normal", "abnormal"])
def test_the_event_must_be_there_and_of_this_camera(detector, videos, tiny_base, tmp_path, verdict):
    gone = replace(disc(videos), video=Video("gone", tmp_path / "gone.mp4"))
    with pytest.raises(VideoError, match="found nothing"):
        feedback(detector, gone, verdict, base=tiny_base)
    other = Video("other", write_video(tmp_path / "other.mp4", range(40)))
    with pytest.raises(VideoError, match="of the detector's camera"):
        feedback(detector, replace(disc(videos), video=other), verdict, base=tiny_base)


def test_the_base_must_be_that_of_the_detector(detector, videos, tiny_base):
    with pytest.raises(BundleError, match="found none; give it with --base"):
        feedback(detector, disc(videos), "normal")
    other = replace(tiny_base, params={name: tensor + 1 for name, tensor in tiny_base.params.items()})
    with pytest.raises(BundleError, match=f"expected the base .*{tiny_base.digest}.*found {other.digest}"):
        feedback(detector, disc(videos), "normal", base=other)


def test_an_alarm_that_cannot_be_scored_again_stays(detector, videos, tiny_base, tmp_path):
    gone = replace(block(videos), video=Video("gone", tmp_path / "gone.mp4"))
    (outcome,) = feedback(detector, disc(videos), "normal", base=tiny_base, alarms=[gone]).alarms
    assert (outcome.after, outcome.alarms) == (None, True)
    assert "found nothing" in outcome.reason


@pytest.fixture(scope="module")
def bare(tiny_base, camera):
    """One that keeps no pictures."""
    return adapt(tiny_base, camera, shots=8, shot_frames=8, pictures=False).with_threshold(THRESHOLD)


def test_without_pictures_the_footage_is_read_again(bare, detector, corrected, camera, videos, tiny_base, tmp_path):
    assert bare.stored is None
    with pytest.raises(UsageError, match=r"--no-pictures; .*--footage"):
        feedback(bare, disc(videos), "normal", base=tiny_base)
    with pytest.raises(UsageError, match="found no 'normal'"):
        other = replace(camera, normal=(videos["monday"],))
        feedback(bare, disc(videos), "normal", base=tiny_base, footage=other)
    twin = replace(bare, sources={"monday": "0" * 12})
    with pytest.raises(UsageError, match="found another one called 'monday'"):
        feedback(twin, disc(videos), "normal", base=tiny_base, footage=camera)
    sure = feedback(bare, block(videos), "abnormal", footage=camera).detector
    assert sure.confirmed[0].clip is None
    result = feedback(sure, disc(videos), "normal", base=tiny_base, footage=camera)
    assert (result.detector.stored, result.detector.pictures, result.detector.sources) == (None, (), {})
    assert result.confirmed[0].after is None
    name = "flow_density.anywhere.base.loc"
    params = {key for key in result.detector.model.params if key != name}
    assert all(torch.equal(result.detector.model.params[key], corrected.detector.model.params[key]) for key in params)
    save_detector(tmp_path / "bare", result.detector)
    assert load_detector(tmp_path / "bare").digest == result.detector.digest


# versions


def test_each_version_is_kept_and_rollback_gives_the_same_bits(detector, confirmed, corrected, tmp_path):
    folder = tmp_path / "lobby"
    save_detector(folder, detector)
    assert [(each.number, each.kind, each.after) for each in history(folder)] == [(1, "made", None)]
    save_version(folder, confirmed, "abnormal", "a block")
    save_version(folder, corrected.detector, "normal", "a disc")
    each = [load_detector(folder, version=number).digest for number in (1, 2, 3)]
    assert each == [detector.digest, confirmed.digest, corrected.detector.digest]
    assert load_detector(folder).digest == each[2]
    assert rollback(folder).number == 2
    assert load_detector(folder).digest == each[1]
    assert rollback(folder, 1).kind == "made"
    assert load_detector(folder).digest == each[0]
    with pytest.raises(UsageError, match="found the first one in use"):
        rollback(folder)
    with pytest.raises(UsageError, match="from 1 to 3, found 4"):
        rollback(folder, 4)
    version = save_version(folder, confirmed, "abnormal", "again")
    assert (version.number, version.after, current(folder)) == (4, 1, 4)
    back = load_detector(folder)
    assert torch.equal(back.confirmed[0].pattern.radii, confirmed.confirmed[0].pattern.radii)
    np.testing.assert_array_equal(back.confirmed[0].clip.seconds, confirmed.confirmed[0].clip.seconds)


@pytest.mark.parametrize("step", ["save_bundle", "pointed"])
def test_whenever_a_correction_is_stopped_the_detector_is_whole(detector, confirmed, tmp_path, monkeypatch, step):
    folder = tmp_path / "lobby"
    save_detector(folder, detector)

    def killed(*arguments):
        if step == "save_bundle":  # some files are there, not all
            arguments[0].mkdir(parents=True)
            (arguments[0] / "detector.json").write_text("{")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, step, killed)
        with pytest.raises(KeyboardInterrupt):
            save_version(folder, confirmed, "abnormal", "a block")
    assert load_detector(folder).digest == detector.digest
    assert len(history(folder)) == 1
    assert save_version(folder, confirmed, "abnormal", "a block").number == 2
    assert load_detector(folder).digest == confirmed.digest


def test_damaged_versions_are_one_line(detector, confirmed, tmp_path):
    folder = tmp_path / "lobby"
    save_detector(folder, detector)
    save_version(folder, confirmed)
    pointer = folder / "versions.json"
    kept = pointer.read_text()
    for text in ("{", "[]", kept.replace('"current": 2', '"current": 3'), kept.replace('"number": 2', '"number": 7')):
        pointer.write_text(text)
        with pytest.raises(BundleError, match="expected the versions of a detector"):
            load_detector(folder)
    pointer.write_text(kept)
    (place_of(folder, 2) / "detector.safetensors").unlink()
    with pytest.raises(BundleError, match="missing"):
        load_detector(folder)
    rollback(folder)
    assert load_detector(folder).digest == detector.digest


DAMAGED = {
    "shown/ticks": [None, torch.tensor([8] * 7), torch.zeros(8)],
    "shown/seconds": [None, torch.zeros(3, dtype=torch.float64)],
    "shown/rows.flow": [None, torch.zeros(64, 3, 8, 9, dtype=torch.uint8)],
    "likeness/0000.values": [None, torch.zeros(3)],
    "likeness/scale": [None, torch.zeros(2)],
    "likeness/more": [torch.zeros(1)],
    "confirmed/ticks": [None, torch.tensor([1, 1])],
}


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, each in DAMAGED.items() for number in range(len(each))]
)
def test_what_is_kept_of_clips_and_events_is_checked(confirmed, tmp_path, name, number):
    save_detector(tmp_path / "whole", confirmed)
    kept = load_bundle(tmp_path / "whole", KIND)
    tensors = {key: tensor for key, tensor in kept.tensors.items() if key != name}
    if DAMAGED[name][number] is not None:
        tensors[name] = DAMAGED[name][number]
    save_bundle(tmp_path / "broken", KIND, Bundle(tensors, kept.facts, kept.files))
    with pytest.raises(BundleError, match="found a damaged one"):
        load_detector(tmp_path / "broken")
