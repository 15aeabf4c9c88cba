"""The detector on disk: it comes back as it was, or is refused in a line."""

import json

import pytest
import torch

from metavad.bundle import Bundle, load_bundle, save_bundle
from metavad.episodes import Shots, draw_shots
from metavad.errors import BundleError, NonFiniteError, OutputError
from metavad.features.footage import gather
from metavad.features.library import Library
from metavad.normality.detector import KIND, load_detector, make_detector, save_detector
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite


@pytest.fixture(scope="module")
def library(cameras, tiny_base):
    return Library(load_suite(str(cameras)).scenes, tiny_base.config.data, tiny_base.features, Store())


@pytest.fixture(scope="module")
def scene(library):
    return next(iter(library.scenes))


def video_of(library, scene):
    features = library.video_features(scene, "test", library.scenes[scene].test[0].name)
    return library.part(features, 0, len(features))


def made(base, library, scene, shots, *, alarms_per_day=5, pictures=True):
    footage = gather(library, scene, shots, thumbnails=pictures)
    model = fit(Adapted(base), footage.support, footage.grid)
    return make_detector(base, model, footage, alarms_per_day=alarms_per_day)


def test_a_detector_comes_back_from_disk_as_it_was(library, scene, tiny_base, tmp_path):
    detector = made(tiny_base, library, scene, draw_shots(library.spans(scene), 3, 16, 0), alarms_per_day=5)
    save_detector(tmp_path / "detector", detector)
    back = load_detector(tmp_path / "detector")
    assert back.threshold == detector.threshold
    assert back.pictures == detector.pictures
    assert len(back.pictures) == 3
    video = video_of(library, scene)
    assert torch.equal(back.model.score(video).fused, detector.model.score(video).fused)


def test_no_pictures_are_kept_where_none_are_wanted(library, scene, tiny_base, tmp_path):
    shots = draw_shots(library.spans(scene), 1, 16, 0)
    detector = made(tiny_base, library, scene, shots, alarms_per_day=5, pictures=False)
    save_detector(tmp_path / "detector", detector)
    assert not (tmp_path / "detector" / "pictures").exists()


@pytest.mark.parametrize("damage", ["cut", "flip", "json", "gone"])
def test_a_damaged_detector_is_one_clear_error(library, scene, tiny_base, tmp_path, damage):
    detector = made(tiny_base, library, scene, Shots((), 0), alarms_per_day=5)
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
    detector = made(tiny_base, library, scene, Shots((), 0), alarms_per_day=5)
    with pytest.raises(OutputError):
        save_detector(tmp_path, detector)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt"]


def test_facts_are_plain_json(library, scene, tiny_base, tmp_path):
    detector = made(tiny_base, library, scene, draw_shots(library.spans(scene), 2, 16, 0), alarms_per_day=5)
    save_detector(tmp_path / "detector", detector)
    facts = json.loads((tmp_path / "detector" / "detector.json").read_text())
    assert facts["promise"]["alarms_per_day"] == 5
    assert len(facts["shots"]) == 2


@pytest.fixture(scope="module")
def kept(library, scene, tiny_base, tmp_path_factory):
    """The bundle of a detector of three shots."""
    folder = tmp_path_factory.mktemp("kept") / "detector"
    detector = made(tiny_base, library, scene, draw_shots(library.spans(scene), 3, 16, 0), alarms_per_day=5)
    save_detector(folder, detector)
    return load_bundle(folder, KIND)


def test_its_digest_is_that_of_its_folder(library, scene, tiny_base, tmp_path):
    shots = draw_shots(library.spans(scene), 2, 16, 0)
    found = [made(tiny_base, library, scene, shots, alarms_per_day=alarms) for alarms in (5, 6)]
    save_detector(tmp_path / "detector", found[0])
    assert json.loads((tmp_path / "detector" / "detector.json").read_text())["digest"] == found[0].digest
    assert load_detector(tmp_path / "detector").digest == found[0].digest != found[1].digest


def test_what_is_not_known_of_the_shots_is_kept_as_such(library, scene, tiny_base, tmp_path):
    detector = made(tiny_base, library, scene, draw_shots(library.spans(scene), 1, 16, 0), alarms_per_day=5)
    assert detector.model.support.frames.isnan().any()
    save_detector(tmp_path / "detector", detector)
    back = load_detector(tmp_path / "detector").model.support.frames
    assert torch.equal(back.nan_to_num(7.0), detector.model.support.frames.nan_to_num(7.0))


