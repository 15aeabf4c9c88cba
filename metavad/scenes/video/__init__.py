"""Pixels and times of a video, whether it is a file or a folder of frames."""

from metavad.scenes.video.pictures import CameraPictures, Picture
from metavad.scenes.video.reader import (
    Frame,
    Playback,
    Ticks,
    VideoFacts,
    decodable_frames,
    probe,
    read_colour,
    read_colours,
    read_frames,
    tell,
    tick_frames,
    working_size,
)

__all__ = [
    "CameraPictures",
    "Frame",
    "Picture",
    "Playback",
    "Ticks",
    "VideoFacts",
    "decodable_frames",
    "probe",
    "read_colour",
    "read_colours",
    "read_frames",
    "tell",
    "tick_frames",
    "working_size",
]
