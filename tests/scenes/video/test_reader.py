"""Frames are read exactly: the pictures say their own numbers."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from hypothesis import given
from hypothesis import strategies as st

from metavad.errors import FootageWarning, VideoError
from metavad.scenes.scene import Crop, Video
from metavad.scenes.video import probe, read_colour, read_frames, reader, tick_frames, working_size
from metavad.scenes.video.container import OpenVideo, opened
from metavad.scenes.video.pictures import converted
from tests.footage import (
    B_FRAMES,
    HEIGHT,
    WIDTH,
    blanked,
    number_of,
    numbered,
    packet_positions,
    remuxed,
    restamped,
    turned,
    write_frames,
    write_image,
    write_video,
)

CODECS = [
    ("a.mp4", "libx264", {"g": "7", "bf": "3"}),
    ("one-group.mp4", "libx264", {"g": "1000", "bf": "0"}),
    ("a.mkv", "libx264", {"g": "5", "bf": "2"}),
    ("a.avi", "mpeg4", {"g": "6"}),
    ("b-frames.avi", "mpeg4", {"g": "12", "bf": "2"}),
    ("a.mov", "mjpeg", {}),
    ("a.ts", "libx264", {"g": "8", "bf": "2"}),
    ("a.webm", "libvpx", {"g": "9"}),
    ("no-times.h264", "libx264", {"g": "8", "bf": "2"}),
]


REMUXED = ["h264.avi", "h264.asf", "h264-plain.avi", "h264-plain.asf"]
"""H.264 where only times of decoding are stored, with pictures that refer to both sides and without."""


EVERY = [name for name, *_ in CODECS] + REMUXED


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("footage")
    for name, codec, options in CODECS:
        write_video(folder / name, range(60), fps=25, codec=codec, options=options)
    source = write_video(folder / "b-frames.mp4", range(60), fps=25, options=B_FRAMES)
    plain = write_video(folder / "plain.mp4", range(60), fps=25, options={"g": "20", "bf": "0"})
    for name in REMUXED:
        remuxed(plain if "plain" in name else source, folder / name)
    return folder


def video(path: Path, fps: float | None = None) -> Video:
    return Video(path.stem, path, fps)


def numbers(frames) -> list[int]:
    return [number_of(frame.image) for frame in frames]


@pytest.mark.parametrize("name", EVERY)
def test_every_frame_is_read_once_and_in_order(footage, name):
    frames = list(read_frames(video(footage / name), short_side=None))
    assert numbers(frames) == list(range(60))
    assert [frame.index for frame in frames] == list(range(60))
    facts = probe(video(footage / name))
    assert (facts.frames, facts.height, facts.width) == (60, HEIGHT, WIDTH)
    assert facts.rate == pytest.approx(25, rel=0.01)
    np.testing.assert_allclose(facts.seconds, np.arange(60) / 25, atol=2e-3)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("wanted", [[59], [0, 30, 31, 58], [7, 6, 5], [13, 14, 40], [0], list(range(0, 60, 13))])
def test_an_index_means_the_same_frame_wherever_reading_starts(footage, name, wanted):
    frames = list(read_frames(video(footage / name), short_side=None, every=wanted))
    assert numbers(frames) == sorted(wanted)
    assert [frame.index for frame in frames] == sorted(wanted)


@pytest.mark.parametrize("name", EVERY)
def test_a_span_is_half_open(footage, name):
    assert numbers(read_frames(video(footage / name), short_side=None, every=[41, 42, 43])) == [41, 42, 43]
    assert numbers(read_frames(video(footage / name), short_side=None, every=range(58, 60))) == [58, 59]


@pytest.mark.parametrize("name", EVERY)
def test_the_quick_index_agrees_with_decoding_everything(footage, name):
    with opened(footage / name) as file:
        quick = reader._demuxed_index(file)
    with opened(footage / name) as file:
        whole = reader._decoded_index(file)
    assert quick is None or quick == whole


def test_the_quick_index_is_used_where_it_can_be(footage):
    with opened(footage / "a.mp4") as file:
        assert reader._demuxed_index(file) is not None


def test_a_seek_that_goes_astray_is_noticed(footage, monkeypatch):
    monkeypatch.setattr(OpenVideo, "frames_from", lambda file, stamp: iter([]))
    assert numbers(read_frames(video(footage / "a.mp4"), short_side=None, every=[53])) == [53]


def test_variable_frame_rate_keeps_its_times(tmp_path):
    times = [0, 40, 80, 400, 440, 1000, 1040, 1080]
    path = write_video(tmp_path / "phone.mp4", range(8), fps=25, milliseconds=times)
    facts = probe(video(path))
    np.testing.assert_allclose(facts.seconds * 1000, times, atol=1)
    assert facts.rate == pytest.approx(7 / 1.08, rel=1e-3)
    assert numbers(read_frames(video(path), short_side=None, every=[3, 5])) == [3, 5]


# --- times ---------------------------------------------------------------------------------------------------

SPACED = [40 * number + 3280 * (number >= 30) for number in range(60)]
"""Milliseconds of sixty frames with a gap in the middle."""


@pytest.mark.parametrize("name", ["a.avi", "a.asf", "a.mkv", "a.flv", "a.ts"])
@pytest.mark.parametrize("options", [B_FRAMES, {"g": "20", "bf": "0"}], ids=["b-frames", "plain"])
def test_times_survive_another_container(tmp_path, name, options):
    source = write_video(tmp_path / "a.mp4", range(60), fps=25, options=options, milliseconds=SPACED)
    path = remuxed(source, tmp_path / name)
    np.testing.assert_allclose(probe(video(path)).seconds * 1000, SPACED, atol=1.1)
    assert numbers(read_frames(video(path), short_side=None)) == list(range(60))
    assert numbers(read_frames(video(path), short_side=None, every=[29, 58])) == [29, 58]


@pytest.mark.parametrize("suffix", [".h264", ".h265"])
@pytest.mark.parametrize("fps", [10, 15, 60])
def test_pictures_without_times_have_the_rate_that_they_state(tmp_path, suffix, fps):
    codec = {".h264": "libx264", ".h265": "libx265"}[suffix]
    path = write_video(tmp_path / f"a{suffix}", range(20), fps=fps, codec=codec)
    facts = probe(video(path))
    assert facts.rate == pytest.approx(fps)
    np.testing.assert_allclose(facts.seconds, np.arange(20) / fps)


def test_a_rate_that_is_a_guess_is_reported_and_may_be_given(tmp_path):
    path = write_video(tmp_path / "a.mjpeg", range(20), fps=10, codec="mjpeg")
    with pytest.warns(FootageWarning, match=r"a\.mjpeg: its format has no times; 25 frames a second are assumed"):
        assert probe(video(path)).rate == pytest.approx(25)
    assert probe(video(path, 10)).rate == 10


@pytest.mark.parametrize("name", ["a.mp4", "no-times.h264", "h264.avi"])
def test_a_rate_that_is_given_takes_the_place_of_times(footage, name):
    facts = probe(video(footage / name, 12.5))
    assert facts.rate == 12.5
    np.testing.assert_array_equal(facts.seconds, np.arange(60) / 12.5)
    frames = list(read_frames(video(footage / name, 12.5), short_side=None, every=[0, 50]))
    assert numbers(frames) == [0, 50]
    assert [frame.seconds for frame in frames] == [0, 4]


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_cannot_be_is_refused(footage, fps):
    with pytest.raises(VideoError, match="expected a frame rate"):
        probe(video(footage / "a.mp4", fps))


WRONG = {
    "again": lambda number, stamp: stamp - 40 * (number == 41),
    "ahead": lambda number, stamp: stamp + 2013 * (number == 30),
    "ahead at the end": lambda number, stamp: stamp + 2013 * (number == 80),
    "back": lambda number, stamp: stamp - 1013 * (number == 60),
    "first": lambda number, stamp: stamp + 5000 * (number == 0),
    "second by second": lambda number, stamp: stamp // 1000 * 1000,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_stamp_freezes_no_picture_and_moves_no_other(tmp_path, wrong):
    path = write_video(tmp_path / "a.flv", range(100), fps=25, options={"g": "20", "bf": "0"})
    expected = probe(video(path)).seconds
    restamped(path, WRONG[wrong])
    with pytest.warns(FootageWarning, match=r"a\.flv: holds no usable time for .* frames"):
        facts = probe(video(path))
    np.testing.assert_allclose(facts.seconds, expected, atol=1e-6)
    assert numbers(read_frames(video(path), short_side=None)) == list(range(100))
    assert numbers(read_frames(video(path), short_side=None, every=[5, 31, 62, 90])) == [5, 31, 62, 90]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_wrong_stamp_among_pictures_that_refer_to_both_sides(tmp_path, name):
    def jumped(number, packet):
        if number == 30:
            packet.pts += round(1.013 / packet.time_base)

    path = remuxed(write_video(tmp_path / "0.mp4", range(100), fps=25, options=B_FRAMES), tmp_path / name, jumped)
    with pytest.warns(FootageWarning, match="holds no usable time for 1 of 100 frames"):
        facts = probe(video(path))
    np.testing.assert_allclose(facts.seconds, np.arange(100) / 25, atol=2e-3)
    assert numbers(read_frames(video(path), short_side=None)) == list(range(100))


@pytest.mark.parametrize(
    ("jump", "message"),
    [
        (lambda number, stamp: stamp + 1_400_000_000 * (number >= 5), "ahead by 16 days at frame 5"),
        (lambda number, stamp: stamp - 2000 * (number >= 50), "back by 2 s at frame 50"),
    ],
)
def test_a_clock_that_is_set_is_reported_and_costs_nothing(tmp_path, jump, message):
    path = write_video(tmp_path / "a.flv", range(100), fps=25, options={"g": "20", "bf": "0"})
    restamped(path, jump)
    with pytest.warns(FootageWarning, match=f"its clock jumps {message}"):
        facts = probe(video(path))
    np.testing.assert_allclose(facts.seconds, np.arange(100) / 25, atol=2e-3)
    assert numbers(read_frames(video(path), short_side=None)) == list(range(100))
    assert numbers(read_frames(video(path), short_side=None, every=[3, 52, 99])) == [3, 52, 99]


def test_an_hour_without_pictures_stays_an_hour(tmp_path):
    path = write_video(tmp_path / "a.mkv", range(20), milliseconds=[100 * n + 3_600_000 * (n > 9) for n in range(20)])
    facts = probe(video(path))
    assert facts.seconds[10] - facts.seconds[9] == pytest.approx(3600.1)
    assert numbers(read_frames(video(path), short_side=None, every=[9, 10])) == [9, 10]


def test_times_below_zero_and_around_the_end_of_the_counter(tmp_path):
    def moved(seconds):
        def change(number, packet):
            packet.pts += round(seconds / packet.time_base)
            packet.dts += round(seconds / packet.time_base)

        return change

    source = write_video(tmp_path / "0.mp4", range(60), fps=25, options=B_FRAMES)
    for name, seconds in [("a.nut", -1.0), ("a.mkv", 5000.0), ("a.ts", 2**33 / 90_000 - 1)]:
        path = remuxed(source, tmp_path / name, moved(seconds))
        np.testing.assert_allclose(probe(video(path)).seconds, np.arange(60) / 25, atol=2e-3)
        assert numbers(read_frames(video(path), short_side=None)) == list(range(60))
        assert numbers(read_frames(video(path), short_side=None, every=[45])) == [45]


@pytest.mark.parametrize("skipped", [10, 13, 20])
def test_what_an_edit_list_cuts_off_is_not_there(tmp_path, skipped):
    path = write_video(tmp_path / "a.mp4", range(60), fps=25, options=B_FRAMES)
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 4 + 8  # behind version and count: length in milliseconds, first stamp at 12800 a second
    length, first = (int.from_bytes(data[place : place + 4], "big") for place in (at, at + 4))
    data[at : at + 4] = (length - 40 * skipped).to_bytes(4, "big")
    data[at + 4 : at + 8] = (first + 512 * skipped).to_bytes(4, "big")
    path.write_bytes(bytes(data))
    np.testing.assert_allclose(probe(video(path)).seconds, np.arange(60 - skipped) / 25, atol=1e-6)
    assert numbers(read_frames(video(path), short_side=None)) == list(range(skipped, 60))
    assert numbers(read_frames(video(path), short_side=None, every=[30])) == [skipped + 30]


def test_recordings_joined_byte_by_byte_go_on(tmp_path):
    one = write_video(tmp_path / "1.ts", range(50), options={"g": "10", "bf": "0"})
    two = write_video(tmp_path / "2.ts", range(50, 100), options={"g": "10", "bf": "0"})
    both = video(joined(tmp_path / "both.ts", one, two))
    with pytest.warns(FootageWarning, match="its clock jumps back by 4.9 s at frame 50"):
        facts = probe(both)
    np.testing.assert_allclose(facts.seconds, np.arange(100) / 10, atol=1e-6)
    assert numbers(read_frames(both, short_side=None, every=[10, 49, 50, 77])) == [10, 49, 50, 77]


def test_packets_without_content_are_no_frames(tmp_path):
    source = write_video(tmp_path / "0.mp4", range(30), options={"bf": "0"})
    with av.open(str(source)) as given, av.open(str(tmp_path / "a.nut"), "w") as made:
        stream = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        for packet in (each for each in given.demux(stream) if each.size):
            packet.stream, empty = copy, av.Packet(b"")
            empty.stream, empty.time_base, empty.pts, empty.dts = copy, packet.time_base, packet.pts + 1, packet.pts + 1
            made.mux([packet, empty])
    assert numbers(read_frames(video(tmp_path / "a.nut"), short_side=None)) == list(range(30))


# --- damage and endings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.flv"])
def test_a_file_that_is_cut_short_says_so(tmp_path, name):
    source = write_video(tmp_path / "0.mp4", range(100), options={"g": "10", "bf": "0"})
    path = remuxed(source, tmp_path / name, options={"movflags": "faststart"} if name == "a.mp4" else {})
    path.write_bytes(path.read_bytes()[: packet_positions(path)[60] + 5])
    with pytest.warns(FootageWarning, match=r"ends at 5\.\d s, its header says 10.0 s: cut short"):
        facts = probe(video(path))
    assert 58 <= facts.frames <= 61
    assert numbers(read_frames(video(path), short_side=None))[:58] == list(range(58))


def test_pictures_that_do_not_decode_are_counted(tmp_path):
    path = blanked(write_video(tmp_path / "a.mov", range(40), codec="mjpeg"), (10, 11, 12))
    with pytest.warns(FootageWarning, match=r"3 of 40 frames do not decode; the picture before is taken"):
        frames = list(read_frames(video(path), short_side=None))
    assert numbers(frames) == [*range(10), 9, 9, 9, *range(13, 40)]


# --- pictures ------------------------------------------------------------------------------------------------


def test_colours_in_a_space_that_nobody_knows_are_read_all_the_same():
    frame = av.VideoFrame.from_ndarray(numbered(5), format="gray").reformat(format="yuv420p")
    frame.colorspace = 65
    with pytest.raises(OSError, match="not supported"):
        frame.reformat(format="gray")
    picture = converted("a", VideoReformatter(), frame, "gray")
    assert number_of(picture) == 5


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_phone_videos_are_turned_as_a_player_turns_them(tmp_path, quarters):
    path = turned(write_video(tmp_path / "phone.mp4", [5] * 4), quarters)
    facts = probe(video(path))
    image = next(read_frames(video(path), short_side=None)).image
    expected = np.rot90(numbered(5), -quarters)
    assert (facts.height, facts.width) == image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 12
    assert read_colour(video(path), 0).shape == (*expected.shape, 3)


def test_a_folder_is_read_in_natural_order_without_junk(tmp_path):
    folder = write_frames(tmp_path / "clip", 12, digits=1)
    assert numbers(read_frames(video(folder, 5), short_side=None)) == list(range(12))
    facts = probe(video(folder, 5))
    assert (facts.frames, facts.rate) == (12, 5)
    np.testing.assert_allclose(facts.seconds, np.arange(12) / 5)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_formats_of_frames(tmp_path, suffix):
    folder = write_frames(tmp_path / "clip", 3, suffix=suffix)
    assert numbers(read_frames(video(folder, 5), short_side=None)) == [0, 1, 2]


def test_crop_comes_first_and_size_after(tmp_path):
    path = write_video(tmp_path / "a.mp4", range(3))
    crop = Crop(top=8, bottom=8, left=16, right=16)
    facts = probe(video(path), crop)
    assert (facts.height, facts.width) == (16, 32)
    assert next(read_frames(video(path), short_side=24, crop=crop)).image.shape == (24, 48)
    whole = next(read_frames(video(path), short_side=None)).image
    np.testing.assert_array_equal(next(read_frames(video(path), short_side=None, crop=crop)).image, crop.apply(whole))
    assert read_colour(video(path), 2, crop).shape == (16, 32, 3)


def test_a_crop_that_leaves_nothing_is_refused(tmp_path):
    with pytest.raises(VideoError, match="crop"):
        probe(video(write_video(tmp_path / "a.mp4", range(2))), Crop(top=HEIGHT))


@pytest.mark.parametrize("content", [b"", b"not a video at all", bytes(4096)])
def test_what_is_no_video_is_one_line(tmp_path, content):
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"bad\.mp4: expected a video") as caught:
        probe(video(path))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(VideoError, match="no such file"):
        probe(video(tmp_path / "none.mp4"))


def test_a_sound_file_has_no_pictures(tmp_path):
    import wave

    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    with pytest.raises(VideoError, match="without pictures"):
        probe(video(tmp_path / "sound.wav"))


def test_a_torn_file_counts_what_decodes(tmp_path):
    path = write_video(tmp_path / "a.avi", range(40), codec="mpeg4", options={"g": "5"})
    path.write_bytes(path.read_bytes()[: packet_positions(path)[25] + 30])
    facts = probe(video(path))
    frames = list(read_frames(video(path), short_side=None))
    assert 5 < facts.frames < 40
    assert len(frames) == facts.frames
    assert numbers(frames)[:-1] == list(range(facts.frames - 1))  # the last picture is torn


def test_a_torn_mp4_whose_index_is_lost_is_an_error(tmp_path):
    path = write_video(tmp_path / "a.mp4", range(40))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(VideoError):
        probe(video(path))


def test_a_header_with_the_wrong_count_does_not_matter(tmp_path):
    path = write_video(tmp_path / "a.avi", range(12), codec="mpeg4")
    data = bytearray(path.read_bytes())
    at = data.index(b"avih") + 8 + 16  # dwTotalFrames
    data[at : at + 4] = (999).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    assert probe(video(path)).frames == 12


def test_damage_in_the_middle_shows_the_frame_before(tmp_path):
    path = write_video(tmp_path / "a.mov", range(30), codec="mjpeg")
    clean = probe(video(path)).frames
    at = packet_positions(path)[10]
    data = bytearray(path.read_bytes())
    data[at : at + 40] = bytes(40)
    path.write_bytes(bytes(data))
    frames = list(read_frames(video(path), short_side=None))
    assert len(frames) == clean == probe(video(path)).frames
    assert numbers(frames)[11:] == list(range(11, 30))
    assert numbers(frames)[:10] == list(range(10))


@pytest.mark.filterwarnings("ignore::metavad.errors.FootageWarning")
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.webm"])
@pytest.mark.parametrize("seed", range(4))
def test_random_damage_is_read_consistently_or_refused(footage, tmp_path, name, seed):
    random = np.random.default_rng(seed)
    data = bytearray((footage / name).read_bytes())
    for at in random.integers(len(data) // 20, len(data), 3):
        data[at : at + 20] = random.bytes(len(data[at : at + 20]))
    path = tmp_path / name
    path.write_bytes(bytes(data))
    try:
        facts = probe(video(path))
        frames = list(read_frames(video(path), short_side=None))
    except VideoError as error:
        assert "\n" not in str(error)
        return
    assert [frame.index for frame in frames] == list(range(facts.frames))
    assert facts.rate > 0
    assert (np.diff(facts.seconds) > 0).all()
    ends = sorted({0, facts.frames - 1})
    assert [frame.index for frame in read_frames(video(path), short_side=None, every=ends)] == ends


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def test_a_video_whose_shape_changes_is_one_line(tmp_path):
    one = write_video(tmp_path / "1.h264", range(3))
    two = write_video(tmp_path / "2.h264", range(3), size=(64, 64))
    both = joined(tmp_path / "both.h264", one, two)
    with pytest.raises(VideoError, match="expected 64x32 pixels in frame 3, found 64x64; cut the video"):
        list(read_frames(video(both), short_side=None))


@pytest.mark.parametrize("name", ["a.h264", "a.ts"])
def test_a_video_that_changes_to_another_resolution_is_one_view(tmp_path, name):
    one = write_video(tmp_path / f"1{name}", range(30))
    two = write_video(tmp_path / f"2{name}", range(30, 50), size=(64, 128))
    both = video(joined(tmp_path / name, one, two))
    with pytest.warns(FootageWarning, match="pictures change from 64x32 to 128x64; they are brought to the first"):
        frames = list(read_frames(both, short_side=None))
    assert numbers(frames) == list(range(50))
    assert {frame.image.shape for frame in frames} == {(HEIGHT, WIDTH)}
    with pytest.warns(FootageWarning, match="pictures change"):
        assert read_colour(both, 40).shape == (HEIGHT, WIDTH, 3)


def test_a_file_that_changes_is_looked_at_again(tmp_path):
    path = write_video(tmp_path / "a.mp4", range(4))
    assert probe(video(path)).frames == 4
    write_video(path, range(9))
    assert probe(video(path)).frames == 9


def test_a_folder_without_a_rate(tmp_path):
    with pytest.raises(VideoError, match="fps"):
        probe(video(write_frames(tmp_path / "clip", 2)))


def test_a_folder_without_frames(tmp_path):
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "._1.png").write_bytes(b"junk")
    with pytest.raises(VideoError, match="found none"):
        probe(video(tmp_path / "clip", 5))


def test_frames_of_different_sizes(tmp_path):
    folder = write_frames(tmp_path / "clip", 3)
    write_image(folder / "003.png", numbered(0, 16, 32))
    with pytest.raises(VideoError, match=r"003\.png: expected 64x32 pixels as in frame 0, found 32x16"):
        list(read_frames(video(folder, 5), short_side=None))


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_frame_that_cannot_be_read(tmp_path, content):
    folder = write_frames(tmp_path / "clip", 3)
    (folder / "001.png").write_bytes(content)
    with pytest.raises(VideoError, match=r"001\.png: expected an image"):
        list(read_frames(video(folder, 5), short_side=None))


@pytest.mark.parametrize("wanted", [[-1], [3], [0, 99]])
def test_an_index_beyond_the_video(tmp_path, wanted):
    folder = write_frames(tmp_path / "clip", 3)
    with pytest.raises(VideoError, match="from 0 to 2"):
        list(read_frames(video(folder, 5), short_side=None, every=wanted))


def test_nothing_wanted_is_nothing_read(tmp_path):
    folder = write_frames(tmp_path / "clip", 3)
    assert list(read_frames(video(folder, 5), short_side=None, every=[])) == []


def test_colour_is_blue_green_red(tmp_path):
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[..., 2] = 200
    write_image(tmp_path / "clip" / "0.png", picture)
    np.testing.assert_array_equal(read_colour(video(tmp_path / "clip", 5), 0)[0, 0], [0, 0, 200])


@given(height=st.integers(1, 3000), width=st.integers(1, 3000), side=st.integers(1, 600))
def test_working_size_keeps_the_aspect_ratio(height, width, side):
    h, w = working_size(height, width, side)
    assert min(h, w) == max(1, min(side, max(2 * min(height, width), side // 2)))
    assert abs(h * width - w * height) <= 0.5 * max(height, width) + 1e-9 or min(h, w) == 1


def test_working_size_may_be_left_alone():
    assert working_size(33, 77, None) == (33, 77)


@given(fps=st.floats(1, 120), frames=st.integers(0, 300), rate=st.sampled_from([5.0, 10.0, 12.5]))
def test_ticks_rise_begin_at_zero_and_come_on_time(fps, frames, rate):
    seconds = np.arange(frames) / fps
    ticks = tick_frames(seconds, rate)
    assert len(ticks) == 0 if frames == 0 else ticks[0] == 0
    assert (np.diff(ticks) > 0).all()
    assert len(ticks) == frames or len(ticks) <= rate * seconds[-1] + 2
    if frames and fps < rate * 0.99:
        np.testing.assert_array_equal(ticks, np.arange(frames))
    if frames:  # the n-th tick is never more than half a frame before its time
        assert (seconds[ticks] >= np.arange(len(ticks)) / rate - 0.5 / fps - 2e-3).all()


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(30, [0, 3, 6, 9]), (25, [0, 2, 5, 7, 10]), (10, [0, 1, 2, 3]), (15, [0, 1, 3, 4, 6]), (5, [0, 1, 2, 3])],
)
def test_ticks_of_common_rates(fps, expected):
    assert tick_frames(np.arange(100) / fps, 10).tolist()[: len(expected)] == expected


def test_ticks_do_not_depend_on_rounding_of_times():
    exact = np.arange(300) / 15
    np.testing.assert_array_equal(tick_frames(exact, 10), tick_frames(np.round(exact, 3), 10))


def test_a_gap_in_time_gives_no_tick():
    seconds = np.concatenate([np.arange(10) / 10, 5 + np.arange(10) / 10])
    np.testing.assert_array_equal(tick_frames(seconds, 10), np.arange(20))
