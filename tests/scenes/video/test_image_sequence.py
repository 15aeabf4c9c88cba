"""Folders of frames: what counts as which frame, how deep pictures are read, and what is odd is said or refused."""

import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metavad.errors import FootageWarning, VideoError
from metavad.scenes.datasets.check import check_suite
from metavad.scenes.listing import frame_files, hexadecimal
from metavad.scenes.scene import Video
from metavad.scenes.suite import load_suite
from metavad.scenes.video import probe, read_colour, read_frames
from metavad.scenes.video.bit_depth import GreyRange, grey_range_of
from tests.footage import number_of, numbered, warned, write_huge_image, write_image, write_video

RAMP = np.tile(np.arange(0, 256, 4, dtype=np.uint16), (32, 1))
"""Grey 0 to 252, as a camera of 8 bits would see it."""


def folder_of(folder: Path, pictures, *, suffix: str = ".png") -> Video:
    for number, picture in enumerate(pictures):
        write_image(folder / f"{number:04d}{suffix}", picture)
    return Video(folder.name, folder, 10.0)


def without_names(texts):
    """Warnings without the file that each is of."""
    return [text.partition(": ")[2] for text in texts]


def read(video: Video) -> np.ndarray:
    return np.stack([frame.image for frame in read_frames(video, short_side=None)])


def test_pictures_of_8_bits_are_read_as_they_are_and_silently(tmp_path):
    video = folder_of(tmp_path / "a", [RAMP.astype(np.uint8)] * 3)
    np.testing.assert_array_equal(read(video), np.stack([RAMP] * 3))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
