"""Adapting and calibrating, with a tiny base."""

import json
import math
from dataclasses import replace

import pytest
import torch

from metavad.config import load_config
from metavad.episodes import draw_shots
from metavad.errors import NonFiniteError, UsageError
from metavad.experts import build_experts
from metavad.features.feature import grid_of
from metavad.features.footage import regridded
from metavad.features.library import Library
from metavad.normality.distribution import PopulationScores
from metavad.normality.fit import (
    Uncalibrated,
    _folds,
    _offset,
    calibrate,
    fit,
    uncalibrated,
)
from metavad.normality.fusion import Case, fit_weights
from metavad.normality.methods import Adapted, FineTuned, Refit
from metavad.normality.model import initially_active
from metavad.normality.outliers import outlying_shots
from metavad.normality.population import fit_population
from metavad.normality.threshold import promise_threshold
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite
from metavad.scoring.explain import explain


@pytest.fixture(scope="module")
def library(cameras, tiny_base):
    return Library(load_suite(str(cameras)).scenes, tiny_base.config.data, tiny_base.features, Store())


@pytest.fixture(scope="module")
def scene(library):
    return next(iter(library.scenes))


def support_of(library, scene, shots, seed=0):
    return library.sample(draw_shots(library.spans(scene), shots, 16, seed).clips)


def fitted(method, support):
    return fit(method, support, grid_of(*support["frames"].shape[-2:], method.base.config.data.rows))


def adapt(base, support):
    return fitted(Adapted(base), support)


def video_of(library, scene):
    features = library.video_features(scene, "test", library.scenes[scene].test[0].name)
    return library.part(features, 0, len(features))


def test_zero_shot_is_the_base_itself(library, scene, tiny_base):
    model = adapt(tiny_base, library.nothing(scene))
    assert model.support.clips == 0
    assert all(torch.equal(model.params[name], tensor) for name, tensor in tiny_base.params.items())
    assert model.score(video_of(library, scene)).fused.isfinite().all()


@pytest.mark.parametrize("shots", [0, 5])
def test_the_last_ticks_alone_surprise_as_they_do_with_the_rest(library, scene, tiny_base, shots):
    model = adapt(tiny_base, support_of(library, scene, shots) if shots else library.nothing(scene))
    video = video_of(library, scene)
    whole = model.score(video)
    for since in (1, 21, 30):
        last = model.score(video, since)
        assert torch.equal(last.known, whole.known[:, since:])
        torch.testing.assert_close(last.fused, whole.fused[:, since:], rtol=1e-4, atol=1e-4)
        assert explain(model, video, last, 35).text == explain(model, video, whole, 35).text


def test_until_it_was_checked_only_what_works_zero_shot_is_active(library, scene, tiny_base, monkeypatch):
    def score(*_):
        raise AssertionError("what is not active is not computed")

    model = adapt(tiny_base, library.nothing(scene))
    for name, expert in tiny_base.experts.each():
        if name != "flow_density":
            monkeypatch.setattr(type(expert), "score", score)
    found = model.score(video_of(library, scene))
    assert {name for name, each in found.maps.items() if each.any()} == {"flow_density"}
    assert all(each.shape == found.fused.shape for each in found.maps.values())


def test_what_is_not_active_leaves_no_tick_unknown(library, scene, tiny_base):
    """`prediction` needs four ticks of past, the flow two: without shots only the flow's count."""
    video, experts = video_of(library, scene), dict(tiny_base.experts.each())
    assert not torch.equal(experts["prediction"].known(video), experts["flow_density"].known(video))
    alone = adapt(tiny_base, library.nothing(scene)).score(video)
    assert torch.equal(alone.known, experts["flow_density"].known(video))


def test_one_shot_of_what_knows_only_the_shots_leaves_nothing_to_judge_it_by(library, scene, tiny_base):
    model = adapt(tiny_base.only(["direction"]), support_of(library, scene, 1))
    assert model.support.frames.isnan().all()
    assert model.score(video_of(library, scene)).fused.isfinite().all()
    threshold, _ = promise_threshold(model, 100.0, normal_ticks=1000)
    assert math.isfinite(threshold)


