"""What crops look like, to gradients and to networks whose outputs are known."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from metavad.config import AppearanceConfig, Config
from metavad.errors import ConfigError
from metavad.experts.appearance import Appearance
from metavad.features.boxes import box_detector
from metavad.features.library import features_of
from metavad.features.looks import LOOKS, looks_of, pooled, projected
from metavad.features.networks.onnx_runner import OnnxRunner
from metavad.features.networks.registry import Input
from metavad.features.pose_networks import onnx_poses
from metavad.features.regions import LOOKED, RegionsFeature, shapes
from tests.onnx_files import write_line, write_onnx

SIDE = 8


def write_halves(path):
    """A network that gives the mean light of the upper, the lower, the left and the right half."""
    down, across = np.indices((SIDE, SIDE))
    halves = np.stack([down < 4, down >= 4, across < 4, across >= 4], axis=-1) / (3 * SIDE * SIDE / 2)
    return write_line(path, np.tile(halves.reshape(-1, 4), (3, 1)), np.zeros(4), side=SIDE, result=(1, 4))


def write_mixing(path):
    """Two layers of mixed channels; the first one's output is called ``middle``."""
    generator = np.random.default_rng(0)
    first, second = (generator.normal(size=size).astype(np.float32) for size in ((4, 3, 1, 1), (2, 4, 1, 1)))
    nodes = [
        ("Conv", ["x", "first"], "mixed", {}),
        ("Relu", ["mixed"], "middle", {}),
        ("Conv", ["middle", "second"], "again", {}),
        ("Relu", ["again"], "y", {}),
    ]
    constants = {"first": first, "second": second}
    write_onnx(path, nodes, constants, given=(1, 3, SIDE, SIDE), result=(1, 2, SIDE, SIDE))
    return path, first[..., 0, 0], second[..., 0, 0]


def settings_of(path, **further):
    return AppearanceConfig(features="network", network=str(path), network_side=SIDE, numbers=16, **further)


def test_any_tensor_within_a_network_can_be_had(tmp_path):
    path, first, second = write_mixing(tmp_path / "a.onnx")
    colours = np.random.default_rng(1).integers(0, 256, size=(SIDE, SIDE, 3)).astype(np.uint8)
    picture = np.moveaxis(colours, 2, 0)[None] / 255
    middle = np.maximum(np.einsum("oi,bihw->bohw", first, picture), 0)
    last = np.maximum(np.einsum("oi,bihw->bohw", second, middle), 0)
    for layer, wanted in [("middle", middle), ("", last), ("y", last)]:
        (found,) = OnnxRunner(path, "appearance.network", Input(), layer=layer)([colours])
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_tensor_that_is_not_there_is_named(tmp_path):
    path, _, _ = write_mixing(tmp_path / "a.onnx")
    with pytest.raises(ConfigError, match=r"^\S+: expected numbers from the tensor 'midle', found none; name another"):
        looks_of(settings_of(path, layer="midle"))


def test_looks_are_those_of_the_crop_and_of_the_crop_turned(tmp_path):
    looks = looks_of(settings_of(write_halves(tmp_path / "a.onnx")))
    crop = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE)).astype(np.uint8)
    halves = np.array([crop[:4].mean(), crop[4:].mean(), crop[:, :4].mean(), crop[:, 4:].mean()])
    found = looks(crop)
    assert found.shape == (32,)
    np.testing.assert_allclose(found[:16], projected(halves, 16), atol=1e-5)
    np.testing.assert_allclose(found[16:], looks(np.rot90(crop))[:16], atol=1e-5)
    assert np.linalg.norm(found[:16] - found[16:]) > 0.01


def test_a_network_sees_the_grey_steps_it_was_trained_with(tmp_path):
    crop = np.full((SIDE, SIDE), 200, np.uint8)
    crop[:4] = 150
    found = looks_of(settings_of(write_halves(tmp_path / "a.onnx"), mean=160.0, deviation=20.0))(crop)
    np.testing.assert_allclose(found[:16], projected(np.array([-0.5, 2.0, 0.75, 0.75]), 16), atol=1e-5)


def test_maps_and_tokens_are_averaged_over_places():
    maps = np.arange(24.0).reshape(1, 2, 3, 4)
    np.testing.assert_allclose(pooled(maps), [maps[0, 0].mean(), maps[0, 1].mean()])
    tokens = np.arange(6.0).reshape(1, 3, 2)
    np.testing.assert_allclose(pooled(tokens), [2, 3])
    np.testing.assert_allclose(pooled(tokens[:, 0]), [0, 1])


