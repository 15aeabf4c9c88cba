import pytest
import torch

from metavad.config import Config
from metavad.experts.embedding import Embedding, EmbeddingMemory, centroids
from metavad.features.backbones import cut_of
from metavad.features.sample import Sample

SIZE = 216
"""Numbers of the tiny backbone's embedding."""


def sample_of(vectors):
    """Embeddings (B, T, D) of a camera of 12 x 16 small pixels, all known."""
    known = torch.ones(vectors.shape[:2], dtype=torch.bool)
    features = {"frames": torch.zeros(*vectors.shape[:2], 12, 16), "embeddings": vectors[..., None, None]}
    return Sample(features, {"frames": known, "embeddings": known}, torch.zeros(vectors.shape[:2]))


def few_directions(clips, seed=0, ticks=4, rank=3, basis_seed=7):
    """Embeddings that live in a few directions."""
    basis = torch.randn(rank, SIZE, generator=torch.Generator().manual_seed(basis_seed))
    weights = torch.randn(clips, ticks, rank, generator=torch.Generator().manual_seed(seed))
    return weights @ basis


def expert_of(kind, **settings):
    torch.manual_seed(0)
    return kind.build(Config.model_validate({"data": {"rows": 6}, "embedding": settings}))


@pytest.mark.parametrize("kind", [Embedding, EmbeddingMemory])
def test_the_score_is_the_same_at_every_place(kind):
    expert, sample = expert_of(kind), sample_of(few_directions(2))
    maps = expert.score(sample, expert.condition(sample))
    assert maps.shape == (2, 4, 6, 8)
    assert torch.equal(maps, maps[:, :, :1, :1].expand_as(maps))


def test_what_the_autoencoder_never_saw_it_cannot_rebuild():
    expert = expert_of(Embedding, code=8, hidden=32)
    optimiser = torch.optim.Adam(expert.parameters(), lr=0.01)
    for turn in range(60):
        optimiser.zero_grad()
        expert.loss(sample_of(few_directions(8, seed=turn)), {}).backward()
        optimiser.step()
    with torch.no_grad():
        usual = expert.score(sample_of(few_directions(4, seed=99)), {})
        strange = expert.score(sample_of(few_directions(4, seed=99, basis_seed=8)), {})
    assert strange.min() > usual.max()


@pytest.mark.parametrize("memory", ["neighbours", "centroids"])
def test_what_was_shown_is_near(memory):
    expert = expert_of(EmbeddingMemory, memory=memory, centroids=3)
    shown = torch.randn(3, 1, SIZE, generator=torch.Generator().manual_seed(0)).expand(-1, 4, -1)
    other = torch.randn(3, 1, SIZE, generator=torch.Generator().manual_seed(1)).expand(-1, 4, -1)
    near = shown + 0.05 * torch.randn(3, 4, SIZE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        known = expert.condition(sample_of(shown))
        assert known["weights"].sum() == pytest.approx(3.0)
        assert expert.score(sample_of(near), known).max() < expert.score(sample_of(other), known).min()


def test_of_nothing_it_remembers_the_prior():
    expert = expert_of(EmbeddingMemory)
    sample = sample_of(few_directions(2))
    memory = expert.condition(sample.select([]))
    values = expert.embeddings(sample)
    expected = (0.5 * (values - expert.middle).square() + expert.log_spread).mean(-1)
    torch.testing.assert_close(expert.nats(values, memory), expected)


def test_clips_that_know_nothing_do_not_count():
    expert = expert_of(EmbeddingMemory)
    sample = sample_of(few_directions(2))
    sample.known["embeddings"][1] = False
    assert expert.condition(sample)["weights"].tolist() == [1.0, 0.0]


def test_of_many_clips_every_tick_may_count():
    """As many clips as are drawn: not the first tick of each, which nobody knows."""
    expert = expert_of(Embedding)
    sample = sample_of(few_directions(expert.settings.draws, ticks=7))
    sample.known["embeddings"][:, :5] = False
    assert expert.loss(sample, {}).item() > 0


def test_centroids_find_the_heaps():
    generator = torch.Generator().manual_seed(0)
    heaps = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    values = (heaps[:, None] + torch.randn(3, 20, 2, generator=generator)).flatten(0, 1)
    far = torch.tensor([[500.0, 500.0]])
    places, counts = centroids(torch.cat([values, far]), torch.tensor([1.0] * 60 + [0.0]), 3)
    assert sorted(counts.tolist()) == [20.0, 20.0, 20.0]
    nearest = torch.cdist(heaps, places).min(1).values
    assert nearest.max() < 1.0


def behind(clips, seed=0, ticks=4):
    """Rows that hold an embedding of the tiny backbone, and behind it what goes into its last block."""
    cut = cut_of("tiny", "", 1)
    passing = torch.rand(clips * ticks, *cut.shape, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return torch.cat([cut.after(passing), passing.flatten(1)], dim=1).unflatten(0, (clips, ticks))


def test_unfrozen_blocks_begin_as_the_backbone_s():
    frozen, unfrozen = expert_of(Embedding), expert_of(Embedding, unfrozen=1)
    unfrozen.load_state_dict(frozen.state_dict(), strict=False)
    sample = sample_of(behind(2))
    torch.testing.assert_close(unfrozen.score(sample, {}), frozen.score(sample, {}))
    whole = dict(cut_of("tiny", "", 1).after.named_parameters())
    mine = {name.removeprefix("blocks."): tensor for name, tensor in unfrozen.named_parameters() if "blocks." in name}
    assert mine.keys() == whole.keys()
    assert all(torch.equal(mine[name], whole[name]) for name in whole)


def test_what_is_rebuilt_stays_the_frozen_embedding():
    """Blocks that send everything to one place rebuild nothing: the error is that of one guess for all."""
    expert, sample = expert_of(Embedding, unfrozen=1), sample_of(behind(3))
    before = expert.loss(sample, {})
    with torch.no_grad():
        for tensor in expert.blocks.parameters():
            tensor.zero_()
    guess = expert.decoder(expert.encoder(torch.zeros(SIZE)))
    error = (guess - expert.embeddings(sample)).square().mean(-1)
    torch.testing.assert_close(expert.strangeness(sample["embeddings"][..., 0, 0], {}), torch.log(error + 1e-3))
    assert expert.loss(sample, {}) != before


def test_learning_moves_its_own_blocks_alone():
    expert, sample = expert_of(Embedding, unfrozen=1), sample_of(behind(3))
    shared = [tensor.clone() for tensor in cut_of("tiny", "", 1).after.parameters()]
    optimiser = torch.optim.Adam(expert.parameters(), lr=0.01)
    before = expert.loss(sample, {})
    for _ in range(10):
        optimiser.zero_grad()
        expert.loss(sample, {}).backward()
        optimiser.step()
    assert expert.loss(sample, {}) < before
    after = list(cut_of("tiny", "", 1).after.parameters())
    assert all(torch.equal(one, other) for one, other in zip(shared, after, strict=True))
    assert any((one != other).any() for one, other in zip(shared, expert.blocks.parameters(), strict=True))


def test_neighbours_are_of_the_frozen_embedding():
    expert, sample = expert_of(EmbeddingMemory, unfrozen=1), sample_of(behind(3))
    alone = sample_of(behind(3)[..., :SIZE])
    assert torch.equal(expert.score(sample, expert.condition(sample)), expert.score(alone, expert.condition(alone)))