def test_inner_steps_that_run_away_are_refused(library, scene, tiny_base):
    for size in (1e30, torch.inf):
        wild = {name: torch.full_like(each, size) for name, each in tiny_base.step_sizes.items()}
        with pytest.raises(NonFiniteError, match=r"after . clips, found NaN or infinity in .*; leave odd clips out"):
            adapt(replace(tiny_base, step_sizes=wild), support_of(library, scene, 2))


def test_no_tables_are_made_of_what_is_not_finite(library, scene, tiny_base):
    spans = {scene: library.spans(scene)}
    wild = {name: torch.full_like(size, torch.inf) for name, size in tiny_base.step_sizes.items()}
    with pytest.raises(NonFiniteError, match=f"scene '{scene}': expected finite numbers after 2 clips"):
        fit_population(replace(tiny_base, step_sizes=wild), spans, {scene: library.grid(scene)}, library.sample)
    broken = {name: torch.full_like(tensor, torch.nan) for name, tensor in tiny_base.params.items()}
    with pytest.raises(NonFiniteError, match=f"scene '{scene}': expected finite"):
        fit_population(replace(tiny_base, params=broken), spans, {scene: library.grid(scene)}, library.sample)


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_shots_change_the_model_and_not_the_base(library, scene, tiny_base, shots):
    before = {name: tensor.clone() for name, tensor in tiny_base.params.items()}
    model = adapt(tiny_base, support_of(library, scene, shots))
    assert any(not torch.equal(model.params[name], tensor) for name, tensor in tiny_base.params.items())
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_base.params.items())
    found = model.score(video_of(library, scene))
    assert found.fused.isfinite().all()
    assert (found.fused >= 0).all()


def test_the_same_shots_give_the_same_detector(library, scene, tiny_base):
    one, other = (adapt(tiny_base, support_of(library, scene, 3)) for _ in range(2))
    assert all(torch.equal(one.params[name], other.params[name]) for name in one.params)
    video = video_of(library, scene)
    assert torch.equal(one.score(video).fused, other.score(video).fused)


@pytest.mark.parametrize("method", [Adapted, FineTuned, lambda base: Refit(base, 0)], ids=["adapted", "fine", "refit"])
def test_every_method_learns_a_camera(library, scene, tiny_base, method):
    model = fitted(method(tiny_base), support_of(library, scene, 2))
    assert model.score(video_of(library, scene)).fused.isfinite().all()


def test_shots_of_a_camera_of_another_shape_are_stretched(library, tiny_base, scene):
    grid = (8, 14)
    support = regridded(support_of(library, scene, 2), library.features, library.grid(scene), grid)
    model = fit(Adapted(tiny_base), support, grid)
    assert all(each.grid == grid for each in model.calibrations.values())


def test_fewer_alarms_need_a_higher_threshold(library, scene, tiny_base):
    model = adapt(tiny_base, support_of(library, scene, 3))
    thresholds = [promise_threshold(model, alarms, normal_ticks=1000)[0] for alarms in (1000, 10, 0.1)]
    assert thresholds[0] < thresholds[1] < thresholds[2]


def worth(model, clips, size):
    """The model as if it had been shown so many clips of this effective sample size."""
    return replace(model, support=replace(model.support, clips=clips, sample_size=size))


def test_a_promise_beyond_the_footage_says_so(library, scene, tiny_base):
    model = worth(adapt(tiny_base, support_of(library, scene, 3)), 10, 10.0)
    _, kept = promise_threshold(model, 20_000, normal_ticks=100_000)
    _, hoped = promise_threshold(model, 0.1, normal_ticks=100)
    assert kept.supported
    assert kept.text.endswith("10 clips of this one")
    assert not hoped.supported
    assert "of this camera's would prove it" in hoped.text


@pytest.mark.parametrize(("alarms", "known"), [(20_000, "not yet certain on this one"), (0.1, "estimated")])
def test_few_times_of_a_camera_promise_nothing_of_it(library, scene, tiny_base, alarms, known):
    model = worth(adapt(tiny_base, support_of(library, scene, 3)), 12, 9.0)
    _, promise = promise_threshold(model, alarms, normal_ticks=100_000)
    assert not promise.supported
    assert known in promise.text
    assert "these 12 are worth 9" in promise.text


