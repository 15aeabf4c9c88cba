"""What a report shows of each camera."""

from dataclasses import dataclass

import numpy as np

from metavad.benchmark.bench import Bench
from metavad.episodes import Shots
from metavad.errors import ShotsError
from metavad.features.footage import gather
from metavad.normality.detector import make_detector
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.scenes.video import read_colour
from metavad.scoring.events import alarm_intervals
from metavad.scoring.pictures import around, nearest_shot
from metavad.scoring.stream import explain_peak, hold, score_track
from metavad.threads import one_thread
from metavad.types import BoolArray, ByteArray, FloatArray, IntArray

__all__ = ["Story", "story_of"]


@dataclass(frozen=True, kw_only=True)
class Story:
    """What a report shows of one camera: its test video with the highest score."""

    scene: str
    video: str
    seconds: FloatArray
    scores: FloatArray
    threshold: float
    alarms: IntArray
    labels: BoolArray
    top_frame: ByteArray
    heat: FloatArray
    shots: tuple[ByteArray, ...]
    text: str
    reason: str
    nearest: int | None


@one_thread()
def story_of(bench: Bench) -> Story:
    """The camera after the most shots: the test video that has the highest score, and its frame."""
    key, most = bench.scene.key, max(bench.settings.shots)
    try:
        shots = bench.shots(most, 0) if most else Shots((), 0)
    except ShotsError:
        shots = Shots((), 0)
    settings = bench.base.config
    footage = gather(bench.library, key, shots, thumbnails=False)
    model = fit(Adapted(bench.base), footage.support, footage.grid)
    detector = make_detector(bench.base, model, footage, alarms_per_day=settings.adaptation.alarms_per_day)
    tracks = dict(bench.tracks())
    scored = {name: score_track(model, bench.library, track) for name, track in tracks.items()}
    name = max(scored, key=lambda video: float(scored[video].scores.max()))
    found = score_track(model, bench.library, tracks[name], maps=True)
    facts = bench.library.facts(key, "test", name)
    scores = hold(found.frames, found.scores, facts.frames)
    tick, why = explain_peak(model, bench.library, tracks[name], found)
    top = _picture(bench, "test", name, int(found.frames[tick]))
    shown = tuple(_picture(bench, clip.side, clip.video, clip.first + clip.length // 2) for clip in shots.clips)
    assert found.fused is not None  # maps were asked for
    return Story(
        scene=bench.scene.name,
        video=name,
        seconds=facts.seconds,
        scores=scores,
        threshold=detector.threshold,
        alarms=alarm_intervals(scores, facts.seconds, detector.threshold, merge=settings.scoring.merge),
        labels=bench.truth[name][0],
        top_frame=top,
        heat=found.fused[tick],
        shots=shown,
        text=detector.promise.text,
        reason="" if why is None else why.text,
        nearest=nearest_shot(why, top, None if why is None else around(why.place, top.shape), shown),
    )


def _picture(bench: Bench, side: str, name: str, frame: int) -> ByteArray:
    """A frame (H, W, 3), red-green-blue, cropped."""
    video = bench.library.video(bench.scene.key, side, name)
    return np.ascontiguousarray(read_colour(video, frame, bench.scene.crop)[..., ::-1])
