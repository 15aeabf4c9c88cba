"""Adapting, calibrating and the detector on disk, with a tiny base."""

import json
import math
from dataclasses import replace

import pytest
import torch

from metavad.adaptation.adapt import (
    _folds,
    adapt,
    adapted,
    fine_tune,
    leading,
    learn,
    louder,
    refit,
    surprises,
    together,
    usual_frames,
)
from metavad.adaptation.detector import load_detector, make_detector, save_detector
from metavad.adaptation.oddity import odd_shots
from metavad.adaptation.prior import fit_prior
from metavad.adaptation.threshold import promise_threshold
from metavad.adaptation.weights import Case, fit_weights
from metavad.config import load_config
from metavad.episodes import Shots, draw_shots
from metavad.errors import BundleError, NonFiniteError, OutputError, UsageError
from metavad.experts import build_experts
from metavad.features.library import Library
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite
from metavad.scoring.explain import explain


@pytest.fixture(scope="module")
def library(cameras, tiny_base):
    return Library(load_suite(str(cameras)).scenes, tiny_base.config, tiny_base.experts.reads, Store())


@pytest.fixture(scope="module")
def scene(library):
    return next(iter(library.scenes))


def support_of(library, scene, shots, seed=0):
    return library.sample(draw_shots(library.reels(scene), shots, 16, seed).clips)


def video_of(library, scene):
    track = library.track(scene, "test", library.scenes[scene].test[0].name)
    return library.part(track, 0, len(track))


def test_zero_shot_is_the_base_itself(library, scene, tiny_base):
    model = adapt(tiny_base, library.nothing(scene))
    assert model.shots == 0
    assert all(torch.equal(model.params[name], tensor) for name, tensor in tiny_base.params.items())
    assert surprises(model, video_of(library, scene)).fused.isfinite().all()


@pytest.mark.parametrize("shots", [0, 5])
def test_the_last_ticks_alone_surprise_as_they_do_with_the_rest(library, scene, tiny_base, shots):
    model = adapt(tiny_base, support_of(library, scene, shots) if shots else library.nothing(scene))
    video = video_of(library, scene)
    whole = surprises(model, video)
    for since in (1, 21, 30):
        last = surprises(model, video, since)
        assert torch.equal(last.known, whole.known[:, since:])
        torch.testing.assert_close(last.fused, whole.fused[:, since:], rtol=1e-4, atol=1e-4)
        assert explain(model, video, last, 35).text == explain(model, video, whole, 35).text


def test_until_it_was_checked_only_what_leads_speaks(library, scene, tiny_base, monkeypatch):
    def score(*_):
        raise AssertionError("what is not heard is not computed")

    model = adapt(tiny_base, library.nothing(scene))
    for name, expert in tiny_base.experts.each():
        if name != "flow_density":
            monkeypatch.setattr(type(expert), "score", score)
    found = surprises(model, video_of(library, scene))
    assert {name for name, each in found.maps.items() if each.any()} == {"flow_density"}
    assert all(each.shape == found.fused.shape for each in found.maps.values())


def test_one_shot_of_what_knows_only_the_shots_leaves_nothing_to_judge_it_by(library, scene, tiny_base):
    model = adapt(tiny_base.only(["direction"]), support_of(library, scene, 1))
    assert model.frame_surprise.isnan().all()
    assert surprises(model, video_of(library, scene)).fused.isfinite().all()
    threshold, _ = promise_threshold(model, 100.0, normal_ticks=1000)
    assert math.isfinite(threshold)


def test_inner_steps_that_run_away_are_refused(library, scene, tiny_base):
    for size in (1e30, torch.inf):
        wild = {name: torch.full_like(each, size) for name, each in tiny_base.step_sizes.items()}
        with pytest.raises(NonFiniteError, match=r"after . clips, found NaN or infinity in .*; leave odd clips out"):
            adapt(replace(tiny_base, step_sizes=wild), support_of(library, scene, 2))


