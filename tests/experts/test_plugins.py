"""Experts from other packages: the template of the docs as a package, and packages that are wrong."""

import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from metavad.config import load_config
from metavad.errors import BundleError, ConfigError
from metavad.experts import build_experts, expert_type, with_plugin_settings
from metavad.experts.plugins import GROUP, plugins
from metavad.experts.prediction import Prediction
from metavad.normality.base import load_base
from metavad.scenes.suite import load_suite
from metavad.testing import check_expert, small_config
from metavad.workflows.few_shot import adapt
from metavad.workflows.meta_train import meta_train
from tests.conftest import TINY

PAGE = (Path(__file__).parents[2] / "docs/how-to/write-an-expert.md").read_text(encoding="utf-8")
CODE, CHECK = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PROJECT, CONFIG = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """``install(project, module=code)``: as pip lays a package out, in a folder on the path."""
    place = tmp_path / "site-packages"
    place.mkdir()
    monkeypatch.syspath_prepend(str(place))
    before = set(sys.modules)

    def put(project, **modules):
        table = tomllib.loads(project)["project"]
        info = place / f"{table['name'].replace('-', '_')}-{table['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {table['name']}\nVersion: {table['version']}\n")
        points = "\n".join(f"{key} = {value}" for key, value in table["entry-points"][GROUP].items())
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")
        for name, code in modules.items():
            (place / f"{name}.py").write_text(code)
        importlib.invalidate_caches()

    yield put
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(place) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.fixture
def template(install):
    """The package of the docs, installed."""
    install(PROJECT, brightness=CODE)


def test_the_template_keeps_the_contract_and_is_short(template):
    exec(compile(CHECK, "check", "exec"), {})
    config = small_config(plugins={"brightness": {"deviation": 0.3}})
    check_expert(expert_type("brightness").build(config), config)
    code = [line for line in CODE.splitlines() if line.strip() and not line.startswith(("from", "import"))]
    assert len(code) <= 40


def test_the_template_is_installed_by_pip_listed_and_checked(tmp_path):
    """In folders of its own, with its check beside it, as the page says."""
    project, target = tmp_path / "project", tmp_path / "site-packages"
    project.mkdir()
    for name, text in {"pyproject.toml": PROJECT, "brightness.py": CODE, "check_brightness.py": CHECK}.items():
        (project / name).write_text(text)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--target", target, project], check=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(target), *filter(None, sys.path)])}
    ran = [[sys.executable, "-m", "metavad", "show", "experts"], [sys.executable, project / "check_brightness.py"]]
    listed, checked = (
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
        for command in ran
    )
    assert re.search(r"^brightness +.*metavad-brightness 0\.1\.0", listed, re.MULTILINE)
    assert checked == ""


def test_the_template_trains_adapts_and_is_listed(template, tmp_path, cameras, tiny_run):
    (tmp_path / "mine.toml").write_text(CONFIG)
    config = load_config(tmp_path / "mine.toml", TINY)
    scenes = load_suite(str(cameras)).scenes
    base = meta_train(scenes, config, run=tmp_path / "run")
    assert base.config.plugins == {"brightness": {"deviation": 0.2}}
    again = load_base(tmp_path / "run" / "base")
    assert again.digest == base.digest
    assert again.only(["flow_density"]).config.plugins == {}
    detector = adapt(again, scenes[0], shots=2)
    assert set(detector.model.experts) == {"flow_density", "brightness"}


def test_a_base_holds_the_defaults_of_the_settings_too(template):
    config = with_plugin_settings(small_config(experts=["brightness"]))
    assert config.plugins == {"brightness": {"deviation": 0.1}}
    assert with_plugin_settings(config) == config


def test_a_base_without_plugins_is_written_as_if_there_were_none():
    assert "plugins" not in small_config().model_dump(mode="json")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("plugins.brightness.deviation=-1", "plugins.brightness.deviation = -1: input should be greater than 0"),
        ("plugins.brightness.deviatoin=1", "unknown setting 'plugins.brightness.deviatoin'; did you mean 'plugins.b"),
        ("plugins.brightnes.deviation=1", "plugins.brightnes: expected the settings of .* did you mean 'brightness'"),
        ("plugins.brightness=3", "plugins.brightness = 3: input should be a valid dictionary"),
    ],
)
def test_a_wrong_setting_is_one_line(template, override, message):
    with pytest.raises(ConfigError, match=message) as found:
        build_experts(load_config("quick", ['experts=["brightness"]', override]))
    assert "\n" not in str(found.value)


def test_a_model_that_takes_anything_does_not_hide_a_mistyped_setting(install):
    install(PROJECT, brightness=CODE.replace(', extra="forbid"', ""))
    with pytest.raises(ConfigError, match=r"unknown setting 'plugins\.brightness\.deviatoin'"):
        build_experts(small_config(experts=["brightness"], plugins={"brightness": {"deviatoin": 1}}))


def test_a_base_whose_package_is_gone_says_so(template, tmp_path, cameras, monkeypatch):
    config = load_config("quick", [*TINY, 'experts=["brightness"]'])
    meta_train(load_suite(str(cameras)).scenes, config, run=tmp_path / "run")
    load_base(tmp_path / "run" / "base")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not path.endswith("site-packages/")][1:])
    with pytest.raises(BundleError, match="package that its expert 'brightness' comes from to be installed"):
        load_base(tmp_path / "run" / "base")


OTHER = '[project]\nname = "other"\nversion = "2"\n[project.entry-points."metavad.experts"]\n'


@pytest.mark.parametrize(
    ("declared", "code", "message"),
    [
        ('broken = "broken:Broken"', "import nonsense_that_is_not_there", "ModuleNotFoundError: No module named 'nons"),
        ('broken = "broken:Missing"', "", "expected broken:Missing to be there, found AttributeError"),
        ('broken = "broken:Broken"', "Broken = 3", "whole subclass of metavad.experts.base.Expert, found 3"),
        ('broken = "metavad.experts.base:Expert"', "", "whole subclass"),
        ('broken = "metavad.experts.direction:Direction"', "", "the expert's name, an identifier, found 'direction'"),
    ],
)
def test_a_package_that_is_wrong_is_named_when_it_is_used_and_in_the_list(install, declared, code, message):
    install(OTHER + declared, broken=code)
    with pytest.raises(ConfigError, match="expert 'broken' of other 2: .*" + message):
        build_experts(small_config(experts=["broken"]))
    build_experts(small_config())  # whoever does not use it is not troubled


def test_one_name_is_one_expert_s(install, template):
    with pytest.raises(ConfigError, match=r"expert 'brightness' of .*: expected a name of its own"):
        install(OTHER + 'brightness = "brightness:Brightness"')
        plugins()
    with pytest.raises(ConfigError, match="one of metavad itself"):
        plugins(taken={"brightness"})


def test_a_feature_that_there_is_not_is_named():
    class Odd(Prediction):
        reads = ("framse",)

    with pytest.raises(ConfigError, match="unknown feature 'framse'; did you mean 'frames'"):
        check_expert(Odd.build(small_config()))
