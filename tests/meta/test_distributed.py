import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from metavad.meta.checkpoint import latest, load_state
from metavad.meta.distributed import ALONE, joined, share

PROGRAM = str(Path(__file__).parent / "meta_toys.py")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def end_of(folder):
    return load_state(latest(folder)), json.loads((folder / "digest.json").read_text())["digest"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One rank, and two ranks twice, on gloo."""
    folder = tmp_path_factory.mktemp("ranks")
    wanted = [(1, "one", free_port()), (2, "two", free_port()), (2, "again", free_port())]
    subprocess.run([sys.executable, PROGRAM, "ranks", str(folder), json.dumps(wanted)], check=True, timeout=300)
    return folder


def test_two_ranks_are_one_rank_on_all_scenes(runs):
    one, two = end_of(runs / "one")[0], end_of(runs / "two")[0]
    for kind in ("params", "free"):
        for name, tensor in getattr(one, kind).items():
            torch.testing.assert_close(getattr(two, kind)[name], tensor, rtol=1e-6, atol=1e-6)
    assert one.best.losses == pytest.approx(two.best.losses, rel=1e-6)


def test_two_ranks_end_with_the_same_bits_every_time(runs):
    assert end_of(runs / "two")[1] == end_of(runs / "again")[1]


def test_a_killed_rank_restarts_the_group_and_the_end_is_the_same(runs, tmp_path):
    """torchrun, kill -9 of rank 1 after its third step."""
    (tmp_path / "kill").touch()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["--max-restarts=2", "--monitor-interval=0.1", PROGRAM, "torchrun", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert (tmp_path / "killed").exists()
    assert end_of(tmp_path)[1] == end_of(runs / "two")[1]


def test_outside_torchrun_there_is_one_rank(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with joined() as group:
        assert group is ALONE


def test_every_scene_has_exactly_one_rank():
    class Rank:
        def __init__(self, rank):
            self.rank, self.size = rank, 3

    shares = [share("abcdefgh", Rank(rank)) for rank in range(3)]
    assert sorted(item for part in shares for item in part) == list(enumerate("abcdefgh"))
    assert max(len(part) for part in shares) - min(len(part) for part in shares) <= 1
