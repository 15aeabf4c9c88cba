"""metavad: few-shot video anomaly detection. Show it K clips of a camera, and it detects what does not belong there.

Public names are loaded when they are first used, so that ``import metavad`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metavad.benchmark.experiment import run_benchmark
    from metavad.config import load_config
    from metavad.errors import MetavadError
    from metavad.normality.base import load_base
    from metavad.normality.detector import Detector, load_detector, save_detector, save_version
    from metavad.scenes.listing import scene_of_files
    from metavad.scoring.calibrating import calibrate
    from metavad.scoring.event_clip import EventClip
    from metavad.scoring.events import find_events
    from metavad.scoring.live import Live
    from metavad.scoring.stream import score
    from metavad.synthetic import write_suite
    from metavad.workflows.feedback import feedback
    from metavad.workflows.few_shot import adapt
    from metavad.workflows.meta_train import meta_train
    from metavad.workflows.suites import select_scenes

__version__ = "0.1.0"

_HOMES = {
    "Detector": "metavad.normality.detector",
    "EventClip": "metavad.scoring.event_clip",
    "Live": "metavad.scoring.live",
    "MetavadError": "metavad.errors",
    "adapt": "metavad.workflows.few_shot",
    "calibrate": "metavad.scoring.calibrating",
    "feedback": "metavad.workflows.feedback",
    "find_events": "metavad.scoring.events",
    "load_base": "metavad.normality.base",
    "load_config": "metavad.config",
    "load_detector": "metavad.normality.detector",
    "meta_train": "metavad.workflows.meta_train",
    "run_benchmark": "metavad.benchmark.experiment",
    "save_detector": "metavad.normality.detector",
    "save_version": "metavad.normality.detector",
    "scene_of_files": "metavad.scenes.listing",
    "score": "metavad.scoring.stream",
    "select_scenes": "metavad.workflows.suites",
    "write_suite": "metavad.synthetic",
}

__all__ = [
    "Detector",
    "EventClip",
    "Live",
    "MetavadError",
    "adapt",
    "calibrate",
    "feedback",
    "find_events",
    "load_base",
    "load_config",
    "load_detector",
    "meta_train",
    "run_benchmark",
    "save_detector",
    "save_version",
    "scene_of_files",
    "score",
    "select_scenes",
    "write_suite",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'metavad' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
