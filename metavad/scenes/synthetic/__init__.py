"""Generated cameras: a test bed with known answers, and a source of cameras to learn from."""

from metavad.scenes.synthetic.camera import CameraSpec, sample_camera
from metavad.scenes.synthetic.events import EVENT_KINDS, VideoPlan, abnormal_kinds, plan_videos
from metavad.scenes.synthetic.render import RenderedFrame, render
from metavad.scenes.synthetic.world import build_world
from metavad.scenes.synthetic.write import VERSION, write_suite

__all__ = [
    "EVENT_KINDS",
    "VERSION",
    "CameraSpec",
    "RenderedFrame",
    "VideoPlan",
    "abnormal_kinds",
    "build_world",
    "plan_videos",
    "render",
    "sample_camera",
    "write_suite",
]
