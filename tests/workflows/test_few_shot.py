"""Adapting: what a camera shows is gathered once, and nothing after that looks at its videos again."""

import av
import cv2
import numpy as np
import pytest
import torch

from metavad.episodes import Clip, Shots
from metavad.features.embeddings import EmbeddingsFeature
from metavad.features.flow import FlowFeature, FlowFieldFeature
from metavad.features.footage import gather
from metavad.features.frames import FramesFeature
from metavad.features.library import Library
from metavad.features.poses import PosesFeature
from metavad.features.regions import RegionsFeature
from metavad.normality.detector import load_detector, save_detector
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.normality.outliers import outlying_shots
from metavad.normality.own_footage import joined
from metavad.normality.threshold import FEWEST, own_threshold
from metavad.scenes.cache import Store
from metavad.scenes.listing import scene_of_files
from metavad.scenes.suite import load_suite
from metavad.scoring.explain import explain
from metavad.workflows import few_shot
from tests.footage import write_video

FEATURES = (EmbeddingsFeature, FlowFeature, FlowFieldFeature, FramesFeature, PosesFeature, RegionsFeature)


class Watch:
    """Counts what opens a video, starts a feature or asks a library, before and after footage was gathered."""

    def __init__(self, monkeypatch):
        self.before, self.after, self.footage = [], [], None
        self._count(monkeypatch, av, "open")
        self._count(monkeypatch, cv2, "imdecode")
        for feature in FEATURES:
            self._count(monkeypatch, feature, "start")
        for name in (
            "sample",
            "facts",
            "spans",
            "video_features",
            "pictures",
            "of_pictures",
            "video",
            "nothing",
            "grid",
        ):
            self._count(monkeypatch, Library, name)
        gather = few_shot.gather

        def gathered(*arguments, **options):
            self.footage = gather(*arguments, **options)
            return self.footage

        monkeypatch.setattr(few_shot, "gather", gathered)

    def _count(self, monkeypatch, owner, name):
        original = getattr(owner, name)

        def counted(*arguments, **options):
            (self.before if self.footage is None else self.after).append(f"{owner.__name__}.{name}")
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, counted)


@pytest.fixture
def scene(cameras):
    return load_suite(str(cameras)).scenes[0]


def test_once_footage_is_gathered_nothing_opens_a_video_or_calls_a_feature(tiny_base, scene, monkeypatch, tmp_path):
    """From the inner steps to the folder on disk, its pictures, outliers, threshold and explanations."""
    watch = Watch(monkeypatch)
    show = [(scene.normal[0].name, 1.0)]
    detector = few_shot.adapt(tiny_base, scene, shots=4, show=show, leave_out=[2], alarms_per_day=5000.0)
    assert {"av.open", "FlowFeature.start", "FramesFeature.start", "Library.sample"} <= set(watch.before)
    model, footage = detector.model, watch.footage
    assert footage.support.clips == len(footage.thumbnails) == len(footage.glances) == 4
    outlying_shots(model)
    times = np.arange(float(FEWEST))
    own_threshold(model, joined([("gate", times, times)]), 10.0)
    for number in range(footage.support.clips):
        clip = footage.support.select([number])
        assert explain(model, clip, model.score(clip), clip.seconds.shape[1] - 1)
    save_detector(tmp_path / "gate", detector)
    loaded = load_detector(tmp_path / "gate")
    assert loaded.pictures == footage.thumbnails
    assert torch.equal(loaded.model.score(footage.support).fused, model.score(footage.support).fused)
    assert watch.after == []


def test_every_clip_is_read_once(tiny_base, scene, monkeypatch):
    watch = Watch(monkeypatch)
    few_shot.adapt(tiny_base, scene, shots=3)
    assert watch.before.count("Library.sample") == 1
    assert watch.before.count("FlowFeature.start") == 3


def test_the_grid_is_that_of_the_videos_that_are_shown(tiny_base, tmp_path):
    """Of normal videos with pictures of several sizes, where all shots are of one."""
    videos = [write_video(tmp_path / f"{size[1]}.mp4", range(30), size=size) for size in ((96, 64), (64, 96))]
    camera = scene_of_files(videos)
    library = Library([camera], tiny_base.config.data, tiny_base.features, Store(), whole=False)
    for video, grid in zip(camera.normal, ((12, 8), (8, 12)), strict=True):
        footage = gather(library, camera.key, Shots((Clip(camera.key, video.name, 4, 16),), 1))
        assert footage.grid == grid
        model = fit(Adapted(tiny_base), footage.support, footage.grid)
        assert model.score(footage.support).fused.shape[-2:] == grid


def test_shots_begin_at_the_file_s_own_times(tiny_base, tmp_path):
    """Of a video whose rate changes half-way, frame number over frame rate is another time."""
    times = [*range(0, 4000, 100), *range(4000, 16000, 300)]
    path = write_video(tmp_path / "a.mkv", [n % 20 for n in range(80)], milliseconds=times, size=(64, 96))
    detector = few_shot.adapt(tiny_base, scene_of_files([path]), shots=4)
    assert detector.began == pytest.approx([times[clip.first] / 1000 for clip in detector.shots], abs=1e-3)
    assert max(detector.began) > 4
    save_detector(tmp_path / "detector", detector)
    assert load_detector(tmp_path / "detector").began == detector.began
