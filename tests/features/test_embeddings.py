import numpy as np
import pytest
import torch

from metavad.config import EmbeddingConfig
from metavad.features.embeddings import EmbeddingsFeature


def rows_of(feature, frames, seconds):
    stream = feature.start()
    return np.stack([stream(frame, time) for frame, time in zip(frames, seconds, strict=True)])


@pytest.fixture
def frames():
    generator = np.random.default_rng(0)
    return [generator.integers(0, 255, (48, 64), dtype=np.uint8) for _ in range(12)]


def test_rows_are_the_network_s_vectors_as_half_floats(frames):
    feature = EmbeddingsFeature(EmbeddingConfig(weights="random"))
    rows = rows_of(feature, frames, np.arange(12) / 10)
    assert rows.shape == (12, *feature.shape(48, 64))
    assert rows.dtype == np.uint8
    found = feature.tensor(rows)
    assert found.shape == (12, feature.backbone.dimension, 1, 1)
    assert float(found.abs().max()) > 0.01
    assert feature.tensor(rows[:0]).shape == (0, feature.backbone.dimension, 1, 1)


def test_a_row_depends_on_the_last_ticks_alone(frames):
    feature = EmbeddingsFeature(EmbeddingConfig(weights="random", horizon=0.3))
    seconds = np.arange(12) / 10
    whole = rows_of(feature, frames, seconds)
    np.testing.assert_array_equal(rows_of(feature, [*frames[:8], *frames[:4]], seconds)[:8], whole[:8])
    late = rows_of(feature, frames[5:], seconds[5:])  # from 0.3 s on, all that it looks at is there
    np.testing.assert_array_equal(late[3:], whole[8:])
    assert (late[0] != whole[5]).any()


def test_between_two_embeddings_the_last_one_holds(frames):
    feature = EmbeddingsFeature(EmbeddingConfig(weights="random", every=4))
    rows = rows_of(feature, frames, np.arange(12) / 10)
    assert all((rows[tick] == rows[tick - tick % 4]).all() for tick in range(12))
    assert (rows[4] != rows[3]).any()


def test_other_weights_are_other_keys():
    keys = [EmbeddingsFeature(EmbeddingConfig(weights=weights)).key() for weights in ("", "random")]
    assert keys[0]["weights"] != keys[1]["weights"]
    assert len(str(keys[0]["weights"])) == 64


def test_what_goes_into_the_unfrozen_blocks_is_kept_behind_the_vector(frames):
    frozen = EmbeddingsFeature(EmbeddingConfig(weights="random"))
    feature = EmbeddingsFeature(EmbeddingConfig(weights="random", unfrozen=1))
    seconds = np.arange(12) / 10
    rows = rows_of(feature, frames, seconds)
    found = feature.tensor(rows)[..., 0, 0]
    assert rows.shape == (12, *feature.shape(48, 64))
    size = frozen.backbone.dimension
    torch.testing.assert_close(found[:, :size], frozen.tensor(rows_of(frozen, frames, seconds))[..., 0, 0])
    with torch.no_grad():
        again = feature.cut.after(found[:, size:].reshape(-1, *feature.cut.shape))
    torch.testing.assert_close(again, found[:, :size], rtol=1e-2, atol=1e-3)  # half floats
    assert feature.key() == {**frozen.key(), "unfrozen": 1}
