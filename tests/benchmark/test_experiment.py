"""The experiment: what is shown, what is scored, what must not leak, and what a record holds."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from metavad.benchmark import parts as part_files
from metavad.benchmark.experiment import run_benchmark
from metavad.benchmark.protocol import MEASURED, METHODS
from metavad.benchmark.record import BenchmarkRecord, read_record, write_record
from metavad.benchmark.scene_trial import SceneTrial
from metavad.benchmark.settings import Part, checked_settings
from metavad.errors import DataError, LabelError, ShotsError, UsageError
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite
from metavad.scenes.video import probe
from metavad.scoring.baselines import motion, position
from tests.footage import write_video

CONTRACT = [
    "suite",
    "scene",
    "method",
    "shots",
    "draws",
    "micro_auc",
    "micro_auc_std",
    "macro_auc",
    "ap",
    "ap_chance",
    "eer",
    "frames",
    "adapt_seconds",
    "fps",
]
ASKED = {"shots": (0, 1, 2), "draws": 2, "examples": False}


@pytest.fixture(scope="module")
def scenes(cameras):
    return load_suite(str(cameras)).scenes[:2]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def outcome(scenes, tiny_base, parts):
    return run_benchmark(scenes, tiny_base, shots=(0, 1, 2), draws=2, parts=parts, seed=4)


@pytest.fixture
def copied(cameras, tmp_path):
    """The generated cameras where they may be changed."""
    return shutil.copytree(cameras.parent, tmp_path / "site")


def _scores(parts, method="adapted", shots=2, draw=0):
    """What is kept of one part of every scene, by digest of its footage."""
    found = {}
    for path in sorted(parts.glob(f"*/{method}-{shots}-{draw}*.npz")):
        with np.load(path) as file:
            names = json.loads(file["facts"].tobytes())["smoothed"]
            found[path.parent.name] = {name: file[f"smoothed-{n}"] for n, name in enumerate(names)}
    return found


def test_every_row_of_the_contract(outcome):
    rows = outcome.record.rows
    assert list(rows[0].model_dump())[: len(CONTRACT)] == CONTRACT
    for scene in ("camera-000", "camera-001"):
        found = [(row.method, row.shots, row.draws) for row in rows if row.scene == scene]
        once = [(method, 0, 1) for method in ("position", "motion", "zero-shot")]
        shown = [(m, k, 2) for k in (1, 2) for m in ("fine-tune", "refit", "wrong-scene", "adapted")]
        assert sorted(found) == sorted([*once, *shown])
        assert len({row.frames for row in rows if row.scene == scene}) == 1
    assert {row.adapt_seconds is None for row in rows if row.method in ("position", "motion")} == {True}


def test_what_the_record_says_of_itself(outcome, tiny_base):
    record = outcome.record
    assert (record.schema_version, record.kind, record.paper_protocol) == (1, "benchmark", False)
    assert (record.base, record.seed) == (tiny_base.digest, 4)
    assert record.config == tiny_base.config.model_dump(mode="json")
    assert [scene.wrong_scene for scene in record.scenes] == ["site:camera-001", "site:camera-000"]
    assert all(scene.independent_shots == {"1": 1, "2": 2} for scene in record.scenes)


def test_figures_against_scikit_learn(outcome, parts, scenes):
    rows = {(r.scene, r.method, r.shots): r for r in outcome.record.rows}
    digests = {s.scene.split(":")[1]: s.data for s in outcome.record.scenes}
    for scene in scenes:
        labels = [np.load(scene.root / "labels" / f"{video.name}.npy") for video in scene.test]
        micro, precision = [], []
        for draw in (0, 1):
            ticks = _scores(parts, draw=draw)[f"{digests[scene.name]}-{len(scene.normal)}"]
            flat = np.concatenate([ticks[video.name] for video in scene.test])  # 10 frames/s: every frame is a tick
            micro.append(roc_auc_score(np.concatenate(labels), flat))
            precision.append(average_precision_score(np.concatenate(labels), flat))
        row = rows[scene.name, "adapted", 2]
        assert math.isclose(row.micro_auc, np.mean(micro), abs_tol=1e-9)
        assert math.isclose(row.micro_auc_std, np.std(micro, ddof=1), abs_tol=1e-9)
        assert math.isclose(row.ap, np.mean(precision), abs_tol=1e-9)
        assert math.isclose(row.ap_chance, np.concatenate(labels).mean())
        assert row.frames == sum(map(len, labels))


def test_an_example_of_each_camera(outcome, scenes):
    for example, scene in zip(outcome.examples, scenes, strict=True):
        assert example.scene == scene.name
        assert len(example.scores) == len(example.labels) == len(example.seconds)
        assert len(example.shots) == 2
        assert example.top_frame.shape == (*example.shots[0].shape[:2], 3)
        assert example.heat.ndim == 2
        assert example.text


def _unmeasured(row):
    return row.model_dump(exclude=set(MEASURED))


def test_the_same_again_and_in_parallel(outcome, scenes, tiny_base, tmp_path):
    asked = {**ASKED, "methods": ("motion", "adapted")}
    again = run_benchmark(scenes, tiny_base, **asked, seed=4, jobs=2, parts=tmp_path / "parts").record
    before = [row for row in outcome.record.rows if row.method in asked["methods"]]
    assert [_unmeasured(row) for row in again.rows] == [_unmeasured(row) for row in before]


def test_a_stopped_benchmark_goes_on(outcome, scenes, tiny_base, tmp_path, monkeypatch):
    kept, done = part_files._score_part, []

    def counted(trial, part):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(part)
        return kept(trial, part)

    monkeypatch.setattr(part_files, "_score_part", counted)
    asked = {**ASKED, "methods": ("position", "motion", "zero-shot", "adapted")}
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(scenes[:1], tiny_base, **asked, seed=4, parts=tmp_path)
    again: list[Part] = []
    monkeypatch.setattr(part_files, "_score_part", lambda trial, part: again.append(part) or kept(trial, part))
    found = run_benchmark(scenes[:1], tiny_base, **asked, seed=4, parts=tmp_path)
    assert not set(done) & set(again)
    assert len(done) + len(again) == 3 + 2 * 2
    assert found.record.rows[-1].micro_auc == outcome.record.rows[10].micro_auc


def _counting(monkeypatch):
    """The parts that are made, not taken from disk."""
    made: list[Part] = []
    make = part_files._score_part
    monkeypatch.setattr(part_files, "_score_part", lambda trial, part: made.append(part) or make(trial, part))
    return made


def test_label_sets_share_their_scores_and_masks_keep_theirs(copied, tiny_base, tmp_path, monkeypatch):
    """Two sets of labels of one footage, and one with masks: nothing is made twice, in whatever order."""
    asked = {**ASKED, "shots": (1,), "draws": 1, "methods": ("motion", "adapted")}
    scene = load_suite(str(copied)).scenes[0]
    bare = replace(scene, pixel_masks=None, tracks=None)
    turned = replace(bare, suite="turned", labels=bare.labels.model_copy(update={"path": "turned/{video}.npy"}))
    (scene.root / "turned").mkdir()
    for video in scene.test:
        np.save(scene.root / "turned" / f"{video.name}.npy", 1 - np.load(scene.root / "labels" / f"{video.name}.npy"))
    made = _counting(monkeypatch)
    first = [run_benchmark([each], tiny_base, **asked, parts=tmp_path).record for each in (scene, bare, turned)]
    assert len(made) == 2 * 2
    again = [run_benchmark([each], tiny_base, **asked, parts=tmp_path).record for each in (turned, scene, bare)]
    assert len(made) == 2 * 2
    assert [again[n].rows for n in (1, 2, 0)] == [record.rows for record in first]
    assert [row.pixel_auc is None for record in first for row in record.rows] == [False] * 2 + [True] * 4
    for before, after in zip(first[1].rows, first[2].rows, strict=True):
        assert before.micro_auc == pytest.approx(1 - after.micro_auc)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 torn", None])
def test_a_damaged_part_is_made_again(scenes, tiny_base, tmp_path, monkeypatch, damage):
    asked = {**ASKED, "shots": (1,), "draws": 1, "methods": ("motion", "adapted"), "parts": tmp_path}
    before = run_benchmark(scenes[:1], tiny_base, **asked).record.rows
    (path,) = tmp_path.glob("*/adapted-1-0*.npz")
    path.write_bytes(path.read_bytes()[:-200] if damage is None else damage)
    made = _counting(monkeypatch)
    after = run_benchmark(scenes[:1], tiny_base, **asked).record.rows
    assert [part.method for part in made] == ["adapted"]
    assert after[1].micro_auc == before[1].micro_auc


def test_random_weights_are_the_same_whatever_order_a_file_gives_them_in(tiny_run, monkeypatch):
    """Files of weights are read in an order that changes from one process to the next."""
    from metavad import bundle
    from metavad.normality import base as bases
    from metavad.normality.methods import Refit

    read, found = bundle.load, []
    for order in (list, reversed):
        monkeypatch.setattr(bundle, "load", lambda content, order=order: dict(order(list(read(content).items()))))
        found.append(Refit(bases.load_base(tiny_run / "base"), seed=3).start.params)
    assert any(tensor.any() for tensor in found[0].values())
    for name, tensor in found[0].items():
        np.testing.assert_array_equal(tensor.detach().numpy(), found[1][name].detach().numpy())


def test_the_published_shot_of_five_frames(scenes, tiny_base):
    asked = {**ASKED, "shots": (1, 3), "draws": 1, "methods": ("zero-shot", "fine-tune", "refit", "adapted")}
    record = run_benchmark(scenes[:1], tiny_base, **asked, shot_frames=5, paper=True).record
    assert record.shot_frames == 5
    assert record.scenes[0].independent_shots == {"1": 1, "3": 3}
    assert all(row.micro_auc is not None for row in record.rows)
    trial = SceneTrial(scenes[0], scenes, tiny_base, checked_settings((3,), 1, ("adapted",), 5, 0), Store(), None)
    assert [clip.length for clip in trial.shots(3, 0).clips] == [5, 5, 5]


def test_scores_depend_on_no_label_and_no_other_video(copied, tiny_base, tmp_path):
    """Labels are turned round and one test video is removed: what the others score stays."""
    asked = {**ASKED, "shots": (2,), "draws": 1, "methods": ("adapted", "motion")}
    scene = load_suite(str(copied)).scenes[0]
    run_benchmark([scene], tiny_base, **asked, parts=tmp_path / "before")
    labels = copied / "camera-000" / "labels"
    (copied / "camera-000" / "test" / "test-00.mp4").unlink()
    np.save(labels / "test-01.npy", 1 - np.load(labels / "test-01.npy"))
    scene = load_suite(str(copied)).scenes[0]
    run_benchmark([scene], tiny_base, **asked, parts=tmp_path / "after")
    for method, shots in (("adapted", 2), ("motion", 0)):
        (before,) = _scores(tmp_path / "before", method, shots).values()
        (after,) = _scores(tmp_path / "after", method, shots).values()
        assert list(after) == ["test-01"]
        np.testing.assert_array_equal(before["test-01"], after["test-01"])


def test_scores_do_not_depend_on_the_order_of_test_videos(scenes, tiny_base):
    """Nor on what is benchmarked beside a scene: shots, scores and figures are the same."""
    asked = {**ASKED, "shots": (2,), "draws": 1, "methods": ("motion", "adapted"), "seed": 4}
    turned = replace(scenes[0], test=scenes[0].test[::-1])
    one, other = (run_benchmark([scene], tiny_base, **asked) for scene in (scenes[0], turned))
    assert one.scores.keys() == other.scores.keys()
    for name, scores in one.scores.items():
        np.testing.assert_array_equal(scores, other.scores[name])
    for before, after in zip(one.record.rows, other.record.rows, strict=True):
        assert before.micro_auc == pytest.approx(after.micro_auc, abs=1e-12)
        assert before.rbdc == pytest.approx(after.rbdc, abs=1e-12)


def test_where_and_when_is_in_every_row_that_has_it(outcome):
    placed = ("pixel_auc", "rbdc", "tbdc")
    promised = ("false_alarms_per_hour", "missed_events", "latency_seconds")
    for row in outcome.record.rows:
        assert all((getattr(row, name) is None) == (row.method == "position") for name in placed)
        assert all((getattr(row, name) is None) == (row.method in ("position", "motion")) for name in promised[:2])
        assert row.causal_auc is not None
        assert (row.latency_seconds is None) == (row.method == "position")
        # Half a second ahead, the next tick, and computing; between two ticks of 0.1 s less of it.
        assert row.latency_seconds is None or row.latency_seconds > 0.5


def test_turned_labels_mirror_the_figures(copied, scenes, outcome, tiny_base):
    for path in (copied / "camera-000" / "labels").glob("*.npy"):
        np.save(path, 1 - np.load(path))
    scene = load_suite(str(copied)).scenes[0]
    rows = run_benchmark([scene], tiny_base, shots=(0,), draws=1, examples=False).record.rows
    for row, before in zip(rows, outcome.record.rows, strict=False):
        assert row.method == before.method
        assert math.isclose(row.micro_auc, 1 - before.micro_auc, abs_tol=1e-9)


def test_a_score_depends_on_no_later_frame(copied, tiny_base, tmp_path):
    """Half a test video gives the same scores, but for the half second that smoothing looks ahead."""
    video = copied / "camera-000" / "test" / "test-00.mp4"
    asked = {**ASKED, "shots": (2,), "draws": 1, "methods": ("adapted", "motion")}
    lossless = _as_frames(video, copied / "camera-000" / "frames" / "one")
    for folder, frames in (("whole", lossless), ("half", lossless[:25])):
        place = copied / "camera-000" / "seen" / "one"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for path in frames:
            shutil.copy(path, place)
        np.save(copied / "camera-000" / "labels" / "one.npy", np.arange(len(frames)) % 2)
        _suite_of_frames(copied)
        scene = load_suite(str(copied / "frames.toml")).scenes[0]
        run_benchmark([scene], tiny_base, **asked, parts=tmp_path / folder)
    for method, shots in (("adapted", 2), ("motion", 0)):
        whole, half = (next(iter(_scores(tmp_path / f, method, shots).values()))["one"] for f in ("whole", "half"))
        assert len(half) == 25 < len(whole)
        np.testing.assert_allclose(half[:20], whole[:20], rtol=1e-5, atol=1e-5)
        assert not np.allclose(half[20:], whole[20:25])


def _as_frames(video, folder):
    import cv2

    from metavad.scenes.scene import Video
    from metavad.scenes.video import read_frames

    folder.mkdir(parents=True)
    for frame in read_frames(Video("v", video), short_side=None):
        cv2.imwrite(str(folder / f"{frame.index:03d}.png"), frame.image)
    return sorted(folder.glob("*.png"))


def _suite_of_frames(site):
    (site / "frames.toml").write_text(
        '[[scenes]]\nname = "camera-000"\nroot = "camera-000"\nnormal = ["normal/*.mp4"]\ntest = ["seen/*"]\n'
        'fps = 10\nlabels = { format = "npy", path = "labels/{video}.npy" }\n'
    )


@pytest.mark.filterwarnings("ignore:.*shots may be drawn from what the labels")
def test_frames_that_may_be_shown_are_never_scored(copied, tiny_base):
    """Support from the first frames of the test videos themselves, as in UMN."""
    (copied / "same.toml").write_text(
        '[[scenes]]\nname = "c"\nroot = "camera-000"\nnormal = ["test/*.mp4"]\ntest = ["test/*.mp4"]\n'
        'normal_frames = [0, 20]\nlabels = { format = "npy", path = "labels/{video}.npy" }\n'
    )
    scene = load_suite(str(copied / "same.toml")).scenes[0]
    frames = sum(len(np.load(path)) - 20 for path in (copied / "camera-000" / "labels").glob("*.npy"))
    settings = checked_settings((0, 2), 3, tuple(METHODS), 16, 0)
    trial = SceneTrial(scene, [scene], tiny_base, settings, Store(), None)
    for draw in range(3):
        assert all(clip.end <= 20 for clip in trial.shots(2, draw).clips)
    outcome = run_benchmark([scene], tiny_base, shots=(0, 2), draws=1, methods=("motion", "adapted"))
    assert {row.frames for row in outcome.record.rows} == {frames}
    assert outcome.record.scenes[0].wrong_scene is None


@pytest.mark.filterwarnings("ignore:.*shots may be drawn from what the labels")
def test_a_video_all_of_which_may_be_shown_is_in_no_figure(copied, tiny_base):
    """Shorter than the part that shots come from: left out, and refused where nothing is left."""
    root = copied / "camera-000"
    text = (
        '[[scenes]]\nname = "c"\nroot = "camera-000"\nnormal = ["test/*.mp4"]\ntest = ["test/*.mp4"]\n'
        'normal_frames = [0, 20]\nlabels = { format = "npy", path = "labels/{video}.npy" }\n'
        'tracks = { format = "tracks", path = "some/{video}.txt", normal_if_missing = "*" }\n'
    )
    (copied / "same.toml").write_text(text)
    asked = {"shots": (0,), "draws": 1, "methods": ("motion", "zero-shot"), "paper": True}
    whole = load_suite(str(copied / "same.toml")).scenes[0]
    facts = probe(whole.test[0])
    (root / "some").mkdir()
    (root / "some" / f"{whole.test[0].name}.txt").write_text("0,30,4,4,20,20\n")
    before = run_benchmark([whole], tiny_base, **asked, examples=False).record.rows
    write_video(root / "test" / "zz.mp4", range(12), size=(facts.height, facts.width))
    np.save(root / "labels" / "zz.npy", np.zeros(12))
    more = load_suite(str(copied / "same.toml")).scenes[0]
    assert len(more.test) == len(whole.test) + 1
    outcome = run_benchmark([more], tiny_base, **asked)
    assert outcome.examples[0].video != "zz"
    for one, other in zip(before, outcome.record.rows, strict=True):
        assert one.rbdc is not None
        assert _unmeasured(one) == _unmeasured(other)
    (copied / "same.toml").write_text(text.replace("[0, 20]", "[0, 9999]"))
    with pytest.raises(DataError, match="expected frames to score"):
        run_benchmark(load_suite(str(copied / "same.toml")).scenes, tiny_base, **asked)


def test_videos_of_two_shapes_are_not_one_camera(copied, tiny_base):
    write_video(copied / "camera-000" / "test" / "zz.mp4", range(30), size=(64, 64))
    np.save(copied / "camera-000" / "labels" / "zz.npy", np.zeros(30))
    for folder in ("pixel_masks", "abnormal_tracks"):
        shutil.rmtree(copied / "camera-000" / folder)
    scene = replace(load_suite(str(copied)).scenes[0], pixel_masks=None, tracks=None)
    with pytest.raises(DataError, match=r"expected test videos of one shape, found .* in .* and 64x64 in zz"):
        run_benchmark([scene], tiny_base, **ASKED)


def test_normal_videos_of_two_sizes_are_refused_before_anything_is_computed(copied, tiny_base):
    write_video(copied / "camera-000" / "normal" / "zz.mp4", range(40), size=(64, 64))
    with pytest.raises(DataError, match=r"expected normal videos of one size, found .* in .* and 64x64 in zz"):
        run_benchmark(load_suite(str(copied)).scenes[:1], tiny_base, **ASKED)


def test_a_camera_without_normal_videos_has_an_example_too(copied, tiny_base):
    scene = replace(load_suite(str(copied)).scenes[0], normal=())
    found = run_benchmark([scene], tiny_base, shots=(0,), draws=1, methods=("motion", "zero-shot"))
    assert [example.shots for example in found.examples] == [()]


def test_shots_come_from_the_normal_side_in_seeded_draws(scenes, tiny_base):
    settings = checked_settings((1, 5), 5, tuple(METHODS), 8, 0)
    trial = SceneTrial(scenes[0], scenes, tiny_base, settings, Store(), None)
    drawn = [trial.shots(5, draw).clips for draw in range(5)]
    assert {clip.side for clips in drawn for clip in clips} == {"normal"}
    assert len(set(drawn)) == 5
    assert drawn[3] == trial.shots(5, 3).clips


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"shots": (999,)}, ShotsError, "999 distinct clips"),
        ({"methods": ("adaptd",)}, UsageError, "did you mean 'adapted'"),
        ({"shots": ()}, UsageError, "shots >= 0"),
        ({"draws": 0}, UsageError, "draws >= 1"),
        ({"draws": 10**9}, UsageError, "draws >= 1 and <= 1000"),
        ({"shots": (0, 10**9)}, UsageError, "shots >= 0 and <= 10000"),
        ({"shot_frames": 1}, UsageError, "shot-frames >= 2"),
        ({"shot_frames": 999_999}, UsageError, "shot-frames >= 2 and <= 1000"),
    ],
)
def test_refused_before_anything_is_computed(scenes, tiny_base, monkeypatch, change, error, message):
    monkeypatch.setattr(part_files, "_score_part", lambda *_: pytest.fail("computed"))
    with pytest.raises(error, match=message):
        run_benchmark(scenes, tiny_base, **{**ASKED, **change})


def test_labels_must_fit(copied, tiny_base):
    labels = copied / "camera-000" / "labels" / "test-00.npy"
    for wrong, message in ((np.zeros(3), "3"), (np.full(len(np.load(labels)), 7), "7")):
        kept = np.load(labels)
        np.save(labels, wrong)
        with pytest.raises(LabelError, match=message):
            run_benchmark(load_suite(str(copied)).scenes[:1], tiny_base, **ASKED)
        np.save(labels, kept)


def test_scenes_without_labels_are_refused(copied, tiny_base):
    (copied / "bare.toml").write_text(
        '[[scenes]]\nname = "c"\nroot = "camera-000"\nnormal = ["normal/*.mp4"]\ntest = ["test/*.mp4"]\n'
    )
    with pytest.raises(DataError, match="labels"):
        run_benchmark(load_suite(str(copied / "bare.toml")).scenes, tiny_base, **ASKED)


def test_position_knows_the_middle_only():
    seconds = np.arange(11) / 10
    scores = position(seconds)
    assert scores.argmax() == 5
    np.testing.assert_allclose(scores, scores[::-1])
    assert position(np.array([3.0])).tolist() == [1.0]


def test_motion_is_the_fastest_place():
    rows = np.zeros((4, 3, 5, 6), np.uint8)
    rows[2, 2, 1, 1] = 9
    rows[1, 0] = 255  # a direction, not a speed
    known = np.array([False, True, True, True])
    np.testing.assert_array_equal(motion(rows, known), [np.nan, 0, 9, 0])


def test_every_row_stands_against_its_rivals(outcome):
    found = [each for each in outcome.record.differences if each.scene != "mean"]
    mine = [(e.method, e.shots, e.minus) for e in found if e.scene == "camera-000"]
    against_none = [(method, 0, "zero-shot") for method in ("position", "motion")]
    shown = ("fine-tune", "refit", "wrong-scene", "adapted")
    later = [(m, k, rival) for k in (1, 2) for m in shown for rival in ("zero-shot", "fine-tune") if m != rival]
    assert sorted(mine) == sorted([*against_none, *later])
    rows = {(r.scene, r.method, r.shots): r.micro_auc for r in outcome.record.rows}
    for each in found:
        other = rows[each.scene, each.minus, 0 if each.minus == "zero-shot" else each.shots]
        ours = rows[each.scene, each.method, each.shots]
        assert math.isclose(each.value, ours - other, abs_tol=1e-9)
        assert each.low <= each.high
        assert not each.certain  # two videos are too few, whatever they say


def test_the_mean_stands_against_its_rivals_over_cameras(outcome):
    """One for each that is defined on all cameras, of their mean; two cameras are too few to be certain."""
    record = outcome.record
    apart = [each for each in record.differences if each.scene != "mean"]
    means = [each for each in record.differences if each.scene == "mean"]
    assert len(means) == len(apart) / 2
    for each in means:
        key = [getattr(each, name) for name in ("method", "shots", "minus")]
        values = [one.value for one in apart if [getattr(one, name) for name in ("method", "shots", "minus")] == key]
        assert each.value == pytest.approx(np.mean(values))
        assert (each.low, each.high) == (pytest.approx(min(values)), pytest.approx(max(values)))
        assert (each.scenes, each.certain) == (2, False)


def test_figures_that_look_at_the_test_set_say_so(scenes, tiny_base):
    plain, paper = (
        run_benchmark(scenes[:1], tiny_base, shots=(0,), examples=False, paper=flag).record.rows
        for flag in (False, True)
    )
    extra = {"looks_at_test_set_micro_auc", "looks_at_test_set_macro_auc"}
    for before, after in zip(plain, paper, strict=True):
        assert after.model_fields_set - before.model_fields_set == extra
        assert before.model_dump(exclude={*MEASURED, *extra}) == after.model_dump(exclude={*MEASURED, *extra})


def test_a_record_is_read_as_it_was_written(outcome, tmp_path):
    write_record(tmp_path / "a.json", outcome.record)
    assert read_record(tmp_path / "a.json", BenchmarkRecord) == outcome.record
    assert "looks_at_test_set" not in (tmp_path / "a.json").read_text()
