"""The annotated video, read back: every frame at its time, what is drawn where, and memory that does not grow."""

import tracemalloc
from dataclasses import replace

import av
import numpy as np
import pytest

from metavad.errors import OutputError
from metavad.scenes.scene import Crop, Video
from metavad.scenes.video import probe
from metavad.scoring import annotated
from metavad.scoring.annotated import check_encoder, write_annotated
from metavad.scoring.frames import FrameScore
from metavad.scoring.painting import CURVE, PAPER, STRIP, Painter, Shown, picture_size
from metavad.scoring.results import EventRecord, EventsRecord, Outline, write_stream
from metavad.scoring.tick_log import DrawnTick, TickLog
from tests.footage import retimed, write_frames, write_video

WIDE = (48, 64)
HEAT = np.pad(np.full((1, 1), 9.0), ((1, 2), (2, 1)))
"""Warm in row 1, column 2 of (4, 4)."""


@pytest.fixture
def keep(request):
    """A log that is closed when the test is over."""

    def made(folder):
        log = TickLog(folder)
        request.addfinalizer(log.__exit__)
        return log

    return made


def record_of(events=(), threshold=2.0):
    found = tuple(
        EventRecord(start=start, end=end, peak=start, score=5.0, box=None, reason="something moves", shares={},
                    nearest_shot=None, picture=None)
        for start, end in events
    )  # fmt: skip
    return EventsRecord(schema=1, video="v", detector="d", threshold=threshold, promise=None, events=found)


def outline_of(length=10.0, highest=3.0):
    seconds = np.linspace(0.0, length, 50)
    return Outline(seconds, np.full(50, highest), np.full(50, 1.0), np.zeros((0, 2)))


