"""Regions of pictures in which one square moves on a known path."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from metavad.config import FlowConfig, RegionsConfig
from metavad.errors import ConfigError
from metavad.features.boxes import box_detector, decode_fastestdet, decode_yolox
from metavad.features.octants import OCTANTS
from metavad.features.regions import MAGNITUDES, RegionsFeature, moved, shapes
from tests.onnx_files import write_line

HEIGHT, WIDTH = 120, 160


def pictures(ticks=8, step=(0, 3), start=(40, 30), size=24, seed=0):
    """A textured square over a still texture, ``step`` pixels (down, across) a tick."""
    generator = np.random.default_rng(seed)
    ground = np.kron(generator.uniform(60, 120, (HEIGHT // 4, WIDTH // 4)), np.ones((4, 4)))
    thing = np.kron(generator.uniform(140, 250, (size // 4, size // 4)), np.ones((4, 4)))
    frames = []
    for tick in range(ticks):
        frame = ground.copy()
        y, x = start[0] + step[0] * tick, start[1] + step[1] * tick
        frame[y : y + size, x : x + size] = thing
        frames.append(frame.astype(np.uint8))
    return frames


def regions_of(frames, feature=None, rate=10.0):
    feature = feature or RegionsFeature()
    stream = feature.start()
    return feature.tensor(np.stack([stream(frame, tick / rate) for tick, frame in enumerate(frames)]))


def test_one_thing_is_one_region_with_its_box_speed_and_way():
    rows = regions_of(pictures())
    there = rows[5, :, 0] > 0
    assert there.sum() == 1
    region = rows[5][there][0]
    speed, histogram = moved(region)
    box = region[1:5] * HEIGHT
    assert speed == pytest.approx(30 / HEIGHT, rel=0.35)
    assert histogram.sum(1).argmax() == 0  # to the right
    assert (box - torch.tensor([45.0, 40.0, 69.0, 64.0])).abs().max() < 10
    assert region[5] <= (region[3] - region[1]) * (region[4] - region[2]) + 1e-3


def test_a_thing_keeps_its_slot_and_number():
    rows = regions_of(pictures())[2:]
    slots = rows[..., 0].argmax(1)
    assert len(set(slots.tolist())) == 1
    assert len(set(rows[..., 8].amax(1).tolist())) == 1


@pytest.mark.parametrize(("step", "way"), [((0, 3), 0), ((3, 0), 2), ((0, -3), 4), ((-3, 0), 6)])
def test_ways_turn_clockwise_from_right(step, way):
    rows = regions_of(pictures(step=step, start=(48, 70)))
    _, histogram = moved(rows[6][rows[6, :, 0] > 0][0])
    assert histogram.shape == (OCTANTS, len(MAGNITUDES))
    assert histogram.sum(1).argmax() == way
    assert 0 < histogram.sum() <= 1.001


def test_nothing_is_there_while_nothing_moves():
    assert regions_of(pictures(step=(0, 0)))[..., 0].sum() == 0


def test_who_stops_is_still_there_and_its_stillness_counts():
    frames = pictures(ticks=40, step=(0, 0), start=(10, 10), size=4)  # the empty scene, nearly
    moving = pictures(ticks=10)
    rows = regions_of([*frames, *moving, *[moving[-1]] * 12])
    last = rows[-1][rows[-1, :, 0] > 0]
    assert len(last) == 1
    assert last[0, 6] < 0.02
    assert last[0, 7] >= 0.7


def shaken(frames, seed=0, most=4):
    """The same by a camera that jumps a few pixels from frame to frame."""
    shifts = np.random.default_rng(seed).integers(-most, most + 1, (len(frames), 2))
    return [np.roll(frame, shift, (0, 1)) for frame, shift in zip(frames, shifts, strict=True)]


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_of_a_camera_that_shakes_regions_are_what_moves_otherwise_than_it(method):
    frames = shaken(pictures(ticks=10, size=32))
    plain = regions_of(frames, RegionsFeature(flow=FlowConfig(method=method)))[2:]
    steady = regions_of(frames, RegionsFeature(flow=FlowConfig(method=method, steady="robust")))[2:]

    def still(rows):
        """Area of what is not the thing, in heights squared."""
        area = (rows[..., 0] * rows[..., 5]).sum(1)
        return (area - (40 / HEIGHT) ** 2).clamp_min(0).mean()

    assert still(plain) > 0.5
    assert still(steady) < 0.2
    there = steady[..., 0] > 0
    assert there.any(1).all()
    speed = torch.where(there, steady[..., 6], 0.0).amax(1)
    assert speed.median() == pytest.approx(30 / HEIGHT, rel=0.5)


def test_regions_are_cached_by_the_flow_that_they_are_made_of():
    settings = [FlowConfig(), FlowConfig(horizon=0.4), FlowConfig(method="farneback"), FlowConfig(steady="mean")]
    assert len({str(RegionsFeature(flow=each).key()) for each in settings}) == len(settings)
    with pytest.raises(ConfigError, match=r"flow\.weights"):
        RegionsFeature(flow=FlowConfig(method="raft-small")).start()


def test_a_row_depends_on_the_past_alone():
    frames = pictures()
    whole = regions_of(frames)
    assert torch.equal(regions_of(frames[:5]), whole[:5])


def test_looks_have_length_one_and_tell_bars_apart():
    across, upright = (np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(2))
    across[(np.arange(HEIGHT) // 8) % 2 == 0] = 200
    upright[:, (np.arange(WIDTH) // 8) % 2 == 0] = 200
    grid = RegionsFeature(RegionsConfig(source="grid", count=1))
    looks = [shapes(regions_of([picture], grid))[1][0, 0] for picture in (across, upright, across)]
    assert looks[0].norm() == pytest.approx(1.0, abs=0.02)
    assert looks[0] @ looks[1] < 0.2
    assert looks[0] @ looks[2] > 0.98


@settings(max_examples=25)
@given(some.integers(1, 24), some.integers(40, 120), some.integers(40, 200))
def test_a_grid_covers_the_frame_without_overlap(count, height, width):
    rows = regions_of([np.zeros((height, width), np.uint8)], RegionsFeature(RegionsConfig(source="grid", count=count)))
    boxes = rows[0][rows[0, :, 0] > 0][:, 1:5] * min(height, width)
    area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sum()
    assert len(boxes) <= count
    assert area == pytest.approx(height * width, rel=0.01)


def test_boxes_of_a_detector_are_the_regions():
    found = np.array([[10.0, 20.0, 34.0, 80.0, 0.9], [-5.0, 0.0, 20.0, 30.0, 0.5], [50.0, 50.0, 50.5, 51.0, 0.8]])
    feature = RegionsFeature(RegionsConfig(source="boxes"), detector=lambda picture: found)
    rows = regions_of(pictures(ticks=3), feature)
    boxes = rows[2][rows[2, :, 0] > 0]
    assert boxes[:, 9].tolist() == pytest.approx([0.9, 0.5], abs=1e-3)  # the third is too small to be anything
    torch.testing.assert_close(boxes[0, 1:5] * HEIGHT, torch.tensor([10.0, 20.0, 34.0, 80.0]), atol=0.1, rtol=0)
    assert boxes[1, 1] == 0


def test_yolox_rows_become_boxes_and_copies_go():
    rows = np.zeros((64 + 16 + 4, 5 + 2))
    rows[8 * 3 + 2] = [0.5, 0.25, np.log(4.0), np.log(2.0), 0.9, 0.1, 1.0]  # third cell of the fourth row, stride 8
    rows[8 * 3 + 3] = [-0.5, 0.25, np.log(4.0), np.log(2.0), 0.8, 0.1, 1.0]  # the same from its neighbour
    boxes = decode_yolox(rows, 64)
    np.testing.assert_allclose(boxes, [[4.0, 18.0, 36.0, 34.0, 0.9]])


def test_fastestdet_cells_become_boxes():
    maps = np.zeros((5 + 3, 4, 8))
    maps[:, 2, 5] = [0.5, np.arctanh(0.5), np.arctanh(-0.5), 0.0, np.log(1 / 3), 0.1, 0.7, 0.2]
    boxes = decode_fastestdet(maps)
    assert boxes.shape == (32, 5)
    surest = boxes[boxes[:, 4].argmax()]
    middle, size = np.array([5.5 / 8, 1.5 / 4]), np.array([0.5, 0.25])
    np.testing.assert_allclose(surest, [*(middle - size / 2), *(middle + size / 2), 0.5**0.6 * 0.7**0.4])
    assert (boxes[:, 4] > 0).sum() == 1


YOLOX = """
title = "A toy"
reference = "https://example.org"
gives = "boxes"
licence = "CC0-1.0"
file = "toy.onnx"
[input]
channels = "BGR"
height = 32
width = 32
fit = "letterbox"
white = 255.0
[output]
layout = "yolox"
shape = "(B, 21, 6)"
[source]
kind = "by hand"
advice = "the tests write it"
"""
FASTESTDET = """
title = "A toy"
reference = "https://example.org"
gives = "boxes"
licence = "CC0-1.0"
file = "toy.onnx"
[input]
height = 8
width = 8
fit = "squeeze"
[output]
layout = "fastestdet"
shape = "(B, 7, 2, 2)"
[source]
kind = "by hand"
advice = "the tests write it"
"""


def test_a_known_detector_sees_and_says_what_its_table_says(tmp_path, monkeypatch):
    """A FastestDet whose objectness in each quarter of the picture is the light there."""
    monkeypatch.setenv("METAVAD_NETWORKS", str(tmp_path))
    (tmp_path / "toy.toml").write_text(FASTESTDET)
    quarters = np.indices((8, 8)) // 4
    weights = np.zeros((3, 8, 8, 7, 2, 2))
    for down, across in np.ndindex(2, 2):
        weights[:, (quarters[0] == down) & (quarters[1] == across), 0, down, across] = 1 / 48
    offsets = np.zeros((7, 2, 2))
    offsets[1:3], offsets[3:5], offsets[5] = np.arctanh(0.5), np.log(1 / 3), 1.0  # the cell's own quarter
    write_line(tmp_path / "toy.onnx", weights.reshape(192, -1), offsets.ravel(), side=8, result=(1, 7, 2, 2))
    picture = np.zeros((40, 60), np.uint8)
    picture[20:, :30] = 255
    boxes = box_detector("toy", 416)(picture)
    np.testing.assert_allclose(boxes, [[7.5, 25.0, 22.5, 35.0, 1.0]], atol=1e-3)


def test_a_yolox_sees_colours_in_its_order_in_a_letter_box(tmp_path):
    """One whose first cell is as sure as the upper left corner is blue: the first channel of BGR, of 0 to 255."""
    weights, offsets = np.zeros((3, 32, 32, 21, 6)), np.zeros((21, 6))
    weights[0, :8, :8, 0, 4] = 1 / (64 * 255)
    offsets[0] = [0.5, 0.5, 0.0, 0.0, 0.0, 1.0]
    path = tmp_path / "toy.onnx"
    write_line(path, weights.reshape(3072, -1), offsets.ravel(), side=32, result=(1, 21, 6))
    (tmp_path / "toy.toml").write_text(YOLOX)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METAVAD_NETWORKS", str(tmp_path))
        detect = box_detector("toy", 416)
    picture = np.zeros((40, 64, 3), np.uint8)
    picture[..., 0] = 255  # red
    assert len(detect(picture)) == 0
    picture[..., 2] = 255
    np.testing.assert_allclose(detect(picture), [[0.0, 0.0, 16.0, 16.0, 1.0]], atol=1e-3)  # twice the cell of 8 pixels


@pytest.mark.parametrize(
    ("layout", "result", "message"),
    [
        ("yolox", (1, 20, 6), "the outputs of a YOLOX"),
        ("fastestdet", (1, 5, 4, 6), "the outputs of a FastestDet"),
        ("rows", (1, 15, 8), r"boxes \(M, 5\)"),
    ],
)
def test_outputs_of_another_layout_are_refused_in_a_line(tmp_path, monkeypatch, layout, result, message):
    monkeypatch.setenv("METAVAD_NETWORKS", str(tmp_path))
    (tmp_path / "toy.toml").write_text(YOLOX.replace('layout = "yolox"', f'layout = "{layout}"'))
    write_line(tmp_path / "toy.onnx", np.zeros((3072, 120)), np.zeros(120), side=32, result=result)
    detect = box_detector("toy", 416)
    with pytest.raises(ConfigError, match=rf"toy\.onnx: expected {message}.*, found \(1, ") as caught:
        detect(np.zeros((32, 32), np.uint8))
    assert "\n" not in str(caught.value)


def test_a_network_of_something_else_is_no_detector():
    with pytest.raises(
        ConfigError, match=r"^regions\.detector: expected a network of boxes, found movenet-lightning, "
    ):
        box_detector("movenet-lightning", 416)


def test_a_detector_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"regions\.detector: expected a file or the name of a network"):
        RegionsFeature(RegionsConfig(source="boxes", detector="nowhere.onnx")).start()


def test_a_file_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a network")
    with pytest.raises(ConfigError, match="expected an ONNX network"):
        box_detector(tmp_path / "broken.onnx", 64)
