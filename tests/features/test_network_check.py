"""A known network is run once, and its outputs are held against its table."""

import numpy as np
import pytest

from metavad.errors import DataError
from metavad.features.network_check import check_network
from tests.features.networks.test_registry import TABLE
from tests.onnx_files import write_line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("METAVAD_NETWORKS", str(tmp_path))
    (tmp_path / "toy.toml").write_text(TABLE.format(digest=""))
    return tmp_path


def test_what_a_network_gives_is_what_its_table_says(folder):
    write_line(folder / "toy.onnx", np.zeros((3 * 64, 84 * 7)), np.zeros(84 * 7), side=8, result=(1, 84, 7))
    assert check_network("toy") == "(1, 84, 7)"
    write_line(folder / "toy.onnx", np.zeros((3 * 64, 84 * 7)), np.zeros(84 * 7), side=8, result=(1, 7, 84))
    with pytest.raises(DataError, match=r"toy: expected outputs \(1, 84, 7\), found \(1, 7, 84\); mend its table"):
        check_network("toy")


def test_patches_of_a_small_picture():
    assert check_network("efficientnet-lite0") == "(1, 40, 8, 8), (1, 112, 4, 4)"


def test_a_backbone_is_read_and_run(folder, monkeypatch):
    import torch

    from metavad.features.backbones.torchvision import imported
    from metavad.features.networks.registry import network_named

    network = network_named("mc3_18")
    torch.save(imported().get_model("mc3_18", weights=None).state_dict(), folder / network.file)
    with pytest.raises(DataError, match="expected mc3_18 with sha256"):
        check_network("mc3_18")
    small = network.model_copy(update={"sha256": "", "input": network.input.model_copy(update={"frames": 2})})
    monkeypatch.setattr("metavad.features.networks.registry.network_named", lambda name: small)
    assert check_network("mc3_18") == "(1, 512)"