def test_no_tables_are_made_of_what_is_not_finite(library, scene, tiny_base):
    reels = {scene: library.reels(scene)}
    wild = {name: torch.full_like(size, torch.inf) for name, size in tiny_base.step_sizes.items()}
    with pytest.raises(NonFiniteError, match=f"scene '{scene}': expected finite numbers after 2 clips"):
        fit_prior(replace(tiny_base, step_sizes=wild), reels, library.sample)
    broken = {name: torch.full_like(tensor, torch.nan) for name, tensor in tiny_base.params.items()}
    with pytest.raises(NonFiniteError, match=f"scene '{scene}': expected finite"):
        fit_prior(replace(tiny_base, params=broken), reels, library.sample)


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_shots_change_the_model_and_not_the_base(library, scene, tiny_base, shots):
    before = {name: tensor.clone() for name, tensor in tiny_base.params.items()}
    model = adapt(tiny_base, support_of(library, scene, shots))
    assert any(not torch.equal(model.params[name], tensor) for name, tensor in tiny_base.params.items())
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_base.params.items())
    found = surprises(model, video_of(library, scene))
    assert found.fused.isfinite().all()
    assert (found.fused >= 0).all()


def test_the_same_shots_give_the_same_detector(library, scene, tiny_base):
    one, other = (adapt(tiny_base, support_of(library, scene, 3)) for _ in range(2))
    assert all(torch.equal(one.params[name], other.params[name]) for name in one.params)
    video = video_of(library, scene)
    assert torch.equal(surprises(one, video).fused, surprises(other, video).fused)


@pytest.mark.parametrize("method", [adapted, fine_tune, lambda base: refit(base, 0)], ids=["adapted", "fine", "refit"])
def test_every_method_learns_a_camera(library, scene, tiny_base, method):
    model = learn(method(tiny_base), support_of(library, scene, 2))
    assert surprises(model, video_of(library, scene)).fused.isfinite().all()


def test_shots_of_a_camera_of_another_shape_are_stretched(library, tiny_base, scene):
    grid = (8, 14)
    model = learn(adapted(tiny_base), support_of(library, scene, 2), grid=grid)
    assert all(place.log_tail.shape[1:] == grid for place in model.places.values())


def test_a_detector_comes_back_from_disk_as_it_was(library, scene, tiny_base, tmp_path):
    detector = make_detector(tiny_base, library, scene, draw_shots(library.reels(scene), 3, 16, 0), alarms_per_day=5)
    save_detector(tmp_path / "detector", detector)
    back = load_detector(tmp_path / "detector")
    assert back.threshold == detector.threshold
    assert back.pictures == detector.pictures
    assert len(back.pictures) == 3
    video = video_of(library, scene)
    assert torch.equal(surprises(back.normality, video).fused, surprises(detector.normality, video).fused)


def test_no_pictures_are_kept_where_none_are_wanted(library, scene, tiny_base, tmp_path):
    shots = draw_shots(library.reels(scene), 1, 16, 0)
    detector = make_detector(tiny_base, library, scene, shots, alarms_per_day=5, pictures=False)
    save_detector(tmp_path / "detector", detector)
    assert not (tmp_path / "detector" / "pictures").exists()


@pytest.mark.parametrize("damage", ["cut", "flip", "json", "gone"])
def test_a_damaged_detector_is_one_clear_error(library, scene, tiny_base, tmp_path, damage):
    detector = make_detector(tiny_base, library, scene, Shots((), 0), alarms_per_day=5)
    folder = tmp_path / "detector"
    save_detector(folder, detector)
    tensors = folder / "detector.safetensors"
    content = tensors.read_bytes()
    if damage == "cut":
        tensors.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        tensors.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "json":
        (folder / "detector.json").write_text("{")
    else:
        tensors.unlink()
    with pytest.raises(BundleError, match="make"):
        load_detector(folder)


