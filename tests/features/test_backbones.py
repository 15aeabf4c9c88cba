"""Networks of others behind one seam: names, weights, preprocessing, and what is said when something is missing."""

import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from metavad.errors import BundleError, ConfigError, DataError
from metavad.features.backbones import backbone_of, cut_of
from metavad.features.backbones.backbone import Preprocessing, clip_of
from metavad.features.backbones.slowfast import ALPHA, SlowFast, slowfast_backbone
from metavad.features.backbones.tiny import SHIPPED, Tiny, train_tiny
from metavad.features.networks.registry import digest_of
from metavad.features.networks.weights import load_weights, read_weights


def frames(count, height=24, width=40):
    return [np.full((height, width), 10 * number, np.uint8) for number in range(count)]


def test_a_clip_is_spread_over_the_frames_that_are_there():
    settings = Preprocessing(4, 8, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    clip = clip_of(frames(7), settings)
    assert clip.shape == (1, 3, 4, 8, 8)
    levels = (clip[0, 0, :, 0, 0] * 0.25 + 0.5) * 255
    torch.testing.assert_close(levels, torch.tensor([0.0, 20.0, 40.0, 60.0]), atol=1e-3, rtol=0)
    assert torch.equal(clip[:, 0], clip[:, 2])


def test_one_frame_is_a_clip_too():
    assert clip_of(frames(1), Preprocessing(16, 8, (0.0,), (1.0,))).shape == (1, 1, 16, 8, 8)


@pytest.mark.parametrize("name", ["r2plus1d_18", "slowfast_r50"])
def test_weights_must_be_named(name):
    with pytest.raises(ConfigError, match=f"expected weights for {name}, found none; name a file"):
        backbone_of(name, "")


def test_unknown_names_are_met_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'r2plus1d_18'"):
        backbone_of("r2plus1d", "random")


@pytest.mark.parametrize(
    ("name", "dimension", "size"),
    [("r3d_18", 512, 112), ("mvit_v2_s", 768, 224), ("s3d", 1024, 224), ("swin3d_t", 768, 224)],
)
def test_any_video_model_of_torchvision_by_name(name, dimension, size):
    backbone = backbone_of(name, "random")
    assert (backbone.dimension, backbone.preprocessing.size) == (dimension, size)
    assert len(backbone.preprocessing.mean) == len(backbone.preprocessing.deviation) == 3


def test_a_model_of_torchvision_without_its_head(tmp_path):
    """Random weights, then the same ones from a file, with the head in it as it is published."""
    from metavad.features.backbones.torchvision import imported

    torch.manual_seed(0)
    whole = imported().get_model("mc3_18", weights=None).eval()
    torch.save(whole.state_dict(), tmp_path / "mc3.pth")
    backbone = backbone_of("mc3_18", str(tmp_path / "mc3.pth"))
    clip = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        found = backbone.make()(clip)
        assert found.shape == (1, backbone.dimension)
        torch.testing.assert_close(whole.fc(found), whole(clip))


@pytest.mark.parametrize("name", ["slowfast_r50", "r3d_18"])
def test_published_weights_that_are_not_here_are_one_line(name, monkeypatch, tmp_path):
    for variable in ("METAVAD_NETWORKS", "METAVAD_CACHE", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(DataError, match=rf"^{name}: expected its file .*, found none; metavad networks fetch {name}$"):
        backbone_of(name, "default").make()


def test_published_weights_that_are_here_are_loaded(monkeypatch, tmp_path):
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("metavad.features.backbones.slowfast.SlowFast", lambda: SlowFast(8, (1, 1, 1, 1)))
    small = SlowFast(thinner=8, depths=(1, 1, 1, 1))
    torch.save({"model_state": small.state_dict()}, tmp_path / "hub" / "checkpoints" / "SLOWFAST_8x8_R50.pyth")
    made = slowfast_backbone("default").make().state_dict()
    assert all(torch.equal(made[name], tensor) for name, tensor in small.state_dict().items())


def test_slowfast_has_the_published_shapes_and_names():
    network = SlowFast(thinner=8, depths=(1, 1, 1, 1)).eval()
    with torch.no_grad():
        assert network(torch.randn(2, 3, 8, 32, 32)).shape == (2, 288)
    with torch.device("meta"):
        whole = SlowFast()
    state = whole.state_dict()
    assert state["blocks.0.multipathway_blocks.0.conv.weight"].shape == (64, 3, 1, 7, 7)
    assert state["blocks.0.multipathway_blocks.1.conv.weight"].shape == (8, 3, 5, 7, 7)
    assert state["blocks.0.multipathway_fusion.conv_fast_to_slow.weight"].shape == (16, 8, 7, 1, 1)
    assert state["blocks.1.multipathway_blocks.0.res_blocks.0.branch1_conv.weight"].shape == (256, 80, 1, 1, 1)
    assert state["blocks.3.multipathway_blocks.0.res_blocks.0.branch2.conv_a.weight"].shape == (256, 640, 3, 1, 1)
    assert state["blocks.4.multipathway_blocks.1.res_blocks.2.branch2.conv_c.weight"].shape == (256, 64, 1, 1, 1)
    count = sum(tensor.numel() for tensor in whole.parameters())
    # 34.57 million are published with the head, which has 2304 x 400 + 400 of them.
    assert count + 2304 * 400 + 400 == pytest.approx(34.57e6, rel=1e-3)


def test_the_slow_path_sees_every_fourth_frame_and_the_fast_one_all():
    network = SlowFast(thinner=8, depths=(1, 1, 1, 1)).eval()
    seen = {}
    for number, path in enumerate(network.blocks[0].multipathway_blocks):
        path.register_forward_hook(lambda _, given, __, number=number: seen.update({number: given[0].shape[2]}))
    with torch.no_grad():
        network(torch.randn(1, 3, 16, 32, 32))
    assert seen == {0: 16 // ALPHA, 1: 16}


def test_timesformer_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"expected the package transformers, found none; pip install"):
        backbone_of("timesformer", "random")


def test_timesformer_through_its_package(monkeypatch, tmp_path):
    """A stand-in for the package: which pictures it is given, and which weights of a published file it takes."""

    class Model(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.layer = nn.Linear(3, 5)

        def forward(self, pixel_values):
            assert pixel_values.shape == (2, 8, 3, 16, 16)  # frames before channels
            tokens = self.layer(pixel_values.mean((-1, -2)))
            return types.SimpleNamespace(last_hidden_state=tokens)

    def from_nowhere(name):
        raise OSError("no route to host\nmore")

    Model.from_pretrained = from_nowhere
    package = types.SimpleNamespace(TimesformerModel=Model, TimesformerConfig=lambda: None)
    monkeypatch.setitem(sys.modules, "transformers", package)
    state = {f"timesformer.{name}": tensor for name, tensor in Model(None).state_dict().items()}
    save_file({**state, "classifier.weight": torch.zeros(2, 2)}, tmp_path / "weights.safetensors")
    backbone = backbone_of("timesformer", str(tmp_path / "weights.safetensors"))
    assert (backbone.dimension, backbone.preprocessing.frames, backbone.preprocessing.size) == (768, 8, 224)
    clip = torch.randn(2, 3, 8, 16, 16)
    with pytest.raises(
        DataError, match=r"could not \(no route to host\); fetch https://huggingface.co/.*weights=FILE$"
    ):
        backbone_of("timesformer", "default").make()
    expected = clip.mean((-1, -2))[:, :, 0] @ state["timesformer.layer.weight"].T + state["timesformer.layer.bias"]
    torch.testing.assert_close(backbone.make()(clip), expected)


def test_the_tiny_one_is_tiny_and_ships():
    network = backbone_of("tiny", "").make()
    assert sum(tensor.numel() for tensor in network.parameters()) < 10_000
    clip = clip_of(frames(8, 48, 64), backbone_of("tiny", "").preprocessing)
    with torch.no_grad():
        assert network(clip).shape == (1, backbone_of("tiny", "").dimension)
    assert SHIPPED.stat().st_size < 50_000


def test_the_tiny_one_learns_how_a_clip_is_played():
    """Squares that move to the right at one speed, over ticks: forwards, backwards, fast and still are told apart."""
    generator = np.random.default_rng(0)
    videos = []
    for _ in range(4):
        video = np.repeat(generator.integers(60, 120, (1, 48, 64), dtype=np.uint8), 20, 0)
        down = int(generator.integers(0, 24))
        for tick in range(20):
            video[tick, down : down + 20, 2 * tick : 2 * tick + 20] = 220
        videos.append(video)
    shares = [share for _, share in train_tiny(videos, steps=60, batch=8, seed=1)]
    assert np.mean(shares[:10]) < 0.6 < np.mean(shares[-10:])


def test_short_videos_teach_nothing():
    with pytest.raises(DataError, match="16 ticks or more"):
        next(train_tiny([np.zeros((5, 48, 48), np.uint8)]))


def test_weights_of_another_network_are_named(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"layers.0.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(BundleError, match=r"expected weights of Tiny, found others \(layers\.\d\.\w+ is missing"):
        load_weights(Tiny(), read_weights(path, "embedding.weights"), "embedding.weights")


def test_files_that_are_no_weights(tmp_path):
    with pytest.raises(ConfigError, match="found none at"):
        read_weights(tmp_path / "none.pth", "embedding.weights")
    for name, content in (("bad.safetensors", b"x" * 40), ("bad.pth", b"not a pickle"), ("empty.pth", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BundleError, match="could not read any"):
            read_weights(tmp_path / name, "embedding.weights")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(BundleError, match="expected tensors by name"):
        read_weights(tmp_path / "list.pth", "embedding.weights")


class _Harm:
    def __reduce__(self):
        return (print, ("harm",))


def test_code_in_a_file_is_not_run(tmp_path, capsys):
    torch.save({"state_dict": _Harm()}, tmp_path / "harm.pth")
    with pytest.raises(BundleError):
        read_weights(tmp_path / "harm.pth", "embedding.weights")
    assert capsys.readouterr().out == ""


def test_wrapped_weights_are_unwrapped(tmp_path):
    torch.save({"model_state": {"module.a": torch.ones(2)}, "epoch": 3}, tmp_path / "wrapped.pyth")
    assert list(read_weights(tmp_path / "wrapped.pyth", "embedding.weights")) == ["a"]


def test_a_digest_is_of_the_content(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"a")
    two.write_bytes(b"a")
    assert digest_of(str(one)) == digest_of(str(two)) != ""
    assert digest_of(str(tmp_path / "none")) == ""


@pytest.mark.parametrize(("name", "unfrozen"), [("tiny", 1), ("tiny", 2), ("r3d_18", 1), ("mc3_18", 3)])
def test_what_is_cut_makes_the_same_together(name, unfrozen):
    backbone, cut = backbone_of(name, "random"), cut_of(name, "random", unfrozen)
    settings = backbone.preprocessing
    clip = torch.randn(1, len(settings.mean), 8, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(cut.after(cut.before(clip)), backbone.make()(clip))
    assert not any(part.training for part in cut.after.modules())


def test_where_it_is_cut():
    """The last convolution of the tiny network sees 16 channels; the last block of a residual one 512."""
    assert cut_of("tiny", "", 1).shape == (16, 4, 12, 12)
    assert cut_of("tiny", "", 2).shape == (8, 8, 24, 24)
    assert cut_of("r2plus1d_18", "random", 1).shape == (512, 2, 7, 7)
    assert sum(tensor.numel() for tensor in cut_of("tiny", "", 1).after.parameters()) == 24 * 16 * 9 + 24


@pytest.mark.parametrize(
    ("name", "unfrozen", "message"),
    [
        ("mvit_v2_s", 1, "expected 0 for mvit_v2_s, whose blocks do not follow one another, found 1; choose tiny"),
        ("slowfast_r50", 2, "expected 0 for slowfast_r50"),
        ("tiny", 3, "expected 0 to 2 for tiny, found 3; unfreeze fewer"),
        ("r3d_18", 9, "expected 0 to 8 for r3d_18, found 9"),
    ],
)
def test_what_cannot_be_cut(name, unfrozen, message):
    with pytest.raises(ConfigError, match=f"embedding.unfrozen: {message}") as caught:
        cut_of(name, "random", unfrozen)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tiny", "mc3_18"])
def test_random_weights_are_the_same_every_time(name):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, second = (backbone_of(name, "random").make().state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(before, torch.random.get_rng_state())
