"""Networks at work: what they see, and that bits depend neither on the batch nor on the number of threads."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from metavad.errors import ConfigError
from metavad.features.networks.efficientnet_lite import patch_network
from metavad.features.networks.onnx_runner import OnnxRunner
from metavad.features.networks.pictures import letter_box, pictures_of
from metavad.features.networks.registry import Input, network_named
from metavad.features.networks.torch_runner import TorchRunner, side_by_side
from tests.onnx_files import INT32, write_line, write_onnx

SIDE = 4


def frames_of(count=5, size=(48, 80, 3)):
    return list(np.random.default_rng(0).integers(0, 256, (count, *size)).astype(np.uint8))


def test_a_network_sees_a_pixel_as_its_table_says():
    frame = torch.tensor([[[10, 20, 30]]], dtype=torch.uint8)[None]
    plain = pictures_of(frame, Input())
    assert plain.shape == (1, 3, 1, 1)
    torch.testing.assert_close(plain.flatten() * 255, torch.tensor([10.0, 20.0, 30.0]))
    raw = pictures_of(frame, Input(channels="BGR", white=255.0))
    torch.testing.assert_close(raw.flatten(), torch.tensor([30.0, 20.0, 10.0]))
    scaled = pictures_of(frame, Input(mean=(0.5, 0.5, 0.0), deviation=(0.5, 1.0, 2.0)))
    torch.testing.assert_close(scaled.flatten(), torch.tensor([10 / 127.5 - 1, 20 / 255 - 0.5, 30 / 510]))
    whole = pictures_of(frame, Input(layout="NHWC", dtype="int32", white=255.0))
    assert whole.tolist() == [[[[10, 20, 30]]]]
    assert whole.dtype == torch.int32


def test_grey_is_three_equal_channels_last_in_memory():
    grey = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 4)
    seen = pictures_of(grey, Input(white=255.0))
    assert torch.equal(seen, grey[:, None].expand(1, 3, 3, 4).float())
    assert seen.is_contiguous(memory_format=torch.channels_last)


def test_a_letter_box_of_colours_is_that_of_each_channel():
    picture = frames_of(1, (20, 31, 3))[0]
    square, scale = letter_box(picture, 16)
    for channel in range(3):
        alone, same = letter_box(np.ascontiguousarray(picture[..., channel]), 16)
        assert same == scale
        assert np.array_equal(alone, square[..., channel])


@pytest.fixture(scope="module")
def patches():
    return TorchRunner(patch_network(), network_named("efficientnet-lite0").input)


@pytest.mark.parametrize("size", [(48, 80, 3), (33, 50)], ids=["colour", "grey"])
def test_patches_are_the_same_bits_whatever_the_batch_and_the_threads(patches, size):
    frames = frames_of(size=size)
    whole = patches(frames, threads=1)
    assert [tuple(part.shape[:2]) for part in whole] == [(5, 40), (5, 112)]
    for threads in (2, 3):
        assert all(torch.equal(*pair) for pair in zip(whole, patches(frames, threads=threads), strict=True))
    alone = [patches(frames[number : number + 1]) for number in range(5)]
    stacked = patches(np.stack(frames[:3]))
    for place, part in enumerate(whole):
        assert torch.equal(part, torch.cat([each[place] for each in alone]))
        assert torch.equal(part[:3], stacked[place])
        assert not part.requires_grad
        assert not part.is_inference()  # such could not take part in what is trained


def test_a_batch_that_is_filled_up_gives_only_what_was_asked_for(patches):
    """What a GPU does, on the processor."""
    frames = frames_of(3)
    filled = patches._filled(np.stack(frames))
    for part, expected in zip(filled, patches(frames), strict=True):
        assert part.shape == expected.shape
        assert (part - expected).abs().max() < 1e-4 * expected.abs().max()


def test_a_network_with_one_output():
    runner = TorchRunner(nn.Conv2d(3, 2, 1), Input())
    (found,) = runner(frames_of(2))
    assert found.shape == (2, 2, 48, 80)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_gives_what_the_processor_gives_and_the_same_bits_whatever_the_batch(patches):
    frames = frames_of(11)
    device = TorchRunner(patch_network(), network_named("efficientnet-lite0").input, device="cuda", batch=4)
    for place, (part, expected) in enumerate(zip(device(frames), patches(frames), strict=True)):
        assert (part.cpu() - expected).abs().max() < 1e-4 * expected.abs().max()
        assert torch.equal(part[:4], device(frames[:4])[place])
        assert torch.equal(part[4:5], device(frames[4:5])[place])


def test_work_side_by_side_stays_in_order_on_one_thread_of_torch_each():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        found = side_by_side(lambda item: (item, torch.get_num_threads()), range(7))
        assert found == [(item, 1) for item in range(7)]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert side_by_side(str, [], threads=2) == []


def write_movenet(path):
    """A network in the layout of MoveNet: each number of 17 x 3 is a sum over a picture of whole numbers."""
    pixels = SIDE * SIDE * 3
    weights = np.random.default_rng(1).normal(size=(pixels, 51)).astype(np.float32) / 255
    nodes = [
        ("Cast", ["x"], "real", {"to": 1}),
        ("Flatten", ["real"], "flat", {"axis": 1}),
        ("MatMul", ["flat", "weights"], "sum", {}),
        ("Reshape", ["sum", "shape"], "y", {}),
    ]
    constants = {"weights": weights, "shape": np.array((1, 1, 17, 3), np.int64)}
    write_onnx(path, nodes, constants, given=(1, SIDE, SIDE, 3), result=(1, 1, 17, 3), kind=INT32)
    return weights


def test_whole_numbers_with_channels_last(tmp_path):
    weights = write_movenet(tmp_path / "a.onnx")
    wanted = Input(layout="NHWC", dtype="int32", white=255.0)
    pictures = frames_of(3, (SIDE, SIDE, 3))
    found = OnnxRunner(tmp_path / "a.onnx", "pose.network", wanted)(pictures)
    for picture, each in zip(pictures, found, strict=True):
        assert each.shape == (1, 1, 17, 3)
        np.testing.assert_allclose(each.ravel(), picture.ravel() @ weights, rtol=1e-4, atol=1e-4)


def test_onnx_gives_the_same_bits_on_any_number_of_threads(tmp_path):
    weights = np.random.default_rng(0).normal(size=(3 * 16 * 16, 84 * 7))
    write_line(tmp_path / "a.onnx", weights, np.zeros(84 * 7), side=16, result=(1, 84, 7))
    runner = OnnxRunner(tmp_path / "a.onnx", "regions.detector")
    pictures = frames_of(6, (16, 16))
    whole = np.concatenate(runner(pictures, threads=1))
    assert np.array_equal(whole, np.concatenate(runner(pictures, threads=3)))
    assert np.array_equal(whole[2:3], runner(pictures[2:3])[0])


def test_without_onnxruntime_there_is_one_line(tmp_path, monkeypatch):
    write_movenet(tmp_path / "a.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"^pose\.network: expected the package onnxruntime, found none; pip install"):
        OnnxRunner(tmp_path / "a.onnx", "pose.network")


def test_a_gpu_that_onnxruntime_cannot_use_is_reported(tmp_path):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    write_movenet(tmp_path / "a.onnx")
    with pytest.raises(ConfigError, match="expected onnxruntime with CUDA for cuda, found one without"):
        OnnxRunner(tmp_path / "a.onnx", "pose.network", device="cuda")
