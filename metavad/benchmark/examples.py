"""What a report shows of each scene."""

import numpy as np

from metavad.benchmark.record import SceneExample
from metavad.benchmark.scene_trial import SceneTrial
from metavad.episodes import Shots
from metavad.errors import ShotsError
from metavad.features.footage import gather
from metavad.normality.detector import make_detector
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.scenes.video import read_colour
from metavad.scoring.events import alarm_intervals
from metavad.scoring.pictures import around, nearest_shot
from metavad.scoring.stream import explain_peak, hold, score_features
from metavad.threads import one_thread
from metavad.types import ByteArray

__all__ = ["scene_example"]


@one_thread()
def scene_example(trial: SceneTrial) -> SceneExample:
    """The scene after the most shots: the test video that has the highest score, and its frame."""
    key, most = trial.scene.key, max(trial.settings.shots)
    try:
        shots = trial.shots(most, 0) if most else Shots((), 0)
    except ShotsError:
        shots = Shots((), 0)
    settings = trial.base.config
    footage = gather(trial.library, key, shots, thumbnails=False)
    model = fit(Adapted(trial.base), footage.support, footage.grid)
    detector = make_detector(trial.base, model, footage, alarms_per_day=settings.adaptation.alarms_per_day)
    videos = dict(trial.test_features())
    scored = {name: score_features(model, trial.library, features) for name, features in videos.items()}
    name = max(scored, key=lambda video: float(scored[video].scores.max()))
    found = score_features(model, trial.library, videos[name], maps=True)
    facts = trial.library.facts(key, "test", name)
    scores = hold(found.frames, found.scores, facts.frames)
    tick, why = explain_peak(model, trial.library, videos[name], found)
    top = _picture(trial, "test", name, int(found.frames[tick]))
    shown = tuple(_picture(trial, clip.side, clip.video, clip.first + clip.length // 2) for clip in shots.clips)
    assert found.fused is not None  # maps were asked for
    return SceneExample(
        scene=trial.scene.name,
        video=name,
        seconds=facts.seconds,
        scores=scores,
        threshold=detector.threshold,
        alarms=alarm_intervals(
            scores, facts.seconds, detector.threshold, merge=settings.scoring.merge, longest=settings.scoring.longest
        ),
        labels=trial.truth[name][0],
        top_frame=top,
        heat=found.fused[tick],
        shots=shown,
        text=detector.promise.text,
        reason="" if why is None else why.text,
        nearest=nearest_shot(why, top, None if why is None else around(why.place, top.shape), shown),
    )


def _picture(trial: SceneTrial, side: str, name: str, frame: int) -> ByteArray:
    """A frame (H, W, 3), red-green-blue, cropped."""
    video = trial.library.video(trial.scene.key, side, name)
    return np.ascontiguousarray(read_colour(video, frame, trial.scene.crop)[..., ::-1])
