"""Both patches of a reason as pictures: cut where they are, and kept with what was shown."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

import metavad
from metavad.config import PatchesConfig
from metavad.errors import BundleError
from metavad.experts.base import NearestPatch
from metavad.experts.patches import Patches
from metavad.features import library as library_module
from metavad.features.library import Library, features_of
from metavad.live.pictures import CameraView
from metavad.live.sources import FileSource
from metavad.live.watch import Watch
from metavad.normality.base import ExpertPopulation
from metavad.normality.detector import load_detector, save_detector
from metavad.normality.distribution import PopulationScores
from metavad.scenes.cache import Store
from metavad.scenes.scene import Crop, Scene
from metavad.scenes.suite import load_suite
from metavad.scenes.video import read_frames
from metavad.scoring import patch_pictures as module
from metavad.scoring.explain import Explanation, explain
from metavad.scoring.patch_pictures import patch_pictures
from metavad.scoring.results import EventsRecord, result_of, write_result
from tests.live.given import Kept
from tests.planted import planted_camera


@pytest.fixture(scope="module")
def videos(cameras, tmp_path_factory):
    scene = load_suite(str(cameras)).scenes[0]
    return planted_camera(
        tmp_path_factory.mktemp("planted"), scene, {"normal": (12, []), "monday": (4, [("disc", 1.0)])}
    )


@pytest.fixture(scope="module")
def camera(videos):
    return Scene("", "lobby", videos["normal"].path.parent, normal=(videos["normal"],))


@pytest.fixture(scope="module")
def base(tiny_base):
    """Of the expert alone, as it begins, and a population of which nothing is known."""
    torch.manual_seed(0)
    config = tiny_base.config.model_copy(update={"experts": ("patches",), "patches": PatchesConfig(short_side=48)})
    params = {f"patches.{name}": each.detach() for name, each in Patches.build(config).named_parameters()}
    sizes = {name: torch.tensor(1e-4) for name in params}
    return replace(
        tiny_base,
        config=config,
        params=params,
        step_sizes=sizes,
        buffers={},
        population={"patches": ExpertPopulation(PopulationScores.unit())},
        weights={"patches": tiny_base.weights["flow_density"]},
        control=replace(
            tiny_base.control,
            params={name: each.clone() for name, each in params.items()},
            step_sizes={name: each.clone() for name, each in sizes.items()},
            population={"patches": ExpertPopulation(PopulationScores.unit())},
        ),
    )


@pytest.fixture(scope="module")
def detector(base, camera, tmp_path_factory):
    """From disk."""
    folder = tmp_path_factory.mktemp("detectors") / "lobby"
    save_detector(folder, metavad.adapt(base, camera, shots=3).with_threshold(-0.1))
    return load_detector(folder)


@pytest.fixture(scope="module")
def scored(detector, videos, tmp_path_factory):
    """The folder of scores of a video in which a bright disc falls, and its record."""
    folder = tmp_path_factory.mktemp("scores")
    write_result(folder, detector, videos["monday"], result_of(detector, videos["monday"]))
    return folder, EventsRecord.model_validate_json((folder / "events.json").read_bytes())


def library_of(detector, camera):
    features = features_of(detector.config, detector.model.experts.reads)
    return Library([camera], detector.config.data, features, Store(), whole=False)


def test_an_event_has_both_patches_and_names_where_they_are(scored, detector):
    folder, record = scored
    patches = next(event.patches for event in record.events if event.start < 1.6 < event.end)
    shot, clip = detector.shots[patches.nearest.number - 1], patches.nearest
    began = detector.began[clip.number - 1]
    assert clip.video == shot.video == "normal"
    assert began <= clip.second <= began + shot.length / 10
    assert abs(patches.box.x - clip.box.x) <= patches.box.width + 1, "at the place or beside it"
    sheet = cv2.imread(str(folder / patches.picture))
    here, there = sheet[: module.SIDE, : module.SIDE], sheet[: module.SIDE, module.SIDE + module.GAP :]
    bright = [float(((each > 230) & (each < 254)).all(-1).mean()) for each in (here, there)]
    assert bright[0] > 0.01 > bright[1], "the disc is on the left"
    picture = cv2.imread(str(folder / record.events[0].picture))
    assert picture.shape[0] > 240 + module.SIDE // 2, "they stand below the others"
    assert json.loads((folder / "events.json").read_text())["events"][0]["patches"]["picture"].endswith("-patches.png")


def test_what_was_shown_is_nearest_to_itself_tick_by_tick(detector, camera, videos):
    """A frame of a shot is explained by that very frame: its pictures are the same two but for what JPEG takes."""
    library = library_of(detector, camera)
    support = library.sample(detector.shots)
    tick = 2 * (support.seconds.shape[1] // 4)
    sample = support.select([1]).until(tick)
    found = detector.model.score(sample)
    raised = replace(found, fused=found.fused + 5.0)  # whether it surprises or not
    maps = {name: each + 5.0 for name, each in found.maps.items()}
    why = explain(detector.model, sample, replace(raised, maps=maps), tick)
    assert why is not None
    clip = detector.shots[1]
    frames = library.pictures(clip)[0]
    colour = cv2.cvtColor(frames[tick], cv2.COLOR_GRAY2BGR)
    pictures = patch_pictures(detector, why, colour, "now")
    assert (pictures.nearest.shot, pictures.nearest.tick) == (1, tick)
    assert pictures.nearest.here == pictures.nearest.there
    apart = np.abs(pictures.here.astype(int) - pictures.there).max(-1)
    assert np.median(apart) < 8


def test_an_enlarged_pixel_is_a_square_and_the_frame_is_around_the_patch():
    picture = np.random.default_rng(0).integers(60, 200, (48, 96)).astype(np.uint8)
    cut = module._cut(picture, (0.5, 1 / 3, 2 / 3, 2 / 3), module.HERE)
    assert cut.shape[:2] == (144, 144)
    grey = picture[:48, 32:80]
    assert (cut[1:20:3, 1::3][..., 0] == grey[:7]).all()
    assert (cut[:3, :3] == grey[0, 0]).all(), "no pixel is mixed with another"
    blue, _, red = cut.astype(int).transpose(2, 0, 1)
    rows, columns = np.nonzero(red - blue > 100)
    assert (rows.min(), columns.min(), rows.max(), columns.max()) == pytest.approx((48, 48, 95, 95), abs=2)


def test_without_pictures_there_are_none(base, camera, detector, videos, tmp_path):
    bare = metavad.adapt(base, camera, shots=3, pictures=False).with_threshold(-0.1)
    write_result(tmp_path, bare, videos["monday"], result_of(bare, videos["monday"]))
    record = EventsRecord.model_validate_json((tmp_path / "events.json").read_bytes())
    assert record.events
    assert all(event.patches is None for event in record.events)
    assert list(tmp_path.glob("events/*.png")) == []


def test_looks_are_bounded_whatever_the_number_of_clips(detector, camera, monkeypatch):
    library = library_of(detector, camera)
    assert all(len(clip.looks) > 3 for clip in detector.stored)
    assert all(0 in clip.looks for clip in detector.stored)
    monkeypatch.setattr(library_module, "LOOKS", 2)
    few = library.stored(detector.shots)
    assert [len(clip.looks) for clip in few] == [1, 1, 1]
    (tick,) = few[0].looks
    assert 0 < tick < len(few[0].seconds) - 1, "from the middle"
    less = replace(detector, stored=few)
    nearest = NearestPatch((0.0, 0.0, 0.5, 0.5), 0, 0, (0.0, 0.0, 0.5, 0.5))
    why = Explanation("", {}, (0.2, 0.2), nearest=nearest)
    picture = np.zeros((detector.camera.height, detector.camera.width, 3), np.uint8)
    found = patch_pictures(less, why, picture, "now")
    assert found.second == pytest.approx(less.began[0] + few[0].seconds[tick])


def test_a_detector_without_its_looks_is_refused_in_a_line(detector, tmp_path):
    without = replace(detector, stored=tuple(replace(clip, looks={}) for clip in detector.stored))
    save_detector(tmp_path / "old", without)
    with pytest.raises(BundleError, match=r"shown/looks.* is missing.*metavad adapt"):
        load_detector(tmp_path / "old")


def test_who_watches_gets_them_too(detector, videos, tmp_path):
    sink = Kept()
    Watch(detector, FileSource(videos["monday"].path, fast=True), sink, tmp_path, camera="lobby").run()
    sheets = [each.patches for snapshots in sink.snapshots.values() for each in snapshots]
    assert sheets
    assert all(each is not None and each.shape[1] == 2 * module.SIDE + module.GAP for each in sheets)


def test_a_small_picture_is_cropped_as_the_camera_is(detector):
    crop = Crop(top=12, left=16)
    camera = replace(detector.camera, crop=crop)
    view = CameraView(replace(detector, camera=camera))
    whole = np.full((*view.size, 3), 200, np.uint8)
    whole[: crop.top], whole[:, : crop.left] = 0, 0
    inside = view.decoded(cv2.imencode(".jpg", whole)[1].tobytes())
    assert inside.shape[:2] == (camera.height, camera.width)
    assert np.median(inside[2:, 2:]) > 190
    assert inside[8:, 8:].min() > 150


def test_frames_that_are_read_are_those_that_are_kept(detector, videos):
    (first,) = {round(began * 10) for began in detector.began[:1]}
    frame = next(f.image for f in read_frames(videos["normal"], short_side=48) if f.index == first)
    kept = cv2.imdecode(np.frombuffer(detector.stored[0].looks[0], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.abs(kept.astype(int) - frame).mean() < 4
