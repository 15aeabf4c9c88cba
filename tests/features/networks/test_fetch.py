"""Fetching from a server on this machine: by digest, whole or not at all."""

import hashlib
import http.server
import threading
from functools import partial

import pytest

from metavad.errors import DataError, UsageError
from metavad.features.networks.fetch import fetch_network
from metavad.features.networks.registry import required_file
from tests.features.networks.test_registry import TABLE

CONTENT = bytes(range(256)) * 40


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    """A folder whose files are served, and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(params=[0, 8, 64], ids=["no digest", "first digits", "whole digest"])
def toy(request, served, tmp_path, monkeypatch):
    """A network of the user's that lies on the server; gives the folder that it comes into."""
    own = tmp_path / "own"
    own.mkdir()
    digest = hashlib.sha256(CONTENT).hexdigest()[: request.param]
    (own / "toy.toml").write_text(
        TABLE.format(digest=digest).replace("https://example.org/toy.onnx", f"{served[1]}/released.onnx")
    )
    (served[0] / "released.onnx").write_bytes(CONTENT)
    monkeypatch.setenv("METAVAD_NETWORKS", str(own))
    monkeypatch.setenv("METAVAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return own


def test_what_is_fetched_is_there_and_is_not_fetched_again(toy, served, capfd):
    assert fetch_network("toy") == toy / "toy.onnx" == required_file("toy")
    assert (toy / "toy.onnx").read_bytes() == CONTENT
    assert sorted(path.name for path in toy.iterdir()) == ["toy.onnx", "toy.toml"]
    (served[0] / "released.onnx").unlink()
    assert fetch_network("toy") == toy / "toy.onnx"
    assert capfd.readouterr() == ("", "")


def test_without_a_folder_of_one_s_own_it_comes_into_the_cache(toy, tmp_path, monkeypatch):
    monkeypatch.setattr("metavad.features.networks.registry.shipped", lambda kind: {"toy": toy / "toy.toml"})
    monkeypatch.delenv("METAVAD_NETWORKS")
    assert fetch_network("toy") == tmp_path / "cache" / "networks" / "toy.onnx" == required_file("toy")


def test_another_content_is_refused_and_nothing_stays(toy, served):
    (served[0] / "released.onnx").write_bytes(CONTENT[::-1])
    if not has_digest(toy):
        assert fetch_network("toy").read_bytes() == CONTENT[::-1]
        return
    with pytest.raises(
        DataError, match=r"released\.onnx: expected sha256 \w+, found another.* else put its file"
    ) as no:
        fetch_network("toy")
    assert "\n" not in str(no.value)
    assert [path.name for path in toy.iterdir()] == ["toy.toml"]


def has_digest(toy):
    return 'sha256 = ""' not in (toy / "toy.toml").read_text()


def test_a_damaged_file_is_fetched_again(toy):
    (toy / "toy.onnx").write_bytes(b"half")
    if has_digest(toy):
        assert fetch_network("toy").read_bytes() == CONTENT


def test_an_address_with_nothing_there_is_one_line(toy, served):
    (served[0] / "released.onnx").unlink()
    with pytest.raises(DataError, match=r"released\.onnx: expected a file, found 404 .*; put its file into") as caught:
        fetch_network("toy")
    assert "\n" not in str(caught.value)


def test_what_has_no_address_is_not_fetched(toy):
    with pytest.raises(UsageError, match=r"movenet-lightning: expected .* public address, found none; put"):
        fetch_network("movenet-lightning")
    with pytest.raises(UsageError, match=r"timesformer: .* found none; pip install transformers"):
        fetch_network("timesformer")
    assert fetch_network("efficientnet-lite0").suffix == ".pth"  # the package's
