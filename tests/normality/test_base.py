"""A base on disk and in parts."""

from pathlib import Path

import pytest
import torch

from metavad.bundle import Bundle, load_bundle, save_bundle
from metavad.config import load_config
from metavad.errors import BundleError
from metavad.features.library import Library
from metavad.normality.base import KIND, load_base, save_base
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite

SHIPPED = Path(__file__).parents[2] / "base"


def test_it_comes_back_as_it_was_written(tiny_base, tmp_path):
    save_base(tmp_path / "base", tiny_base)
    again = load_base(tmp_path / "base")
    assert again.digest == tiny_base.digest
    assert again.config == tiny_base.config


def test_one_changed_byte_is_found(tiny_base, tmp_path):
    save_base(tmp_path / "base", tiny_base)
    content = bytearray((tmp_path / "base" / KIND.tensors).read_bytes())
    content[-1] ^= 1
    (tmp_path / "base" / KIND.tensors).write_bytes(bytes(content))
    with pytest.raises(BundleError, match="changed"):
        load_base(tmp_path / "base")


def test_an_expert_alone_says_what_it_says_among_the_others(tiny_base, cameras):
    scene = load_suite(str(cameras)).scenes[0]
    library = Library([scene], tiny_base.config.data, tiny_base.features, Store())
    span = library.spans(scene.key)[0]
    support = library.sample(span.clips(tiny_base.config.data.clip_frames)[:2])
    grid = library.grid(scene.key)
    name = "flow_density"  # which works zero-shot, alone and among the others
    alone = tiny_base.only([name])
    assert [each for each, _ in alone.experts.each()] == [name]
    whole = fit(Adapted(tiny_base), support, grid).score(support).maps[name]
    part = fit(Adapted(alone), support, grid).score(support).maps
    assert set(part) == {name}
    torch.testing.assert_close(part[name], whole, rtol=0, atol=0)


def test_a_part_is_a_base_of_its_own(tiny_base, tmp_path):
    alone = tiny_base.only(tiny_base.config.experts[:1])
    save_base(tmp_path / "part", alone)
    assert load_base(tmp_path / "part").digest == alone.digest != tiny_base.digest


def test_settings_have_a_digest():
    config = load_config("quick")
    assert config.digest == load_config("quick").digest
    assert config.digest != load_config("quick", ["scoring.top=0.02"]).digest


def _without(tensors, name):
    return {key: tensor for key, tensor in tensors.items() if key != name}


BROKEN = {
    "a parameter is missing": (lambda t: _without(t, "params/direction.leak"), "params/direction.leak is missing"),
    "a parameter too many": (lambda t: t | {"params/direction.more": torch.zeros(1)}, "params/direction.more is no"),
    "another shape": (lambda t: t | {"control/direction.leak": torch.zeros(2)}, r"direction.leak is float32 \[2\]"),
    "another type": (lambda t: t | {"params/direction.leak": torch.zeros((), dtype=torch.float64)}, "is float64"),
    "step sizes of another shape": (lambda t: t | {"step-sizes/direction.leak": torch.zeros(3)}, "step-sizes/"),
    "step sizes of nothing": (lambda t: t | {"step-sizes/direction.more": torch.zeros(())}, "step-sizes/"),
    "the control adapts less": (lambda t: _without(t, "control-step-sizes/direction.leak"), "control-step-sizes/"),
    "weights": (lambda t: t | {"weights/direction": torch.zeros(3)}, r"float32 \[3\]"),
    "half a table": (lambda t: _without(t, "frames/values"), "frames/values is missing"),
    "no population of an expert": (
        lambda t: _without(t, "control-population/direction.scores.values"),
        "control-population/direction.scores.values is missing",
    ),
    "a buffer is missing": (lambda t: _without(t, "buffers/flow_density.speed.base.loc"), "buffers/.* is missing"),
    "rows of a table": (lambda t: t | {"frames/sample_sizes": torch.arange(9)}, "rows, not 9"),
    "levels of a table": (lambda t: t | {"frames/values": torch.zeros(2, 7)}, r"\[any, 7\]"),
    "a group of its own": (lambda t: t | {"others/a": torch.zeros(1)}, "others/a belongs to nothing"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_tensors_are_those_of_the_settings(tiny_run, tmp_path, what):
    change, message = BROKEN[what]
    kept = load_bundle(tiny_run / "base", KIND)
    save_bundle(tmp_path / "base", KIND, Bundle(change(dict(kept.tensors)), kept.facts))
    with pytest.raises(BundleError, match=f"expected a base as it was written, .*{message}.*metavad meta-train"):
        load_base(tmp_path / "base")


@pytest.mark.parametrize(
    ("name", "value"),
    [("facts", None), ("facts", {"normal_ticks": -1}), ("facts", {"normal_ticks": "many"}), ("more", 1)],
)
def test_facts_are_those_of_a_base(tiny_run, tmp_path, name, value):
    kept = load_bundle(tiny_run / "base", KIND)
    save_bundle(tmp_path / "base", KIND, Bundle(kept.tensors, {**kept.facts, name: value}))
    with pytest.raises(BundleError, match=name):
        load_base(tmp_path / "base")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("meta", "order", 3), ("data", "rate", -1), ("data", "rows", "8"), ("scoring", "new", 1)],
)
def test_settings_are_checked(tiny_run, tmp_path, section, key, value):
    kept = load_bundle(tiny_run / "base", KIND)
    config = {**kept.facts["config"], section: {**kept.facts["config"][section], key: value}}
    save_bundle(tmp_path / "base", KIND, Bundle(kept.tensors, {**kept.facts, "config": config}))
    with pytest.raises(BundleError, match=f"config.{section}.{key}"):
        load_base(tmp_path / "base")
