"""Few-shot adaptation: a base and K clips of a camera to a detector."""

from collections.abc import Sequence

import numpy as np

from metavad.arguments import checked
from metavad.episodes import Clip, check_shots, draw_shots
from metavad.errors import UsageError, nearest
from metavad.features.footage import gather
from metavad.features.library import Library
from metavad.normality.base import Base
from metavad.normality.detector import Detector, make_detector
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.normality.threshold import check_alarms
from metavad.progress import SILENT, Progress
from metavad.scenes.cache import Store
from metavad.scenes.scene import Scene
from metavad.scenes.video.black_or_frozen import warn_of_nothing
from metavad.threads import one_thread

__all__ = ["adapt"]


@checked
@one_thread()
def adapt(
    base: Base,
    scene: Scene,
    *,
    shots: int = 10,
    shot_frames: int = 16,
    alarms_per_day: float | None = None,
    leave_out: Sequence[int] = (),
    show: Sequence[tuple[str, float]] = (),
    seed: int = 0,
    pictures: bool = True,
    store: Store | None = None,
    progress: Progress = SILENT,
) -> Detector:
    """A detector of one camera from K of its normal clips, drawn by ``seed``. Only the clips' frames are decoded.

    Args:
        base: what was meta-learned: of :func:`metavad.load_base`.
        scene: the camera; clips are drawn from its normal videos only.
        shots: K, how many clips are shown; they are spread over the footage, and disjoint while it allows.
        shot_frames: T, frames of each clip, as the file has them.
        alarms_per_day: false alarms a day that the threshold may cost; by default what the base's settings say.
        leave_out: numbers of drawn clips, from 1, that are not shown after all: those that are not normal.
        show: times (video, seconds) around which a clip more is shown: what
            :func:`~metavad.scoring.calibrating.calibrate` found to alarm though it is normal.
        seed: of the drawing; the same seed draws the same clips.
        pictures: whether the detector keeps a small picture of each clip, to explain alarms by what was shown.
        store: the cache of decoded and derived arrays; by default the one that ``METAVAD_CACHE`` or the system names.
        progress: is told how far the work is; silent by default.

    Returns:
        The detector, in memory; :func:`metavad.save_detector` writes it.

    Raises:
        ShotsError: the footage has fewer distinct clips than ``shots``.
        VideoError: a video cannot be read, or its pictures have another size than the others'.
        UsageError: a count, a rate, or a time in ``show`` that the footage does not have.
        NonFiniteError: adapting gave NaN or infinity.
    """
    alarms = base.config.adaptation.alarms_per_day if alarms_per_day is None else alarms_per_day
    check_shots([shots], shot_frames)
    check_alarms(alarms)
    library = Library([scene], base.config.data, base.features, store or Store(), whole=False, progress=progress)
    drawn = draw_shots(library.spans(scene.key), shots, shot_frames, seed).without(leave_out)
    drawn = drawn.also([_around(library, scene, video, second, shot_frames) for video, second in show])
    footage = gather(library, scene.key, drawn, thumbnails=pictures, progress=progress)
    warn_of_nothing(footage.glances)
    model = fit(Adapted(base), footage.support, footage.grid, progress)
    return make_detector(base, model, footage, alarms_per_day=alarms)


def _around(library: Library, scene: Scene, video: str, second: float, length: int) -> Clip:
    """The clip around a second of a normal video."""
    span = next((span for span in library.spans(scene.key) if span.video == video), None)
    if span is None:
        raise UsageError(f"--show {video}@{second:g}: {nearest(video, [each.name for each in scene.normal])}")
    seconds = library.facts(scene.key, span.side, video).seconds
    begin, end = float(seconds[span.first]), float(seconds[span.frames - 1])
    if not begin <= second <= end + 1 / span.rate:
        raise UsageError(f"--show {video}@{second:g}: expected a second of normal footage, {begin:.1f} to {end:.1f}")
    return span.around(int(np.searchsorted(seconds, second)), length)
