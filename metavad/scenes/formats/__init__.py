"""Labels as the datasets write them: a format is a function and one entry in a table here.

Each function gets the source, the video and its number of frames, and gives labels with 1 = abnormal,
frames counted from 0, intervals and boxes half-open, whatever the files say.
"""

import fnmatch

from metavad.scenes.formats.frame_labels import (
    FrameFormat,
    mat_intervals,
    npy,
    npz,
    object_intervals,
    one_interval,
    one_interval_rows,
    postures,
    street_scene,
    two_intervals,
    ucsd_m,
)
from metavad.scenes.formats.intervals import intervals, own_rows
from metavad.scenes.formats.masks import MaskFormat, mask_images, mat_masks, npy_masks, object_maps
from metavad.scenes.formats.tracks import TrackFormat, object_boxes, street_scene_boxes, track_rows
from metavad.scenes.scene import LabelSource, Video

__all__ = ["FORMATS", "MASK_FORMATS", "TRACK_FORMATS", "has_rows"]


def has_rows(source: LabelSource, video: Video) -> bool:
    """Whether a video is labelled at all, where a format leaves out the normal ones, or is said to be normal."""
    if fnmatch.fnmatchcase(video.name, source.normal_if_missing):
        return True
    if source.format == "msad":
        return bool(one_interval_rows(source.of(video), video))
    return source.format != "intervals" or bool(own_rows(source, video))


FORMATS: dict[str, FrameFormat] = {
    "intervals": intervals,
    "mat-intervals": mat_intervals,
    "msad": one_interval,
    "npy": npy,
    "npz": npz,
    "street-scene": street_scene,
    "ubnormal": object_intervals,
    "ucf-crime": two_intervals,
    "ucsd-m": ucsd_m,
    "ur-fall": postures,
}
"""Frame labels by format. A format of masks labels frames as well: abnormal where any pixel is."""


MASK_FORMATS: dict[str, MaskFormat] = {
    "bmp": mask_images,
    "mat-masks": mat_masks,
    "npy-masks": npy_masks,
    "object-maps": object_maps,
    "png": mask_images,
}
"""Pixel masks by format."""


TRACK_FORMATS: dict[str, TrackFormat] = {
    "object-maps": object_boxes,
    "street-scene": street_scene_boxes,
    "tracks": track_rows,
}
"""Boxes over time by format."""
