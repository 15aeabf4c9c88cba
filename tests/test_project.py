"""What the project is worked on with names the same things everywhere."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_workflow_and_the_wheels_have_every_version_of_python_that_is_promised():
    project = tomllib.loads(text("pyproject.toml"))["project"]
    promised = {each.rpartition(" ")[2] for each in project["classifiers"] if "Python :: 3." in each}
    assert f">={min(promised, key=lambda version: int(version[2:]))}" == project["requires-python"]
    workflow = text(".github/workflows/checks.yml")
    assert set(re.findall(r"^ +(3\.\d+)$", workflow, re.MULTILINE)) == promised
    minors = re.search(r"for minor in ([\d ]+);", text(".ci/wheels"))[1].split()
    assert {f"3.{minor}" for minor in minors} == promised


def test_the_workflow_runs_what_the_project_runs():
    assert re.findall(r"- run: (.+)", text(".github/workflows/checks.yml")) == [".ci/run"]
    ours = text(".ci/run")
    assert ".ci/check --static" in ours
    assert ".ci/wheels" in ours
    hooks = re.findall(r"entry: (\w+ ?\w*)", text(".pre-commit-config.yaml"))
    checks = text(".ci/check")
    assert [hook.strip() for hook in hooks if hook.strip() not in checks] == []
    assert all(line in text("CONTRIBUTING.md") for line in (".ci/check", ".ci/run", "pre-commit install"))


def test_every_pin_is_of_one_version_and_in_order():
    pins = text("constraints.txt").splitlines()[1:]
    names = [pin.partition("==")[0].lower() for pin in pins]
    assert len(names) == len(set(names))
    assert pins == sorted(pins, key=str.lower)
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)


def test_issue_forms_ask_for_what_is_needed():
    fault, alarm = (text(f".github/ISSUE_TEMPLATE/{name}.yml") for name in ("fault", "false-alarm"))
    assert [word for word in ("command", "output", "expected", "versions") if f"id: {word}" not in fault] == []
    assert [word for word in ("shown", "adapt", "event", "scene") if f"id: {word}" not in alarm] == []
    assert "no footage of people" in fault
    assert "no footage of people" in alarm
