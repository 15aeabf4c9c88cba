"""A base on disk and in parts."""

import pytest
import torch

from metavad.adaptation.adapt import adapt, surprises
from metavad.config import load_config
from metavad.errors import BundleError
from metavad.features.library import Library
from metavad.meta.base import TENSORS, load_base, save_base
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite


def test_it_comes_back_as_it_was_written(tiny_base, tmp_path):
    save_base(tmp_path / "base", tiny_base)
    again = load_base(tmp_path / "base")
    assert again.digest == tiny_base.digest
    assert again.config == tiny_base.config


def test_one_changed_byte_is_found(tiny_base, tmp_path):
    save_base(tmp_path / "base", tiny_base)
    content = bytearray((tmp_path / "base" / TENSORS).read_bytes())
    content[-1] ^= 1
    (tmp_path / "base" / TENSORS).write_bytes(bytes(content))
    with pytest.raises(BundleError, match="changed"):
        load_base(tmp_path / "base")


def test_an_expert_alone_says_what_it_said_among_the_others(tiny_base, cameras):
    scene = load_suite(str(cameras)).scenes[0]
    library = Library([scene], tiny_base.config, tiny_base.experts.reads, Store())
    reel = library.reels(scene.key)[0]
    support = library.sample(reel.clips(tiny_base.config.data.clip_frames)[:2])
    name = "flow_density"  # which leads, alone and among the others
    alone = tiny_base.only([name])
    assert [each for each, _ in alone.experts.each()] == [name]
    whole = surprises(adapt(tiny_base, support), support).maps[name]
    part = surprises(adapt(alone, support), support).maps
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
