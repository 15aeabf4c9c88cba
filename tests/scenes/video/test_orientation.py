"""Pictures are shown as a player shows them: the eight turns and mirrorings of a display matrix."""

from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest

from metavad.scenes.scene import Crop, Video
from metavad.scenes.video import probe, read_colour, read_frames
from metavad.scenes.video.orientation import shown
from tests.footage import displayed, numbered

CORNERED = numbered(5)
"""A picture that no turn or mirroring leaves as it is."""
CORNERED[:8, :8] = 250

MATRICES = [(a, 0, 0, d) for a, d in product([1, -1], repeat=2)] + [(0, b, c, 0) for b, c in product([1, -1], repeat=2)]


def mapped(picture: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Every pixel carried to where the matrix says, one by one."""
    a, b, c, d = matrix
    height, width = picture.shape[:2]
    places = {(x, y): (a * x + c * y, b * x + d * y) for x in range(width) for y in range(height)}
    left, top = min(x for x, _ in places.values()), min(y for _, y in places.values())
    result = np.zeros_like(picture if b == 0 else picture.swapaxes(0, 1))
    for (x, y), (across, down) in places.items():
        result[down - top, across - left] = picture[y, x]
    return result


@pytest.mark.parametrize("matrix", MATRICES, ids=str)
def test_every_pixel_comes_where_the_matrix_says(matrix):
    picture = np.random.default_rng(0).integers(0, 255, (3, 5, 3), np.uint8)
    expected = mapped(picture, matrix)
    np.testing.assert_array_equal(shown(picture, matrix), expected)
    np.testing.assert_array_equal(shown(picture[..., 0], matrix), expected[..., 0])
    np.testing.assert_array_equal(shown(picture, tuple(65536 * number for number in matrix)), expected)


def test_a_slanted_matrix_is_the_nearest_turn():
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(shown(picture, (9, 3, -3, 9)), picture)
    np.testing.assert_array_equal(shown(picture, (3, 9, -9, 3)), np.rot90(picture, -1))
    np.testing.assert_array_equal(shown(picture, (0, 0, 0, 0)), picture)


@pytest.mark.parametrize("matrix", MATRICES, ids=str)
def test_a_file_is_shown_as_its_matrix_says(tmp_path, matrix):
    crop = Crop(top=3, left=10)
    expected = crop.apply(mapped(CORNERED, matrix))
    video = Video("a", displayed(_video_of(CORNERED, tmp_path / "a.mp4"), *matrix))
    facts = probe(video, crop)
    image = next(read_frames(video, short_side=None, crop=crop)).image
    colour = read_colour(video, 0, crop)
    assert (facts.height, facts.width) == image.shape == colour.shape[:2] == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 12
    assert np.abs(colour.astype(int) - expected[..., None]).mean() < 12


def _video_of(picture: np.ndarray, path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = picture.shape
        stream.pix_fmt = "yuv420p"
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode(None))
    return path
