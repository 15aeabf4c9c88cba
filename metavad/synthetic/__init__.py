"""Generated cameras: a test bed with known answers, and a source of cameras to learn from."""

from metavad.synthetic.camera import CameraSpec, sample_camera
from metavad.synthetic.plan import EVENT_KINDS, VideoPlan, abnormal_kinds, plan_videos
from metavad.synthetic.register import is_generated
from metavad.synthetic.render import RenderedFrame, render
from metavad.synthetic.world import build_world
from metavad.synthetic.write import VERSION, claims_to_be_generated, write_suite

__all__ = [
    "EVENT_KINDS",
    "VERSION",
    "CameraSpec",
    "RenderedFrame",
    "VideoPlan",
    "abnormal_kinds",
    "build_world",
    "claims_to_be_generated",
    "is_generated",
    "plan_videos",
    "render",
    "sample_camera",
    "write_suite",
]