def test_no_alarms_at_all_cannot_be_promised(library, scene, tiny_base):
    with pytest.raises(UsageError, match="above 0"):
        promise_threshold(adapt(tiny_base, library.nothing(scene)), 0, normal_ticks=100)


def test_weights_go_to_the_expert_that_ranks(library, scene, tiny_base):
    """Where the labels are one expert's own highest ticks, that expert gains against the others."""
    model = adapt(tiny_base, support_of(library, scene, 2))
    video = video_of(library, scene)
    found = model.score(video)
    frame = found.maps["flow_density"][0].flatten(1).amax(1)
    labels = frame > frame[found.known[0]].median()
    support = support_of(library, scene, 2)
    case = Case(support, library.grid(scene), 2, ((video, labels),))
    fitted = fit_weights(tiny_base, [case], steps=40)
    gain = {name: float((fitted.weights[name] - tiny_base.weights[name])[0]) for name in fitted.weights}
    assert gain["flow_density"] > gain["prediction"]


def test_without_shots_no_expert_has_an_offset(library, scene, tiny_base):
    model = adapt(tiny_base, library.nothing(scene))
    assert {each.offset for each in model.calibrations.values()} == {0.0}


def test_the_more_clips_the_more_of_a_camera_s_offset_counts(tiny_base):
    method = Adapted(tiny_base)
    for name, population in tiny_base.population.items():
        for sign in (1.0, -1.0):
            found = []
            for size in (3.9, 4.0, 10.0, 100.0):
                usual = population.frames.after(size).value(-math.log(0.02))
                found.append(sign * _offset(method, name, size, torch.full((4, 5), usual + sign * 3.0)))
            too_few, few, more, many = found
            assert too_few == 0.0
            assert 0.9 < few < more < many < 3.0


def test_unknown_ticks_say_nothing_of_an_offset(tiny_base):
    assert _offset(Adapted(tiny_base), "flow_density", 3.0, torch.full((3, 5), torch.nan)) == 0.0


@pytest.mark.parametrize("names", [["direction"], ["stillness", "presence"], ["direction", "flow_density"]])
def test_some_expert_is_always_active(names):
    experts = build_experts(load_config("default", [f"experts={json.dumps(names)}"]))
    assert initially_active(experts) == {"flow_density" if "flow_density" in names else names[0]}


def test_what_is_not_active_adds_nothing_whatever_its_offset(library, scene, tiny_base):
    model = adapt(tiny_base, support_of(library, scene, 2))
    calibrations = {name: replace(each, offset=-9.0) for name, each in model.calibrations.items()}
    low = replace(model, calibrations=calibrations)
    found = low.score(video_of(library, scene))
    active = {name for name, each in calibrations.items() if each.is_active}
    assert active == {"flow_density"}
    alone = calibrations["flow_density"]
    known = found.known_by["flow_density"][:, :, None, None]
    torch.testing.assert_close(found.fused, known * alone.share * alone.rarity(found.maps["flow_density"]))


def test_what_was_learned_is_calibrated_anew_under_another_population(library, scene, tiny_base):
    """What is costly is done once: other weights and frame scores need no clip again."""
    support = support_of(library, scene, 5)
    learned = uncalibrated(Adapted(tiny_base), support, library.grid(scene))
    other = replace(tiny_base, weights={name: pair + 1 for name, pair in tiny_base.weights.items()})
    assert isinstance(learned, Uncalibrated)
    again, whole = calibrate(Adapted(other), learned), adapt(other, support)
    video = video_of(library, scene)
    assert torch.equal(again.score(video).fused, whole.score(video).fused)
    assert torch.equal(again.support.frames.nan_to_num(-1), whole.support.frames.nan_to_num(-1))


