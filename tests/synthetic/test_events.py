import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from metavad.synthetic import EVENT_KINDS, VideoPlan, abnormal_kinds, plan_videos, render, sample_camera
from metavad.synthetic.events import MARGIN, PATIENCE, perform
from metavad.synthetic.props import off_routes


def camera_for(kind, seed=4):
    return next(spec for n in range(40) if kind in abnormal_kinds(spec := sample_camera(seed, n, "tiny")))


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_every_kind_is_seen_and_its_mask_box_and_keypoints_agree(kind):
    spec = camera_for(kind)
    frames = list(render(spec, VideoPlan("video", 4, 0, 50, kind, 1.5, 2.0)))
    labels = np.array([frame.mask.any() for frame in frames])
    assert labels.any()
    assert {frame.event for frame in frames} - {None} == {kind}
    for frame, label in zip(frames, labels, strict=True):
        marked = [box for box in frame.tracks if box.abnormal]
        assert bool(marked) == label == (frame.event is not None)
        covered = np.zeros_like(frame.mask)
        for box in frame.tracks:
            assert 0 <= box.x0 < box.x1 <= spec.lens.width
            assert 0 <= box.y0 < box.y1 <= spec.lens.height
            assert (box.track in frame.keypoints) == (box.kind in ("person", "cyclist"))
        for box in marked:
            covered[box.y0 : box.y1, box.x0 : box.x1] = True
            assert frame.mask[box.y0 : box.y1, box.x0 : box.x1].any()
        assert not (frame.mask & ~covered).any()


@pytest.mark.parametrize("kind", ["lying", "fast", "fighting"])
def test_keypoints_lie_in_the_box_of_their_person(kind):
    spec = camera_for(kind)
    inside = []
    for frame in render(spec, VideoPlan("video", 4, 0, 40, kind, 1.0, 2.0)):
        for box in frame.tracks:
            cut = box.x0 == 0 or box.y0 == 0 or box.x1 == spec.lens.width or box.y1 == spec.lens.height
            if box.track in frame.keypoints and not cut:
                x, y = frame.keypoints[box.track].T
                inside.append((x >= box.x0 - 1) & (x <= box.x1 + 1) & (y >= box.y0 - 1) & (y <= box.y1 + 1))
    assert inside
    assert np.mean(inside) == 1.0


def test_nothing_is_abnormal_where_no_event_was_planned():
    for number in range(7):
        spec = sample_camera(9, number, "tiny")
        for stream in (3, 4):
            assert not any(actor.abnormal.any() for actor in perform(spec, VideoPlan("video", stream, 0, 60)))


def test_planned_events_are_abnormal_on_their_camera_and_a_fifth_of_the_videos_is_quiet():
    for number in range(20):
        spec = sample_camera(3, number, "tiny")
        normal, test = plan_videos(spec, 3, 6, 4.0, 5.0)
        events = [video.event for video in test if video.event]
        assert set(events) <= set(abnormal_kinds(spec))
        assert len(set(events)) == len(events)
        assert len(test) - len(events) >= len(test) / 5
        assert not any(video.event for video in normal)


def test_kinds_are_balanced_over_cameras():
    plans = [plan_videos(sample_camera(0, number, "tiny"), 0, 6, 4.0, 5.0)[1] for number in range(140)]
    drawn = [video.event for plan in plans for video in plan if video.event]
    counts = np.array([drawn.count(kind) for kind in EVENT_KINDS])
    assert counts.max() < 1.7 * counts.min()


def test_every_second_of_a_video_is_equally_likely_to_be_abnormal():
    covered = np.zeros(10)
    for number in range(200):
        for video in plan_videos(sample_camera(0, number, "tiny"), 0, 6, 4.0, 8.0)[1]:
            if video.event:
                seconds = (np.arange(10) + 0.5) / 10 * video.frames / 10.0
                covered += (seconds >= video.start) & (seconds < video.start + video.seconds)
    assert covered.max() < 1.25 * covered.min()