def test_a_taken_folder_is_left_alone(library, scene, tiny_base, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    detector = make_detector(tiny_base, library, scene, Shots((), 0), alarms_per_day=5)
    with pytest.raises(OutputError):
        save_detector(tmp_path, detector)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt"]


def test_fewer_alarms_need_a_higher_threshold(library, scene, tiny_base):
    model = adapt(tiny_base, support_of(library, scene, 3))
    thresholds = [promise_threshold(model, alarms, normal_ticks=1000)[0] for alarms in (1000, 10, 0.1)]
    assert thresholds[0] < thresholds[1] < thresholds[2]


def test_a_promise_beyond_the_footage_says_so(library, scene, tiny_base):
    model = replace(adapt(tiny_base, support_of(library, scene, 3)), shots=10, evidence=10.0)
    _, kept = promise_threshold(model, 20_000, normal_ticks=100_000)
    _, hoped = promise_threshold(model, 0.1, normal_ticks=100)
    assert kept.supported
    assert kept.text.endswith("10 clips of this one")
    assert not hoped.supported
    assert "give more normal footage and `--check` it" in hoped.text


@pytest.mark.parametrize(("alarms", "known"), [(20_000, "on average"), (0.1, "extrapolated")])
def test_few_times_of_a_camera_promise_nothing_of_it(library, scene, tiny_base, alarms, known):
    model = replace(adapt(tiny_base, support_of(library, scene, 3)), shots=12, evidence=9.0)
    _, promise = promise_threshold(model, alarms, normal_ticks=100_000)
    assert not promise.supported
    assert known in promise.text
    assert "12 clips, of 9 different times, are too few" in promise.text


def test_no_alarms_at_all_cannot_be_promised(library, scene, tiny_base):
    with pytest.raises(UsageError, match="above 0"):
        promise_threshold(adapt(tiny_base, library.nothing(scene)), 0, normal_ticks=100)


def test_weights_go_to_the_expert_that_ranks(library, scene, tiny_base):
    """Where the labels are one expert's own highest ticks, that expert gains against the others."""
    model = adapt(tiny_base, support_of(library, scene, 2))
    video = video_of(library, scene)
    found = surprises(model, video)
    frame = found.maps["flow_density"][0].flatten(1).amax(1)
    labels = frame > frame[found.known[0]].median()
    case = Case(support_of(library, scene, 2), 2, ((video, labels),))
    fitted = fit_weights(tiny_base, [case], steps=40)
    gain = {name: float((fitted.weights[name] - tiny_base.weights[name])[0]) for name in fitted.weights}
    assert gain["flow_density"] > gain["prediction"]


def test_without_shots_no_expert_is_louder_than_elsewhere(tiny_base):
    assert set(louder(adapted(tiny_base), 0, {}).values()) == {0.0}


def test_the_more_was_shown_the_more_it_counts_how_loud_an_expert_is_here(tiny_base):
    method = adapted(tiny_base)
    for sign in (1.0, -1.0):
        found = []
        for evidence in (1.0, 4.0, 100.0):
            usual = {name: usual_frames(method, name).score(-math.log(0.02), evidence) for name in tiny_base.weights}
            own = {name: torch.full((4, 5), each + sign * 3.0) for name, each in usual.items()}
            found.append(louder(method, evidence, own))
        for name in tiny_base.weights:
            few, more, many = (sign * each[name] for each in found)
            assert 0.9 < few < more < many < 3.0


@pytest.mark.parametrize("names", [["direction"], ["stillness", "presence"], ["direction", "flow_density"]])
def test_somebody_always_speaks_from_the_first(names):
    experts = build_experts(load_config("default", [f"experts={json.dumps(names)}"]))
    assert leading(experts) == {"flow_density" if "flow_density" in names else names[0]}


def test_what_is_silent_adds_nothing_however_quiet_it_is_here(library, scene, tiny_base):
    model = adapt(tiny_base, support_of(library, scene, 2))
    quiet = replace(model, loudness={name: torch.full((2, 5), -9.0) for name in model.loudness})
    assert min(quiet.louder.values()) < -1
    found = surprises(quiet, video_of(library, scene))
    alone = together(quiet, {"flow_density": found.maps["flow_density"]})
    torch.testing.assert_close(found.fused, alone)


def test_unknown_ticks_say_nothing_of_how_loud_an_expert_is(tiny_base):
    method = adapted(tiny_base)
    silent = {name: torch.full((3, 5), torch.nan) for name in tiny_base.weights}
    assert louder(method, 3, silent) == louder(method, 3, {})


def with_frames(model, means, ticks=4):
    """The model as if its shots, left out in turn, had surprised that much."""
    frames = torch.tensor(means)[:, None].expand(-1, ticks).clone()
    frames[:, 0] = torch.nan  # the first tick of a clip has no past
    return replace(model, shots=len(means), frame_surprise=frames)


def test_a_shot_unlike_the_others_is_named(library, scene, tiny_base):
    model = adapt(tiny_base, support_of(library, scene, 3))
    rare = tiny_base.tails["frame"].score(9.0, 5)
    assert odd_shots(with_frames(model, [0.1 * rare] * 4 + [rare, 0.2 * rare])) == (4,)
    assert odd_shots(with_frames(model, [0.1 * rare, rare, 0.1 * rare, 2 * rare, 0.1 * rare])) == (1, 3)


def test_ordinary_shots_and_lively_cameras_name_none(library, scene, tiny_base):
    model = adapt(tiny_base, support_of(library, scene, 3))
    rare = tiny_base.tails["frame"].score(9.0, 5)
    assert odd_shots(with_frames(model, [0.1 * rare, 0.05 * rare, 0.2 * rare])) == ()
    assert odd_shots(with_frames(model, [rare, 2 * rare, 0.1 * rare])) == (), "of three, two may not be odd"
    assert odd_shots(with_frames(model, [rare] * 6)) == ()
    assert odd_shots(with_frames(model, [0.0, 0.0, 0.5 * rare, rare, 1.2 * rare])) == ()
    assert odd_shots(with_frames(model, [0.0, rare])) == (), "of two nobody knows which"


def test_facts_are_plain_json(library, scene, tiny_base, tmp_path):
    detector = make_detector(tiny_base, library, scene, draw_shots(library.reels(scene), 2, 16, 0), alarms_per_day=5)
    save_detector(tmp_path / "detector", detector)
    facts = json.loads((tmp_path / "detector" / "detector.json").read_text())
    assert facts["promise"]["alarms_per_day"] == 5
    assert len(facts["shots"]) == 2


@pytest.mark.parametrize(("clips", "held"), [(1, [[0]]), (2, [[0], [1]]), (5, [[0, 1], [2, 3, 4]])])
def test_a_fold_is_a_stretch_of_time(tiny_config, clips, held):
    folds = _folds(clips, tiny_config)
    assert [list(part) for part, _ in folds] == held
    assert all(sorted([*part, *rest]) == list(range(clips)) for part, rest in folds)


def test_what_is_silent_after_few_shots_has_a_tail_from_where_it_speaks(library, scene, tiny_config, tiny_base):
    config = tiny_config.model_copy(update={"prior": tiny_config.prior.model_copy(update={"shots": (0, 1, 8)})})
    config = config.model_copy(update={"adaptation": config.adaptation.model_copy(update={"apart": 0.1})})
    reels = {scene: library.reels(scene)}
    base = fit_prior(replace(tiny_base, config=config), reels, library.sample)
    assert base.tails["frame:flow_density"].shots.tolist() == [0, 1, 8]
    assert base.tails["frame:stillness"].shots.tolist() == [8]
    never = fit_prior(replace(tiny_base, config=tiny_config), reels, library.sample)
    assert usual_frames(adapted(never), "stillness").score(4.605, 0.0) == pytest.approx(4.605, abs=0.01)


def test_clips_of_one_moment_are_little_evidence(library, scene, tiny_base):
    clips = draw_shots(library.reels(scene), 6, 16, 0).clips
    spread, close = library.sample(clips), replace(library.sample(clips), origins=torch.zeros(6, 2))
    far, near = adapt(tiny_base, spread), adapt(tiny_base, close)
    assert (far.shots, near.shots, near.evidence) == (6, 6, 1.0)
    assert far.evidence > near.evidence
    prior = adapt(tiny_base, spread.select([])).places["flow_density"].log_tail
    distance = [(model.places["flow_density"].log_tail - prior).abs().mean() for model in (near, far)]
    assert distance[0] < distance[1]
    assert not surprises(near, video_of(library, scene)).maps["stillness"].any(), "silent after one moment"


def test_what_keeps_no_memory_of_the_shots_is_never_checked_and_only_leads(library, scene, tiny_base):
    clips = draw_shots(library.reels(scene), 6, 16, 0).clips
    control = learn(fine_tune(tiny_base), replace(library.sample(clips), origins=None))
    assert control.evidence == 6
    found = surprises(control, video_of(library, scene))
    assert {name for name, each in found.maps.items() if each.any()} == {"flow_density"}
