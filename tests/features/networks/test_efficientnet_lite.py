"""The architecture that the published weights are of, its middle blocks, and pictures that everybody can name."""

import cv2
import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from metavad.errors import BundleError
from metavad.features.networks.efficientnet_lite import PatchNetwork, folded, patch_network, whole_network

PALACE, DAISY = 698, 985
"""Classes of ImageNet: what a temple in Peking and a dahlia look most like."""


@pytest.fixture(scope="module")
def pictures():
    """A temple and a flower, (2, 3, 224, 224)."""
    squares = [picture[:, 106:533] for picture in load_sample_images().images]
    small = [cv2.resize(square, (224, 224), interpolation=cv2.INTER_AREA) for square in squares]
    return torch.from_numpy(np.stack(small)).movedim(3, 1) / 127.5 - 1


@pytest.fixture(scope="module")
def network():
    return patch_network()


def test_the_classifier_names_a_palace_and_a_daisy(pictures):
    whole = whole_network()
    with torch.no_grad():
        assert whole(pictures).argmax(1).tolist() == [PALACE, DAISY]
    # 4.7 million are published, classifier included.
    assert sum(tensor.numel() for tensor in whole.parameters()) == pytest.approx(4.65e6, rel=5e-3)


def test_folding_changes_nothing(pictures, network):
    plain = PatchNetwork(whole_network().double())
    with torch.no_grad():
        for found, expected in zip(network(pictures), plain(pictures.double()), strict=True):
            assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())


def test_folding_twice_is_folding_once(pictures):
    whole = folded(whole_network())
    with torch.no_grad():
        once = whole(pictures)
        assert torch.equal(once, folded(whole)(pictures))


@pytest.mark.parametrize("size", [(64, 96), (50, 81), (17, 240)])
def test_shapes_of_patches_for_any_picture(network, size):
    with torch.no_grad():
        fine, coarse = network(torch.zeros(2, 3, *size))
    assert fine.shape == (2, 40, *(-(-side // 8) for side in size))
    assert coarse.shape == (2, 112, *(-(-side // 16) for side in size))


def test_only_what_is_asked_for_is_computed(pictures):
    fine = patch_network(blocks=(4,))
    assert len(fine.blocks) == 5
    with torch.no_grad():
        (found,) = fine(pictures)
        assert torch.equal(found, patch_network()(pictures)[0])


def test_nothing_of_it_is_trained(network):
    assert not network.training
    assert not any(tensor.requires_grad for tensor in network.parameters())
    assert not any(part.training for part in network.modules())


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(8, 8), (9, 9), (7, 10)])
def test_padding_is_tensorflow_s(kernel, size):
    """Sides over the stride, rounded up; where the padding is odd, the picture lies one towards the upper left."""
    from metavad.features.networks.efficientnet_lite import _padded

    padded = _padded(torch.ones(1, 1, *size), kernel, 2)[0, 0]
    for side, length, line in zip(size, padded.shape, (padded[:, kernel // 2], padded[kernel // 2]), strict=True):
        assert (length - kernel) // 2 + 1 == -(-side // 2)
        before, after = int(line.argmax()), int(line.flip(0).argmax())
        assert (before + after, after - before) == ((kernel - 2, 1) if side % 2 == 0 else (kernel - 1, 0))


def test_other_weights_are_refused(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"something else")
    with pytest.raises(BundleError, match=r"a\.pth: expected weights .*, could not read any") as caught:
        patch_network(tmp_path / "a.pth")
    assert "\n" not in str(caught.value)
    state = whole_network().state_dict()
    torch.save({**state, "blocks.3.more": torch.zeros(1)}, tmp_path / "b.pth")
    with pytest.raises(BundleError, match=r"expected weights of EfficientNetLite0, found others \(\S+ is unknown"):
        patch_network(tmp_path / "b.pth")
