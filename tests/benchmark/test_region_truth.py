"""Boxes and pixels of a scene against masks drawn by hand."""

import numpy as np
import pytest

from metavad.benchmark.region_truth import pixel_figure, region_figures, region_truth_of
from metavad.scenes.suite import load_suite
from metavad.scoring.regions import detect
from tests.footage import write_image, write_video

SIZE = (24, 32)
ABNORMAL = (2, 6)
BOX = (8, 4, 16, 12)


def masks(frames: int) -> np.ndarray:
    """A box of 8x8 pixels in frames 2 to 5."""
    drawn = np.zeros((frames, *SIZE), np.uint8)
    x0, y0, x1, y1 = BOX
    drawn[slice(*ABNORMAL), y0:y1, x0:x1] = 255
    return drawn


@pytest.fixture
def scene(tmp_path):
    """Two test videos of ten frames: one with an object in its masks, one normal; a third without masks."""
    for name in ("a", "b", "c"):
        write_video(tmp_path / "test" / f"{name}.mp4", range(10), size=SIZE)
        labels = np.zeros(10, np.uint8)
        labels[slice(*ABNORMAL)] = name != "b"
        (tmp_path / "labels").mkdir(exist_ok=True)
        np.save(tmp_path / "labels" / f"{name}.npy", labels)
    for name, drawn in (("a", masks(10)), ("b", np.zeros((10, *SIZE), np.uint8))):
        for number, mask in enumerate(drawn):
            write_image(tmp_path / "masks" / name / f"{number:03d}.png", mask)
    (tmp_path / "suite.toml").write_text(
        '[[scenes]]\nname = "s"\ntest = ["test/*.mp4"]\n'
        'labels = { format = "npy", path = "labels/{video}.npy" }\n'
        'pixel_masks = { format = "png", path = "masks/{video}" }\n'
    )
    return load_suite(str(tmp_path)).scenes[0]


def truth(scene, counted=slice(None)):
    keep = np.zeros(10, bool)
    keep[counted] = True
    return {v.name: (np.load(scene.root / "labels" / f"{v.name}.npy").astype(bool), keep) for v in scene.test}


def region_truth(scene, ticks=(0, 2, 4, 6, 8), counted=slice(None)):
    at = {video.name: np.array(ticks) for video in scene.test}
    return region_truth_of(scene, truth(scene, counted), at, (6, 8), dict.fromkeys(at, SIZE))


def maps(shift=0):
    """Right where the object is (in cells of 4x4 pixels), or so many cells beside it."""
    found = np.full((5, 6, 8), 0.1)
    found[1:3, 1:3, 2 + shift : 4 + shift] = 3.0
    return found


def test_a_map_that_knows_the_place_is_perfect_and_one_beside_it_is_not(scene):
    drawn = region_truth(scene)
    assert drawn.known
    right, beside = ({"a": m, "b": np.full((5, 6, 8), 0.1), "c": m} for m in (maps(), maps(4)))
    assert pixel_figure(drawn, right) == 1.0
    assert pixel_figure(drawn, beside) < 0.5
    for each, expected in ((right, (1.0, 1.0)), (beside, (0.0, 0.0))):
        boxes = {name: detect(m, SIZE) for name, m in each.items()}
        found = region_figures(drawn, {name: rows[rows[:, 5] > 1] for name, rows in boxes.items()})
        assert found == pytest.approx(expected)


def test_boxes_of_a_video_are_of_its_own_size(scene):
    """One camera, recorded twice as large for a while: its maps are the same, its boxes are not."""
    write_video(scene.root / "test" / "b.mp4", range(10), size=(48, 64))
    for number, mask in enumerate(masks(10)):
        write_image(scene.root / "masks" / "b" / f"{number:03d}.png", np.kron(mask, np.ones((2, 2), np.uint8)))
    labels = np.zeros(10, np.uint8)
    labels[slice(*ABNORMAL)] = 1
    np.save(scene.root / "labels" / "b.npy", labels)
    at = {video.name: np.array([0, 2, 4, 6, 8]) for video in scene.test}
    drawn = region_truth_of(scene, truth(scene), at, (6, 8), {"a": SIZE, "b": (48, 64), "c": SIZE})

    def figures(sizes):
        boxes = {name: detect(maps(), size) for name, size in sizes.items()}
        return region_figures(drawn, {name: rows[rows[:, 5] > 1] for name, rows in boxes.items()})

    assert figures({name: video.size for name, video in drawn.videos.items()}) == pytest.approx((1.0, 1.0))
    assert figures(dict.fromkeys(drawn.videos, SIZE))[0] < 0.8


def test_videos_in_which_nobody_drew_do_not_count(scene):
    """c is abnormal and has no masks: what is detected there is neither right nor wrong."""
    drawn = region_truth(scene)
    nothing = np.zeros((0, 6))
    boxes = detect(maps(), SIZE)
    boxes = boxes[boxes[:, 5] > 1]
    assert drawn.videos["c"].tracks is None
    alone = region_figures(drawn, {"a": boxes, "b": nothing, "c": nothing})
    assert region_figures(drawn, {"a": boxes, "b": nothing, "c": boxes}) == alone == (1.0, 1.0)


def test_frames_that_do_not_count_are_in_no_figure(scene):
    drawn = region_truth(scene, counted=slice(4, None))
    tracks = drawn.videos["a"].tracks
    assert tracks[:, 1].tolist() == [0, 1]
    assert tracks[0, 2:].tolist() == list(BOX)
    abnormal, pixels = drawn.videos["a"].pixels
    assert abnormal.sum(axis=(1, 2)).tolist() == [0, 0, 128, 0, 0]
    assert pixels.sum() == 6 * SIZE[0] * SIZE[1]


def test_a_scene_without_masks_and_tracks_has_no_places(scene):
    from dataclasses import replace

    bare = replace(scene, pixel_masks=None)
    drawn = region_truth(bare)
    assert not drawn.known
    assert drawn.digest == ""
    assert np.isnan([pixel_figure(drawn, {}), *region_figures(drawn, {})]).all()