def scored(keep, video, folder, alarms=slice(0, 0), threshold=2.0):
    """A table of scores, and what write_annotated needs beside it."""
    seconds = probe(video).seconds
    scores = np.ones(len(seconds))
    scores[alarms] = 5.0
    log = keep(folder)
    heats = [HEAT.copy() for _ in range(len(seconds) // 2 + 1)]  # a tick every other frame
    frames = (
        FrameScore(n, float(seconds[n]), float(scores[n]), bool(scores[n] > threshold), (16.0, 12.0, 48.0, 24.0), None,
                   0, heats[n // 2])
        for n in range(len(seconds))
    )  # fmt: skip
    found, outline, _ = write_stream(folder / "scores.csv", log.watch(frames), seconds=seconds, merge=0.2)
    return (record_of([(each.event.start, each.event.end) for each in found], threshold), outline), log


def drawn(path):
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        return [(frame.time, frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]


def test_the_video_has_the_times_of_the_file_and_says_where_the_event_is(keep, tmp_path):
    video = Video("v", write_video(tmp_path / "v.mp4", [0] * 30, size=WIDE))
    found, log = scored(keep, video, tmp_path, slice(10, 20))
    write_annotated(tmp_path / "out.mp4", video, Crop(), found, log, tmp_path / "scores.csv")
    frames = drawn(tmp_path / "out.mp4")
    np.testing.assert_allclose([time for time, _ in frames], np.arange(30) / 10, atol=1e-3)
    assert {picture.shape for _, picture in frames} == {(480 + STRIP, 640, 3)}

    def redness(number):
        """Of the box's left edge, which is at a quarter of the width."""
        edge = frames[number][1][140:220, 158:164].astype(int)
        return (edge[..., 2] - edge[..., :2].mean(-1)).max()

    assert redness(15) > 80
    assert max(redness(5), redness(25)) < 40
    cursors = [int(np.argmax(picture[480 + CURVE[1] - 3, 12:-12].min(-1))) for _, picture in frames[1:-1]]
    assert np.corrcoef(cursors, np.arange(28))[0, 1] > 0.999


def test_a_fast_video_keeps_every_nth_frame_and_gaps_are_left_out(keep, tmp_path):
    fast = Video("fast", write_video(tmp_path / "fast.mp4", [0] * 50, fps=50, size=WIDE))
    found, log = scored(keep, fast, tmp_path)
    write_annotated(tmp_path / "a.mp4", fast, Crop(), found, log, tmp_path / "scores.csv")
    np.testing.assert_allclose([time for time, _ in drawn(tmp_path / "a.mp4")], np.arange(13) * 0.08, atol=1e-3)
    times = [*range(0, 1000, 100), *range(3_600_000, 3_601_000, 100)]
    joined = Video("joined", retimed(fast.path, tmp_path / "joined.mkv", times))
    found, log = scored(keep, joined, tmp_path)
    write_annotated(tmp_path / "b.mp4", joined, Crop(), found, log, tmp_path / "scores.csv")
    np.testing.assert_allclose([time for time, _ in drawn(tmp_path / "b.mp4")], np.arange(20) / 10, atol=1e-3)
    assert found[1].clock(3600.5) == pytest.approx(1.5)


def test_a_folder_of_frames_has_a_video_too(keep, tmp_path):
    video = Video("f", write_frames(tmp_path / "f", 6), fps=5)
    found, log = scored(keep, video, tmp_path)
    write_annotated(tmp_path / "out.mp4", video, Crop(), found, log, tmp_path / "scores.csv")
    assert len(drawn(tmp_path / "out.mp4")) == 6


def test_memory_is_that_of_a_few_frames(keep, tmp_path):
    def peak(frames):
        video = Video("v", write_video(tmp_path / f"{frames}.mp4", [0] * frames, size=WIDE))
        found, log = scored(keep, video, tmp_path)
        tracemalloc.start()
        write_annotated(tmp_path / f"{frames}-out.mp4", video, Crop(), found, log, tmp_path / "scores.csv")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(5)
    picture = 3 * 640 * (480 + STRIP)
    assert peak(70) < peak(20) + picture


def test_an_error_on_the_way_leaves_nothing(keep, tmp_path):
    video = Video("v", write_video(tmp_path / "v.mp4", [0] * 30, size=WIDE))
    found, log = scored(keep, video, tmp_path)
    rows = (tmp_path / "scores.csv").read_text().splitlines()
    (tmp_path / "scores.csv").write_text("\n".join(rows[:-5]) + "\n")
    before = sorted(tmp_path.iterdir())
    with pytest.raises((RuntimeError, ValueError)):
        write_annotated(tmp_path / "out.mp4", video, Crop(), found, log, tmp_path / "scores.csv")
    assert sorted(tmp_path.iterdir()) == before


def test_without_an_encoder_one_line_says_so(monkeypatch):
    check_encoder()
    monkeypatch.setattr(annotated, "ENCODER", "no-such-encoder")
    with pytest.raises(OutputError, match="no-such-encoder"):
        check_encoder()


# --- what is painted -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1080, 1920), (64, 128), (1920, 1080), (36, 36), (2160, 3840), (480, 640), (9, 400)])
def test_pictures_are_brought_to_a_size_that_can_be_read(size):
    height, width = picture_size(*size)
    assert (height % 2, width % 2) == (0, 0)
    assert height <= 720
    assert width <= 960
    assert width >= 640 or height >= 700
    assert width / height == pytest.approx(size[1] / size[0], rel=0.15 if min(size) < 10 else 0.02)
    painter = Painter(size, Crop(), record_of(), outline_of())
    assert painter.size[1] >= 640
    painted = painter.paint(np.full((*size, 3), 120, np.uint8), Shown(1.0, 1.0, 1.0, False), None)
    assert painted.shape == (*painter.size, 3)


def paint(crop=Crop(), heat=HEAT, threshold=2.0):
    painter = Painter((480, 640), crop, record_of(threshold=threshold), outline_of())
    return painter.paint(np.full((480, 640, 3), 120, np.uint8), Shown(1.0, 1.0, 1.0, False), DrawnTick(0, None, heat))


def changed(painted):
    """The middle of what the map has changed, in pixels."""
    rows, columns = np.nonzero((painted[:480] != 120).any(-1))
    return rows.mean(), columns.mean()


def test_the_map_lies_where_its_cell_is_within_the_crop():
    assert changed(paint()) == pytest.approx((1.5 * 120, 2.5 * 160), abs=12)
    assert changed(paint(Crop(top=240, left=320))) == pytest.approx((240 + 1.5 * 60, 320 + 2.5 * 80), abs=12)
    assert (paint(threshold=40.0)[:480] == 120).all()
    assert (paint(heat=np.zeros((4, 4)))[:480] == 120).all()


def test_the_strip_marks_events_and_a_threshold_far_above_has_no_line():
    def strip(events=(), threshold=2.0):
        painter = Painter((480, 640), Crop(), record_of(events, threshold), outline_of())
        return painter.paint(np.zeros((480, 640, 3), np.uint8), Shown(0.0, 0.0, 1.0, False), None)[480:].astype(int)

    plain, event = strip(), strip([(4.0, 6.0)])
    columns = np.nonzero((plain != event).any((0, 2)))[0]
    assert (columns.min(), columns.max()) == pytest.approx((12 + 0.4 * 616, 12 + 0.6 * 616), abs=2)
    red = [((each[CURVE[0] : CURVE[1], 40:600, 2] - each[CURVE[0] : CURVE[1], 40:600, 0]) > 100).sum()
           for each in (plain, strip(threshold=99.0))]  # fmt: skip
    assert red[0] > 100
    assert red[1] == 0


def test_words_fit_and_names_are_data():
    record = record_of([(0.0, 9.0)])
    event = replace_reason(record, "something moves " * 40)
    for each in (event, event.model_copy(update={"video": "naïve\n\x1b[31m.mp4", "events": ()})):
        painter = Painter((480, 640), Crop(), each, outline_of())
        strip = painter.paint(np.zeros((480, 640, 3), np.uint8), Shown(1.0, 1.0, 5.0, True), None)[480:]
        assert (strip[: CURVE[0] - 6, -10:] == PAPER).all()


def replace_reason(record, reason):
    (event,) = record.events
    return record.model_copy(update={"events": (event.model_copy(update={"reason": reason}),)})


def test_the_log_gives_back_what_was_seen(keep, tmp_path):
    log = keep(tmp_path)
    first, second = HEAT, HEAT + 1e6
    rows = [(None, None), ((1.0, 2.0, 3.0, 4.5), first), (None, first), (None, second)]
    frames = [FrameScore(n, n / 10, 0.0, False, box, None, 0, heat) for n, (box, heat) in enumerate(rows)]
    assert list(log.watch(iter(frames))) == frames
    for _ in range(2):
        one, two = log.ticks()
        assert (one.index, one.box, two.index, two.box) == (1, (1.0, 2.0, 3.0, 4.5), 3, None)
        np.testing.assert_array_equal(one.heat, HEAT)
        assert np.isfinite(two.heat).all()
    assert list(tmp_path.iterdir()) == []
    with TickLog(tmp_path) as empty:
        assert list(empty.ticks()) == []
    assert replace(frames[1], heat=None) == frames[1]
