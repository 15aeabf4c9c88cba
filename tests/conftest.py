"""Shared by all tests: nothing touches the user's cache, and what is slow to make is made once."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # how long a test takes is no business of a test
settings.load_profile("any machine")

TINY = [
    "meta.outer_steps=2",
    "meta.control_steps=2",
    "meta.scenes_per_step=1",
    "meta.shots=[1,2]",
    "meta.queries=2",
    "meta.validation_episodes=1",
    "data.short_side=48",
    "data.rows=8",
    "prediction.short_side=16",
    "prediction.channels=4",
    "prediction.windows=16",
    "flow_density.hidden=8",
    "flow_density.cells=128",
    "meta.inner_steps=1",
    "population.shots=[0,2]",
    "population.weigh=[0]",
    "population.windows=1",
    "population.seconds=2",
]
"""Settings under which training takes a second."""


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """A cache of this session's own; one thread, so that tests are the same on any machine."""
    with suppress(ModuleNotFoundError):  # what needs no torch is tested where there is none
        import torch

        torch.set_num_threads(1)
    before = os.environ.get("METAVAD_CACHE")
    os.environ["METAVAD_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["METAVAD_CACHE"]
    else:
        os.environ["METAVAD_CACHE"] = before


@pytest.fixture(scope="session")
def cameras(tmp_path_factory) -> Path:
    """The suite file of three generated cameras of a few seconds."""
    from metavad.synthetic import write_suite

    return write_suite(tmp_path_factory.mktemp("cameras") / "site", scenes=3, seed=3, size="tiny")


@pytest.fixture(scope="session")
def tiny_config():
    """Settings under which training takes a second."""
    from metavad.config import load_config

    return load_config("quick", TINY)


@pytest.fixture(scope="session")
def tiny_run(cameras, tiny_config, tmp_path_factory) -> Path:
    """The folder of a complete run on the generated cameras."""
    from metavad.scenes.suite import load_suite
    from metavad.workflows.meta_train import meta_train

    run = tmp_path_factory.mktemp("runs") / "tiny"
    meta_train(load_suite(str(cameras)).scenes, tiny_config, run=run)
    return run


@pytest.fixture(scope="session")
def tiny_base(tiny_run):
    """The base of that run."""
    from metavad.normality.base import load_base

    return load_base(tiny_run / "base")


@pytest.fixture
def own_networks(tmp_path, monkeypatch) -> Path:
    """The user's own folder of networks, and nothing in any cache."""
    for variable in ("METAVAD_CACHE", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("METAVAD_NETWORKS", str(own))
    return own