@pytest.mark.parametrize(
    "group", ["params", "buffers", "memory", "population", "locations", "weights", "frames", "support"]
)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_numbers_that_are_none_are_refused(kept, tmp_path, group, value, monkeypatch):
    name = next(n for n, each in kept.tensors.items() if n.startswith(f"{group}/") and each.is_floating_point())
    if group in KIND.gaps and value is torch.nan:
        return
    broken = kept.tensors[name].clone()
    broken.view(-1)[-1] = value
    bundle = Bundle({**kept.tensors, name: broken}, kept.facts, kept.files)
    with pytest.raises(NonFiniteError, match=name):
        save_bundle(tmp_path / "detector", KIND, bundle)
    with monkeypatch.context() as patched:
        patched.setattr("metavad.bundle._stop_unless_finite", lambda *_: None)
        save_bundle(tmp_path / "detector", KIND, bundle)
    with pytest.raises(BundleError, match=f"NaN or infinity in {name}.*metavad adapt"):
        load_detector(tmp_path / "detector")


FACTS = {
    "threshold": ["high", None],
    "promise": [None, {"alarms_per_day": 0, "supported": True, "text": ""}, {"alarms_per_day": 5, "supported": True}],
    "camera": [
        {"height": 0, "width": 9, "fps": 9.0, "crop": {}},
        {"height": 10**9, "width": 9, "fps": 9.0, "crop": {}},
    ],
    "shots": [[{"scene": "a", "video": "b", "first": -1, "length": 16}] * 3, 3, []],
    "began": [[0.0], [0.0, 1.0, -1.0], None],
    "independent": [-1, 4, 1.5],
    "sample_size": [-0.5, 3.5],
    "held_out_size": [-0.5, 3.5],
    "calibrations": [None, {}, {"direction": {"offset": 0.0, "is_active": True}}],
    "scene": [None],
    "base": [7],
    "more": [1],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in FACTS.items() for value in values])
def test_facts_are_those_of_a_detector(kept, tmp_path, name, value):
    save_bundle(tmp_path / "detector", KIND, Bundle(kept.tensors, {**kept.facts, name: value}, kept.files))
    with pytest.raises(BundleError, match=r"expected a detector as it was written, found a .* one .*metavad adapt"):
        load_detector(tmp_path / "detector")


TENSORS = {
    "params/direction.leak": [None, torch.zeros(2), torch.zeros((), dtype=torch.float64)],
    "params/more.leak": [torch.zeros(())],
    "memory/direction.ways": [None, torch.zeros(8, 3, 3), torch.zeros(8)],
    "memory/direction.more": [torch.zeros(1)],
    "memory/flow_density.fastest": [torch.zeros(3, 8, 9)],
    "locations/direction": [None, torch.zeros(48, 8, 9), torch.zeros(47, 8, 8)],
    "population/direction.scores": [None, torch.zeros(47)],
    "frames/values": [None, torch.zeros(2, 47), torch.zeros(9, 48)],
    "frames/sample_sizes": [None, torch.zeros(2)],
    "weights/direction": [None, torch.zeros(2)],
    "support/frames": [None, torch.zeros(4, 4), torch.zeros(3)],
    "support/other": [torch.zeros(1)],
    "buffers/flow_density.speed.base.loc": [None],
    "others/a": [torch.zeros(1)],
}


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, every in TENSORS.items() for number in range(len(every))]
)
def test_tensors_are_those_of_settings_camera_and_shots(kept, tmp_path, name, number):
    tensors = {key: tensor for key, tensor in kept.tensors.items() if key != name}
    if TENSORS[name][number] is not None:
        tensors[name] = TENSORS[name][number]
    save_bundle(tmp_path / "detector", KIND, Bundle(tensors, kept.facts, kept.files))
    with pytest.raises(BundleError, match="expected a detector as it was written, found a damaged one"):
        load_detector(tmp_path / "detector")


def test_pictures_are_of_all_shots_or_of_none(kept, tmp_path):
    one = dict(list(kept.files.items())[:1])
    save_bundle(tmp_path / "detector", KIND, Bundle(kept.tensors, kept.facts, one))
    with pytest.raises(BundleError, match="1 pictures of 3 shots"):
        load_detector(tmp_path / "detector")


def test_more_than_a_thousand_pictures_keep_their_order(kept, tmp_path):
    numbers = [0, 999, 1000, 2]
    files = {f"pictures/{number:03d}.jpg": str(number).encode() for number in numbers}
    facts = {**kept.facts, **{name: kept.facts[name][:1] * len(numbers) for name in ("shots", "began")}}
    ticks = {n: t[:1].expand(4, -1) for n, t in kept.tensors.items() if n.startswith("support/")}
    save_bundle(tmp_path / "detector", KIND, Bundle({**kept.tensors, **ticks}, facts, files))
    assert load_detector(tmp_path / "detector").pictures == (b"0", b"2", b"999", b"1000")


def test_a_detector_of_the_old_format_is_one_line(kept, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "detector.json").write_text(json.dumps({"format": 1, "sha256": "0" * 64, **kept.facts}))
    with pytest.raises(BundleError, match=r"of format 8, found one of format 1 .*; make it again with `metavad adapt`"):
        load_detector(tmp_path / "old")