@pytest.mark.parametrize(
    ("values", "range_"),
    [
        (RAMP * 4, "0 to 1024"),
        (RAMP * 16, "0 to 4096"),
        (RAMP * 64, "0 to 16384"),
        (RAMP * 256, "0 to 65536"),
        (RAMP, "0 to 256"),
    ],
    ids=["10", "12", "14", "16", "8"],
)
def test_the_bits_that_are_used_are_grey(tmp_path, suffix, values, range_):
    """12 bits in 16, read as 16, are black."""
    video = folder_of(tmp_path / "a", [values] * 3, suffix=suffix)
    with pytest.warns(FootageWarning, match=f"{range_}, by the first 3"):
        images = read(video)
    np.testing.assert_array_equal(images[1], RAMP)
    with pytest.warns(FootageWarning):
        colour = read_colour(video, 2)
    np.testing.assert_array_equal(colour, np.repeat(RAMP[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("suffix", "dtype"), [(".png", np.uint16), (".tif", np.uint16), (".tif", np.float32), (".tif", np.int32)], ids=str
)
def test_a_thermal_camera_is_seen(tmp_path, suffix, dtype):
    """Counts of which 2,000 are used: divided by 256 they are 8 greys."""
    counts = (29000 + RAMP.astype(np.float64) * 8).astype(dtype)
    video = folder_of(tmp_path / "a", [counts, counts + 40], suffix=suffix)
    with pytest.warns(FootageWarning, match="stands for the values 27648 to 32768, by the first 2"):
        images = read(video)
    assert len(np.unique(images[0])) == len(np.unique(RAMP))
    assert (images[1].astype(int) >= images[0]).all()
    with pytest.warns(FootageWarning):
        np.testing.assert_array_equal(read_colour(video, 0)[..., 1], images[0])


def test_folders_of_one_camera_mostly_have_one_range():
    """A little warmer or colder is another grey, not another scale."""
    ranges = {grey_range_of([np.uint16(29000 + shift) + RAMP * np.uint16(8)]) for shift in range(0, 400, 40)}
    assert len(ranges) <= 3
    assert {grey_range.low for grey_range in ranges} <= {28160.0, 28672.0}


def test_dead_and_hot_pixels_do_not_say_the_range():
    counts = (29000 + RAMP * 8).astype(np.uint16)
    counts[0, 0], counts[0, 1] = 0, 65535
    assert grey_range_of([counts]) == GreyRange(28160.0, 3584.0)


def test_no_picture_depends_on_one_more_than_half_a_second_later(tmp_path):
    """The range is by the first half second, whatever comes: what lies beyond is said."""
    usual = [RAMP * 4] * 9
    with pytest.warns(FootageWarning, match="0 to 1024"):
        before = read(folder_of(tmp_path / "a", usual))
    with warned() as texts:
        after = read(folder_of(tmp_path / "b", [*usual[:6], *[RAMP * 16] * 3]))
    assert without_names(texts)[1].startswith(
        "75% of 0006.png lie beyond the values 0 to 1024 that the first pictures use"
    )
    np.testing.assert_array_equal(before[:6], after[:6])
    assert after[6].max() == 255


def test_a_dark_beginning_does_not_say_the_range(tmp_path):
    """A camera that begins black: pictures of one value look the same in any range."""
    video = folder_of(tmp_path / "a", [np.zeros_like(RAMP)] * 12 + [RAMP * 16] * 3)
    with pytest.warns(FootageWarning, match="0 to 4096"):
        images = read(video)
    assert images[11].max() == 0
    np.testing.assert_array_equal(images[12], RAMP)


def test_of_video_files_too(tmp_path):
    """Of 16 bits a thermal camera uses few: what begins black is no white video, and what is lost is said."""
    counts = (29000 + RAMP * 8).astype(np.uint16)
    video = grey_file(tmp_path / "a.mkv", [np.zeros_like(RAMP)] * 12 + [counts] * 6 + [counts + 9000] * 2)
    with warned() as texts:
        images = read(video)
    assert [text.partition(" that the first pictures use")[0] for text in without_names(texts)] == [
        "pictures of 16 bits; grey 0 to 255 stands for the values 28160 to 31744, by the first 6",
        "100% of frame 18 lie beyond the values 28160 to 31744",
    ]
    assert [len(np.unique(image)) > 9 for image in images] == [False] * 12 + [True] * 6 + [False] * 2


def test_what_is_dark_throughout_is_of_one_grey(tmp_path):
    with warned():
        images = read(grey_file(tmp_path / "a.mkv", [np.full_like(RAMP, 900)] * 300))
    assert len(images) == 300
    assert len(np.unique(images)) == 1


def test_the_range_is_the_same_however_the_frames_are_asked_for(tmp_path):
    video = folder_of(tmp_path / "a", [RAMP * np.uint16(factor) for factor in (16, 8, 4, 2, 1, 1, 1, 1)])
    with pytest.warns(FootageWarning):
        last = [frame.image for frame in read_frames(video, short_side=None, every=[7])]
        np.testing.assert_array_equal(last[0], read(video)[7])


@given(
    arrays(np.uint16, (8, 8)) | arrays(np.int32, (8, 8)) | arrays(np.float32, (8, 8), elements=st.floats(width=32)),
)
def test_any_numbers_are_grey(picture):
    grey_range = grey_range_of([picture])
    assert grey_range.span > 0
    grey = grey_range.grey(picture)
    assert (grey.dtype, grey.shape) == (np.uint8, picture.shape)
    assert 0 <= grey_range.lost(picture) <= 1


def grey_file(path: Path, pictures, pixels: str = "gray16le") -> Video:
    """FFV1 of pictures (H, W) of 16 bits, ten a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width = RAMP.shape
        stream.pix_fmt = pixels
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="gray16le").reformat(format=pixels)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Video(path.stem, path)


@pytest.mark.parametrize(("pixels", "range_"), [("gray16le", "0 to 4096"), ("gray12le", None), ("gray16le", None)])
def test_grey_video_files_of_more_than_8_bits(tmp_path, pixels, range_):
    """FFV1 of a camera of 12 bits, called 16, called 12; and true 16: the same picture."""
    values = RAMP * np.uint16(16 if pixels == "gray12le" or range_ else 256)
    content = values if pixels == "gray16le" else values * np.uint16(16)
    video = grey_file(tmp_path / "a.mkv", [content] * 8, pixels)
    with warned() as texts:
        images, colour = read(video), read_colour(video, 3)
    expected = f"pictures of 16 bits; grey 0 to 255 stands for the values {range_}, by the first 6"
    assert without_names(texts) == ([expected] if range_ else [])
    assert np.abs(images[5].astype(int) - RAMP).max() <= 2
    assert np.abs(colour[..., 0].astype(int) - RAMP).max() <= 2


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv422p12le", "gbrp10le"])
def test_colour_video_files_of_more_than_8_bits(tmp_path, pixels):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width = RAMP.shape
        stream.pix_fmt = pixels
        frame = av.VideoFrame.from_ndarray(RAMP.astype(np.uint8), format="gray").reformat(format=pixels)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert np.abs(read(Video("a", path))[0].astype(int) - RAMP).max() <= 2


# --- which pictures, in which order --------------------------------------------------------------------------


def named(folder: Path, *names: str) -> Video:
    """Numbered pictures in the order of ``names``."""
    for number, name in enumerate(names):
        write_image(folder / name, numbered(number))
    return Video(folder.name, folder, 10.0)


def numbers(count: int) -> list[str]:
    return [f"{number:04d}.png" for number in range(count)]


@pytest.mark.parametrize(
    "names",
    [
        numbers(12),
        [f"{number * 5:04d}.png" for number in range(6)],
        [f"img_{number}_rgb.png" for number in range(12)],
        [f"cam01_2024-05-17_{number:06d}.png" for number in range(3)],
        [f"{1_700_000_000_000 + number * 40 + number % 2}.png" for number in range(9)],
        [f"2024-05-17_10-{minute:02d}-{second:02d}.png" for minute in range(2) for second in (0, 20, 40)],
        ["7.png", "9.png"],
        [f"20240517{10 + second // 3600}{second // 60 % 60:02d}{second % 60:02d}.png" for second in range(3595, 3605)],
        [f"cam_{minute:06d}.png" for minute in (105957, 105958, 105959, 110000, 110001)],
        [f"{number:04d}_{1_715_941_800 + number // 4}.png" for number in range(9)],
    ],
    ids=["plain", "every fifth", "words", "date", "milliseconds", "clock", "two", "day", "hour", "number and time"],
)
def test_names_that_count_are_silent_and_in_order(tmp_path, names):
    video = named(tmp_path / "a", *names)
    assert [number_of(image) for image in read(video)] == list(range(len(names)))


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ({10, 11, 12, 15}, r"4 numbers are missing \(10 to 12, 15\)"),
        ({2, 4, 6, 8}, r"4 numbers are missing \(2, 4, 6, \.\.\.\)"),
    ],
)
def test_numbers_that_are_missing_are_reported(tmp_path, missing, message):
    names = [name for number, name in enumerate(numbers(20)) if number not in missing]
    video = named(tmp_path / "a", *names)
    with pytest.warns(FootageWarning, match=message):
        assert probe(video).frames == 20 - len(missing)


def test_numbers_beside_times_are_missed_too(tmp_path):
    names = [f"{number:04d}_{1_715_941_800_000 + number * 40}.png" for number in range(20) if number != 7]
    with pytest.warns(FootageWarning, match=r"1 number is missing \(7\)"):
        probe(named(tmp_path / "a", *names))
    clock = [f"20240517_{10_58_00 + second}.png" for second in range(60) if second != 7]
    with pytest.warns(FootageWarning, match=r"1 number is missing"):
        probe(named(tmp_path / "b", *clock))


@pytest.mark.parametrize("other", ["0003.jpg", "3.png", "0003.JPEG"])
def test_two_pictures_of_one_number_are_refused(tmp_path, other):
    video = named(tmp_path / "a", *numbers(6), other)
    with pytest.raises(VideoError, match=r"a: expected one picture of each number, found .*3\.") as caught:
        probe(video)
    assert "\n" not in str(caught.value)


def test_masks_between_the_frames_are_reported(tmp_path):
    video = named(tmp_path / "a", *[f"{number:04d}{end}.png" for number in range(3) for end in ("", "_mask")])
    with pytest.warns(FootageWarning, match=r"names of 2 kinds \(# 3 times, #_mask 3 times\); all 6 pictures"):
        probe(video)


@pytest.mark.parametrize("prefix", ["", "frame_"])
def test_hexadecimal_names_are_in_their_order_and_reported(tmp_path, prefix):
    video = named(tmp_path / "a", *[f"{prefix}{number:04x}.png" for number in range(20)])
    with warned() as texts:
        assert [number_of(image) for image in read(video)] == list(range(20))
    in_order = f"names count in hexadecimal ({prefix}0000 to {prefix}0013), and the frames are ordered by that"
    assert without_names(texts) == [in_order]
    (tmp_path / "a" / f"{prefix}000b.png").unlink()
    with warned() as texts:
        probe(video)
    missing = "1 number is missing (11); later frames move up, and labels by number no longer fit"
    assert without_names(texts) == [in_order, missing]


@pytest.mark.parametrize(
    "stems",
    [
        [f"{letter}{number:02d}" for letter in "abc" for number in range(1, 100)],
        ["face", "cafe", "beef"],
        ["a", "b", "c"],
        ["1a", "1b", "2a", "2b"],
        [f"{number:04d}" for number in range(30)],
        ["3f2a9c01", "b1d00c4e", "77aa01fe"],
        [],
        ["a1"],
    ],
    ids=lambda stems: ",".join(stems[:2]),
)
def test_other_names_do_not_count_in_hexadecimal(stems):
    assert hexadecimal(stems) == []


@given(st.integers(0, 4000), st.integers(2, 300))
def test_hexadecimal_numbers_are_those_written(first, count):
    stems = [f"{number:04x}" for number in range(first, first + count)]
    found = hexadecimal(stems)
    assert not found or [number - found[0] for number in found] == list(range(count))


def test_a_stack_of_pictures_in_one_file_is_refused(tmp_path):
    pages = [numbered(number) for number in range(12)]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "stack.tif").write_bytes(cv2.imencodemulti(".tiff", pages)[1].tobytes())
    with pytest.raises(VideoError, match=r"stack\.tif: expected one picture in a file, found 12; write each"):
        probe(Video("a", tmp_path / "a", 10.0))


def test_a_stack_among_single_pictures_is_refused_where_it_is_read(tmp_path):
    video = named(tmp_path / "a", *[f"{number}.tif" for number in range(3)])
    pages = [numbered(number) for number in range(2)]
    (tmp_path / "a" / "3.tif").write_bytes(cv2.imencodemulti(".tiff", pages)[1].tobytes())
    assert probe(video).frames == 4
    with pytest.raises(VideoError, match=r"3\.tif: expected one picture in a file, found 2"):
        read(video)


def test_a_picture_over_the_limit_of_pixels_is_one_line(tmp_path):
    write_huge_image(tmp_path / "a" / "0.png")
    with pytest.raises(VideoError, match=r"0\.png: expected a picture that OpenCV takes \(2\^30 pixels") as caught:
        probe(Video("a", tmp_path / "a", 10.0))
    assert "\n" not in str(caught.value)


def test_names_that_are_no_text(tmp_path):
    """Bytes that are not UTF-8, as old disks and archives have them: here such a name ended the whole process."""
    video = named(tmp_path / "a", *numbers(3))
    try:
        for number in range(3):
            (video.path / f"{number:04d}.png").rename(video.path / os.fsdecode(b"\xff%d.png" % number))
    except OSError:
        pytest.skip("a disk on which every name is text")
    assert [number_of(image) for image in read(video)] == [0, 1, 2]


def test_a_folder_that_changes_is_looked_through_again(tmp_path):
    video = named(tmp_path / "a", *numbers(4))
    assert probe(video).frames == 4
    write_image(tmp_path / "a" / "0004.png", numbered(4))
    assert probe(video).frames == 5
    for number in range(5):
        write_image(tmp_path / "a" / f"{number:04d}.png", numbered(number, 16, 24))
    assert (probe(video).height, probe(video).width) == (16, 24)


def test_masks_and_frames_with_hexadecimal_names_fit(tmp_path):
    """Labels of pixels are files in the same order."""
    named(tmp_path / "masks", *[f"{number:02x}.png" for number in range(20)])
    assert [int(path.stem, 16) for path in frame_files(tmp_path / "masks")] == list(range(20))


def test_what_is_odd_is_a_finding(tmp_path):
    named(tmp_path / "gaps", *[name for number, name in enumerate(numbers(9)) if number != 4])
    named(tmp_path / "dup", *numbers(3), "0001.jpg")
    folder_of(tmp_path / "deep", [RAMP * 16] * 3)
    (tmp_path / "suite.toml").write_text('[[scenes]]\nname = "x"\nnormal = ["*"]\nfps = 10\n')
    found = [str(finding) for finding in check_suite(load_suite(str(tmp_path)), jobs=2)]
    assert len(found) == 3
    assert [line for line in found if line.startswith("warning: ") and "/gaps: 1 number is missing (4)" in line]
    assert [line for line in found if line.startswith("warning: ") and "/deep: pictures of 16 bits; grey" in line]
    assert [line for line in found if line.startswith("error: ") and "one picture of each number" in line]


def test_a_video_beside_is_no_frame(tmp_path):
    video = named(tmp_path / "a", *numbers(3))
    write_video(tmp_path / "a" / "0003.mp4", range(2))
    assert probe(video).frames == 3