def test_projection_is_the_same_for_ever_and_keeps_angles():
    ones = projected(np.eye(3)[0], 8)
    np.testing.assert_allclose(ones * np.sqrt(8), [-1, 1, 1, 1, -1, 1, -1, 1])
    features = np.random.default_rng(0).normal(size=(6, 300))
    before = features @ features.T / np.outer(*[np.linalg.norm(features, axis=1)] * 2)
    after = np.stack([projected(each, 512) for each in features])
    assert np.abs(after @ after.T - before).max() < 0.15
    assert np.abs(projected(np.zeros(5), 4)).max() == 0


def test_regions_carry_the_looks_of_the_network_to_appearance(tmp_path):
    path = write_halves(tmp_path / "a.onnx")
    config = Config.model_validate(
        {
            "data": {"rows": 6},
            "regions": {"source": "grid", "count": 4},
            "appearance": settings_of(path).model_dump(),
        }
    )
    feature = features_of(config, ["regions"])["regions"]
    stream = feature.start()
    picture = np.random.default_rng(0).integers(0, 255, (48, 48)).astype(np.uint8)
    rows = feature.tensor(np.stack([stream(picture, 0.0)]))
    assert stream(picture, 0.1).shape == feature.shape(48, 48)
    assert rows.shape == (1, 4, LOOKED + 32)
    np.testing.assert_allclose(shapes(rows)[1][0, 0], looks_of(config.appearance)(picture[:24, :24]), atol=2e-3)
    expert = Appearance.build(config)
    assert expert.enter.in_features == 16 + 5
    assert torch.equal(expert._turned(expert._turned(rows[..., LOOKED:])), rows[..., LOOKED:])


def test_the_cache_tells_looks_apart_and_old_keys_stay(tmp_path):
    path, _, _ = write_mixing(tmp_path / "a.onnx")
    plain = RegionsFeature()
    assert "looks" not in plain.key()
    assert plain.shape(48, 64) == (16, 2 * (LOOKED + LOOKS))
    others = [settings_of(path), settings_of(path, layer="middle"), settings_of(write_halves(tmp_path / "b.onnx"))]
    keys = [str(RegionsFeature(looks=each).key()) for each in others]
    assert len({str(plain.key()), *keys}) == 4
    assert str(tmp_path) not in keys[0]
    more = settings_of(path, prototypes=99)  # the expert's, not the feature's
    assert str(RegionsFeature(looks=more).key()) == keys[0]


def test_a_network_that_is_not_there_is_named():
    with pytest.raises(
        ConfigError, match=r"^appearance\.network: expected a file or the name .* nothing at '.*'; known"
    ):
        RegionsFeature(looks=AppearanceConfig(features="network", network="nowhere.onnx")).start()


@pytest.mark.skipif(
    "METAVAD_NETWORKS" not in os.environ, reason="METAVAD_NETWORKS names no folder with yolox_nano.onnx"
)
def test_a_layer_of_a_released_detector_tells_stripes_apart():
    path = Path(os.environ["METAVAD_NETWORKS"]) / "yolox_nano.onnx"
    settings = AppearanceConfig(features="network", network=str(path), layer="onnx::MaxPool_853", network_side=416)
    looks = looks_of(settings)
    fine, coarse = ((np.indices((40, 20)).sum(0) // width % 2 * 200).astype(np.uint8) for width in (2, 10))
    found = [looks(crop)[:64] for crop in (fine, fine + 10, coarse)]
    assert found[0] @ found[1] > 0.95
    assert found[0] @ found[2] < found[0] @ found[1] - 0.03


@pytest.mark.skipif(
    "METAVAD_NETWORKS" not in os.environ, reason="METAVAD_NETWORKS names no folder with yolox_nano.onnx"
)
def test_a_released_detector_is_no_network_of_poses_and_finds_nothing_in_grey():
    path = Path(os.environ["METAVAD_NETWORKS"]) / "yolox_nano.onnx"
    grey = np.full((60, 80), 128, np.uint8)
    assert box_detector(path, 416)(grey).shape == (0, 5)
    with pytest.raises(ConfigError, match=r"expected poses \(1, 56, N\), .* found \(1, 3549, 85\)"):
        onnx_poses(path, 416, 0.2)(grey)