def test_who_loiters_has_stood_still_for_the_time_that_is_ordinary():
    spec = camera_for("loitering")
    actor = next(a for a in perform(spec, VideoPlan("video", 4, 0, 80, "loitering", 4.0, 2.0)) if a.abnormal.any())
    begins = int(np.flatnonzero(actor.abnormal)[0])
    steps = np.linalg.norm(np.diff(actor.position[:, :2], axis=0), axis=1) * spec.fps
    still = steps[max(begins - int(PATIENCE * spec.fps) + 1, 0) : begins]
    assert still.max() < 0.2
    assert actor.first + begins == 40


def test_who_is_out_of_place_is_beyond_the_margin_of_every_way():
    spec = camera_for("wrong-place")
    actor = next(a for a in perform(spec, VideoPlan("video", 4, 0, 120, "wrong-place", 6.0, 2.0)) if a.abnormal.any())
    away = off_routes(spec, actor.position[:, :2])
    np.testing.assert_array_equal(actor.abnormal, away > MARGIN)
    assert not actor.abnormal.all()


def test_a_left_bag_counts_once_its_owner_is_gone():
    spec = camera_for("left")
    cast = perform(spec, VideoPlan("video", 4, 0, 80, "left", 4.0, 2.0))
    bag = next(actor for actor in cast if actor.kind == "bag")
    begins = int(np.flatnonzero(bag.abnormal)[0])
    assert bag.first + begins == 40
    resting = bag.position[begins - int(PATIENCE * spec.fps) : begins + 10]
    np.testing.assert_allclose(resting, np.tile(resting[0], (len(resting), 1)))
    assert [actor.kind for actor in cast if actor.abnormal.any()] == ["bag"]


def test_an_event_does_not_show_in_the_number_of_people():
    more = []
    for number in range(21):
        spec = sample_camera(8, number, "tiny")
        quiet = VideoPlan("video", 4, 0, 60)
        usual = perform(spec, quiet)
        frames = 30
        for kind in set(abnormal_kinds(spec)) & {"lying", "left", "climbing", "fast"}:
            cast = perform(spec, VideoPlan("video", 4, 0, 60, kind, 2.0, 2.0))
            more.append(
                sum(a.kind == "person" and a.first <= frames < a.last for a in cast)
                - sum(a.kind == "person" and a.first <= frames < a.last for a in usual)
            )
    assert abs(np.mean(more)) < 0.6


def test_ordinary_riders_are_on_screen_where_riding_is_normal():
    spec = next(s for n in range(40) if "cycling" in (s := sample_camera(6, n, "tiny")).habits.includes)
    kinds = {actor.kind for number in range(4) for actor in perform(spec, VideoPlan("video", 3, number, 150))}
    assert "cyclist" in kinds


def closeness(labels):
    return -np.abs(np.arange(len(labels)) - (len(labels) - 1) / 2) / len(labels)


def motion(frames):
    """The largest local mean of the change from frame to frame, the plainest motion threshold there is."""
    steps = np.abs(np.diff(frames.astype(np.float32), axis=0, prepend=frames[:1]))
    count, height, width = steps.shape
    return steps.reshape(count, height // 12, 12, width // 12, 12).mean((2, 4)).max((1, 2))


def test_closeness_to_the_middle_knows_nothing(footage):
    videos = [video for camera in footage for video in camera]
    labels = np.concatenate([video.labels for video in videos])
    auc = roc_auc_score(labels, np.concatenate([closeness(video.labels) for video in videos]))
    assert 0.1 < labels.mean() < 0.5
    assert 0.35 < auc < 0.65


def test_a_motion_threshold_stays_far_below_what_the_events_allow(footage):
    found = []
    for camera in footage:
        labels = np.concatenate([video.labels for video in camera])
        assert 0 < labels.sum() < len(labels)
        found.append(roc_auc_score(labels, np.concatenate([motion(video.frames) for video in camera])))
    assert np.mean(found) < 0.75
    assert np.max(found) < 0.97