def with_frames(model, means, ticks=4):
    """The model as if its shots, left out in turn, had surprised that much."""
    frames = torch.tensor(means)[:, None].expand(-1, ticks).clone()
    frames[:, 0] = torch.nan  # the first tick of a clip has no past
    support = replace(model.support, clips=len(means), frames=frames)
    return replace(model, support=support)


def test_a_shot_unlike_the_others_is_named(library, scene, tiny_base):
    model = adapt(tiny_base, support_of(library, scene, 3))
    rare = tiny_base.frames.after(5).value(9.0)
    assert outlying_shots(with_frames(model, [0.1 * rare] * 4 + [rare, 0.2 * rare])) == (4,)
    assert outlying_shots(with_frames(model, [0.1 * rare, rare, 0.1 * rare, 2 * rare, 0.1 * rare])) == (1, 3)


def test_ordinary_shots_and_lively_cameras_name_none(library, scene, tiny_base):
    model = adapt(tiny_base, support_of(library, scene, 3))
    rare = tiny_base.frames.after(5).value(9.0)
    assert outlying_shots(with_frames(model, [0.1 * rare, 0.05 * rare, 0.2 * rare])) == ()
    assert outlying_shots(with_frames(model, [rare, 2 * rare, 0.1 * rare])) == (), "of three, two may not be odd"
    assert outlying_shots(with_frames(model, [rare] * 6)) == ()
    assert outlying_shots(with_frames(model, [0.0, 0.0, 0.5 * rare, rare, 1.2 * rare])) == ()
    assert outlying_shots(with_frames(model, [0.0, rare])) == (), "of two nobody knows which"


@pytest.mark.parametrize(("clips", "held"), [(1, [[0]]), (2, [[0], [1]]), (5, [[0, 1], [2, 3, 4]])])
def test_a_fold_is_a_stretch_of_time(tiny_base, clips, held):
    folds = _folds(Adapted(tiny_base), clips)
    assert [list(part) for part, _ in folds] == held
    assert all(sorted([*part, *rest]) == list(range(clips)) for part, rest in folds)


def test_frame_scores_of_an_expert_begin_where_it_is_active(library, scene, tiny_config, tiny_base):
    change = {"population": tiny_config.population.model_copy(update={"shots": (0, 1, 8)})}
    config = tiny_config.model_copy(update=change)
    config = config.model_copy(update={"adaptation": config.adaptation.model_copy(update={"apart": 0.1})})
    spans = {scene: library.spans(scene)}
    base = fit_population(replace(tiny_base, config=config), spans, {scene: library.grid(scene)}, library.sample)
    assert base.population["flow_density"].frames.sample_sizes.tolist() == [0, 1, 8]
    assert base.population["stillness"].frames.sample_sizes.tolist() == [8]
    never = fit_population(replace(tiny_base, config=tiny_config), spans, {scene: library.grid(scene)}, library.sample)
    assert torch.equal(never.population["stillness"].frames.scores, PopulationScores.unit().scores)


def test_clips_close_in_time_are_little_evidence(library, scene, tiny_base):
    clips = draw_shots(library.spans(scene), 6, 16, 0).clips
    spread, close = library.sample(clips), replace(library.sample(clips), origins=torch.zeros(6, 2))
    far, near = adapt(tiny_base, spread), adapt(tiny_base, close)
    assert (far.support.clips, near.support.clips, near.support.sample_size) == (6, 6, 1.0)
    assert far.support.sample_size > near.support.sample_size
    none, near_to, far_to = (
        model.calibrations["flow_density"].location.surprises
        for model in (adapt(tiny_base, spread.select([])), near, far)
    )
    assert (near_to - none).abs().mean() < (far_to - none).abs().mean()
    assert not near.score(video_of(library, scene)).maps["stillness"].any(), "not active after one moment"


def test_a_method_without_memory_of_the_clips_keeps_to_what_works_zero_shot(library, scene, tiny_base):
    clips = draw_shots(library.spans(scene), 6, 16, 0).clips
    control = fitted(FineTuned(tiny_base), replace(library.sample(clips), origins=None))
    assert control.support.sample_size == 6
    found = control.score(video_of(library, scene))
    assert {name for name, each in found.maps.items() if each.any()} == {"flow_density"}
