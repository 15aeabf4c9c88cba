"""The image: no builder is needed to see that it is in order, holds what is built from it, and knows how it fares."""

import re
import shutil
import subprocess
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from runpy import run_path

import pytest

ROOT = Path(__file__).parents[1]
FILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
STEPS = [line.split(maxsplit=1) for line in FILE.splitlines() if line and line[0] not in "# "]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEALTH = run_path(str(ROOT / "docker" / "health.py"), run_name="imported")


def words(instruction):
    return [rest for name, rest in STEPS if name == instruction]


def copied():
    return [source for rest in words("COPY") if "--from" not in rest for source in rest.split()[:-1]]


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed: pip install '.[test]'")
def test_the_linter_finds_nothing():
    done = subprocess.run(["hadolint", str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_metavad_not_as_root_from_images_of_one_version():
    assert [rest.split()[0] for rest in words("FROM")] == ["python:3.11-slim-bookworm"] * 2
    assert int(words("USER")[-1]) > 0
    assert words("ENTRYPOINT") == ['["metavad"]']
    assert words("HEALTHCHECK")[0].endswith('CMD ["python", "/opt/health.py"]')
    assert words("ADD") == []


def test_it_holds_what_the_wheel_is_built_from_and_nothing_beside_it():
    built = PROJECT["tool"]["hatch"]["build"]["targets"]
    needed = {*built["sdist"]["include"], *built["wheel"]["force-include"], "pyproject.toml", "constraints.txt"}
    assert set(copied()) == {*needed, "docker/health.py"}
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    assert sent == {source.partition("/")[0] for source in copied()}


def test_the_extras_that_it_installs_are_there():
    (extras,) = [rest.partition("=")[2] for rest in words("ARG") if rest.startswith("EXTRAS=")]
    assert set(extras.split(",")) <= PROJECT["project"]["optional-dependencies"].keys()


@pytest.fixture
def served():
    """The port of a server that answers, and what it was asked for."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, asked
        server.shutdown()
        thread.join()


def process(tmp_path, command):
    (tmp_path / "cmdline").write_text("\0".join(["/opt/python", "/opt/metavad", *command.split(), ""]))
    return tmp_path / "cmdline"


@pytest.mark.parametrize("option", ["--metrics {}", "--metrics 0.0.0.0:{}", "--metrics=127.0.0.1:{}"])
def test_a_watch_that_answers_is_well(tmp_path, served, option):
    port, asked = served
    HEALTH["main"](process(tmp_path, f"watch rtsp://a --out b {option.format(port)}"))
    assert asked == ["/metrics"]


def test_a_watch_that_does_not_answer_is_not_well(tmp_path, served):
    with pytest.raises(SystemExit, match=r"http://127\.0\.0\.1:1/metrics: expected an answer"):
        HEALTH["main"](process(tmp_path, "watch rtsp://a --out b --metrics 1"))


@pytest.mark.parametrize("command", ["watch rtsp://a --out b", "adapt --normal a", "score --metrics"])
def test_other_commands_are_well_while_they_run(tmp_path, served, command):
    HEALTH["main"](process(tmp_path, command))
    assert served[1] == []


def test_the_page_names_what_the_image_has():
    page = (ROOT / "docs" / "how-to" / "run-in-a-container.md").read_text(encoding="utf-8")
    for name in ("10001", "/data", "/cache", "PIP_EXTRA_INDEX_URL", "EXTRAS"):
        assert name in page
        assert re.search(rf"\b{name.strip('/')}\b", FILE)
