"""``metavad networks``: what is known, what is here, and what is wrong with it."""

import numpy as np
import pytest

from metavad.cli import main
from tests.features.networks.test_registry import TABLE
from tests.onnx_files import write_line


@pytest.fixture
def folder(own_networks):
    (own_networks / "toy.toml").write_text(TABLE.format(digest=""))
    return own_networks


def write_toy(folder, result=(1, 84, 7)):
    write_line(folder / "toy.onnx", np.zeros((3 * 64, 84 * 7)), np.zeros(84 * 7), side=8, result=result)


def test_the_list_says_where_and_how_to_get_it(folder, capsys):
    assert main(["networks", "list"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert rows["network"].split() == ["network", "gives", "size", "licence", "where"]
    assert "no: metavad networks fetch toy" in rows["toy"]
    assert "efficientnet-lite0-57934424.pth" in rows["efficientnet-lite0"]
    assert rows["efficientnet-lite0"].split()[1:5] == ["patches", "18.8", "MB", "Apache-2.0"]
    assert rows["movenet-lightning"].split()[2:4] == ["9.4", "MB"]  # by its table
    assert "no public address" in rows["movenet-lightning"]
    write_toy(folder)
    assert main(["networks", "list"]) == 0
    assert str(folder / "toy.onnx") in capsys.readouterr().out


def test_the_check_runs_what_is_here_and_fails_where_one_is_wrong(folder, capsys):
    write_toy(folder)
    assert main(["networks", "check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "toy: gives (1, 84, 7)" in lines
    assert "efficientnet-lite0: gives (1, 40, 8, 8), (1, 112, 4, 4)" in lines
    write_toy(folder, result=(1, 7, 84))
    assert main(["networks", "check", "toy"]) == 1
    assert capsys.readouterr().out.startswith("toy: expected outputs (1, 84, 7)")
    assert main(["networks", "check", "r3d_18"]) == 1
    assert capsys.readouterr().out.startswith("r3d_18: expected its file")


def test_unknown_names_are_met_with_the_nearest(folder, capsys):
    for command in ("check", "fetch"):
        assert main(["networks", command, "yolox"]) == 2
        assert "expected a known network, found 'yolox'; did you mean 'yolox-nano'?" in capsys.readouterr().err


def test_what_is_here_is_not_fetched(folder, capsys):
    write_toy(folder)
    (folder / "r3d_18-b3b3357e.pth").write_bytes(b"another")
    assert main(["networks", "fetch", "efficientnet-lite0", "--progress", "none"]) == 0
    assert "efficientnet-lite0-57934424.pth" in capsys.readouterr().out
    assert main(["networks", "fetch", "movenet-lightning"]) == 2
    assert "found none; put it into the folder that METAVAD_NETWORKS names" in capsys.readouterr().err
