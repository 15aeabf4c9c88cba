"""Optical flow: methods behind one seam, storage in bytes, steadying, stacking, and what experts read of it."""

from metavad.features.flow.feature import WINDOW, FlowFeature
from metavad.features.flow.field import SCALE, FlowFieldFeature
from metavad.features.flow.methods import METHODS, FlowMethod, flow_method
from metavad.features.flow.stacking import bidirectional_stack, plain_stack, trajectory_stack
from metavad.features.flow.steadying import global_motion, steadied
from metavad.features.flow.storage import FASTEST, compress, expand, expand_speed

__all__ = [
    "FASTEST",
    "METHODS",
    "SCALE",
    "WINDOW",
    "FlowFeature",
    "FlowFieldFeature",
    "FlowMethod",
    "bidirectional_stack",
    "compress",
    "expand",
    "expand_speed",
    "flow_method",
    "global_motion",
    "plain_stack",
    "steadied",
    "trajectory_stack",
]
