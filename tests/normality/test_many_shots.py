"""Fifty clips and more: linear time, memory of parts, the same model."""

import pytest
import torch

from metavad.episodes import Clip, draw_shots
from metavad.experts import parts
from metavad.experts.prediction import Prediction
from metavad.features.feature import grid_of
from metavad.features.footage import gather
from metavad.features.library import Library, stretches
from metavad.normality.detector import make_detector
from metavad.normality.fit import PART, fit
from metavad.normality.methods import Adapted
from metavad.progress import JsonProgress
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite
from metavad.workflows.few_shot import adapt


@pytest.fixture(scope="module")
def scene(cameras):
    return load_suite(str(cameras)).scenes[0]


@pytest.fixture(scope="module")
def library(scene, tiny_base):
    """Of the clips asked for alone, as adapting has it."""
    return Library([scene], tiny_base.config.data, tiny_base.features, Store(), whole=False)


@pytest.fixture(scope="module")
def support(library, scene):
    return library.sample(draw_shots(library.spans(scene.key), 60, 8, 0).clips)


def fitted(base, support):
    return fit(Adapted(base), support, grid_of(*support["frames"].shape[-2:], base.config.data.rows))


def offsets(model):
    return {name: torch.tensor(each.offset) for name, each in model.calibrations.items()}


def assert_same(one, other, **limits):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], **limits, equal_nan=True, msg=name)


def test_no_expert_is_asked_for_the_scores_of_many_ticks_at_once(tiny_base, support, monkeypatch):
    asked, plain = [], Prediction.score

    def noting(expert, sample, memory):
        asked.append(sample.seconds.numel())
        return plain(expert, sample, memory)

    monkeypatch.setattr(Prediction, "score", noting)
    fitted(tiny_base, support)
    assert sum(asked) == support.seconds.numel()
    assert max(asked) <= PART


def test_sixty_shots_part_by_part_make_the_model_of_all_at_once(tiny_base, support, monkeypatch):
    parted = fitted(tiny_base, support)
    monkeypatch.setattr(parts, "WHOLE", 1000)
    whole = fitted(tiny_base, support)
    assert_same(parted.params, whole.params, rtol=0, atol=1e-6)
    assert_same(parted.memory, whole.memory, rtol=1e-6, atol=1e-6)
    assert_same(offsets(parted), offsets(whole), rtol=0, atol=1e-4)


def test_up_to_fifty_shots_how_they_are_parted_changes_no_bit(tiny_base, support, monkeypatch):
    fifty = support.select(range(50))
    found = fitted(tiny_base, fifty)
    monkeypatch.setattr(parts, "TICKS", 40)
    again = fitted(tiny_base, fifty)
    assert_same(found.params, again.params, rtol=0, atol=0)
    assert_same(found.memory, again.memory, rtol=0, atol=0)
    assert_same(offsets(found), offsets(again), rtol=0, atol=0)
    assert torch.equal(found.support.frames.nan_to_num(-1), again.support.frames.nan_to_num(-1))


def test_clips_read_together_are_those_read_one_by_one(library, scene, support):
    clips = draw_shots(library.spans(scene.key), 60, 8, 0).clips
    assert max(map(len, stretches(clips))) > 1
    for number, clip in enumerate(clips):
        alone = library.sample([clip])
        for name, rows in alone.features.items():
            assert torch.equal(support.features[name][number, : rows.shape[1]], rows[0])
        assert torch.equal(support.origins[number], alone.origins[0])


def test_a_file_is_opened_once_for_clips_that_lie_beside_each_other(library, scene, monkeypatch):
    from metavad.features import library as module

    opened, plain = [], module.read_frames

    def noting(*arguments, **options):
        opened.append(len(options["every"]))
        return plain(*arguments, **options)

    monkeypatch.setattr(module, "read_frames", noting)
    library.sample(draw_shots(library.spans(scene.key), 64, 4, 0).clips)
    assert len(opened) <= 64 / 4 + len(scene.normal)


def test_stretches_are_of_one_video_in_order_and_of_few_shots_each_clip_by_itself():
    few = [Clip("s", "a", first, 4) for first in (8, 0)]
    assert stretches(few) == [[few[1]], [few[0]]]
    many = [Clip("s", video, first, 4) for video in "ab" for first in range(100)]
    found = stretches([*many, many[0]])
    assert sorted(clip for each in found for clip in each) == many
    assert all(len({clip.video for clip in each}) == 1 and each == sorted(each) for each in found)
    assert max(map(len, found)) == 8


def test_thumbnails_are_each_shot_s_own(library, scene):
    shots = draw_shots(library.spans(scene.key), 40, 8, 0)
    footage = gather(library, scene.key, shots)
    assert len(footage.thumbnails) == 40
    for number in (0, 17, 39):
        alone = shots.without([n for n in range(1, 41) if n != number + 1])
        assert gather(library, scene.key, alone).thumbnails == (footage.thumbnails[number],)


def test_what_was_shown_is_known_frame_by_frame(library, scene, tiny_base):
    shots = draw_shots(library.spans(scene.key), 12, 8, 0)
    footage = gather(library, scene.key, shots, thumbnails=False)
    model = fit(Adapted(tiny_base), footage.support, footage.grid)
    detector = make_detector(tiny_base, model, footage, alarms_per_day=10)
    for video in (*(video.name for video in scene.normal), "another"):
        for frame in range(-1, 50):
            shown = any(clip.video == video and clip.first <= frame < clip.end for clip in shots.clips)
            assert detector.was_shown(video, frame) == shown


def test_adapting_says_how_far_it_is(scene, tiny_base, tmp_path):
    path = tmp_path / "told"
    with path.open("w") as stream:
        adapt(tiny_base, scene, shots=6, progress=JsonProgress(stream))
    titles = [line.split('"')[3] for line in path.read_text().splitlines() if '"state": "over"' in line]
    assert titles == ["Reading clips", "Small pictures", "Learning"]
    assert '"done": 18, "total": 18' in path.read_text()
