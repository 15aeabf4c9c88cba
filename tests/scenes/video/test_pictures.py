"""Pictures that a caller gives: grey by the same weights as a decoder's, turned, cropped, resized, and copied."""

import av
import numpy as np
import pytest

from metavad.scenes.scene import Crop, Video
from metavad.scenes.video import CameraPictures, probe, read_frames, working_size
from tests.footage import HEIGHT, WIDTH, numbered, turned, write_video

COLOURS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def camera(height=HEIGHT, width=WIDTH, crop=Crop(), size=None):
    return CameraPictures((height, width), crop, size or (height, width))


def test_colours_are_grey_as_the_decoder_s_library_has_it():
    found = camera().working(COLOURS)
    expected = av.VideoFrame.from_ndarray(COLOURS, format="rgb24").reformat(format="gray").to_ndarray()
    np.testing.assert_allclose(found.astype(int), expected, atol=2)
    swapped = camera().working(np.ascontiguousarray(COLOURS[..., ::-1]))
    assert np.abs(swapped.astype(int) - expected).max() > 20


def test_a_working_picture_is_no_view_of_the_caller_s_buffer():
    buffer = numbered(5)
    for crop in (Crop(), Crop(top=2)):
        image = camera(HEIGHT - crop.top, crop=crop).working(buffer)
        assert not np.may_share_memory(image, buffer)
        np.testing.assert_array_equal(image, buffer[crop.top :])


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_frames_of_a_file_are_the_pictures_that_are_read_of_it(tmp_path, quarters):
    path, crop = turned(write_video(tmp_path / "phone.mp4", [5] * 4), quarters), Crop(left=3, bottom=1)
    facts = probe(Video("phone", path), crop)
    pictures = camera(facts.height, facts.width, crop, working_size(facts.height, facts.width, 16))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        pictures.check(frame)
        found = pictures.working(frame)
    expected = next(read_frames(Video("phone", path), short_side=16, crop=crop)).image
    np.testing.assert_array_equal(found, expected)
