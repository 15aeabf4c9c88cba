"""The experiment: few shots against none, on the same frames for every method, K and draw.

Support comes from the normal side of the target in seeded draws, never from a test video; frames that may be
shown are never scored; nothing looks at the test set but the figures. The only place that joins adapting,
scoring and evaluating; it gives a record (a plain object for JSON) and what a report shows of each camera.

``settings`` what was asked for · ``bench`` a scene under test · ``parts`` one method on one scene, kept on disk ·
``places`` boxes and pixels · ``figures`` scores to rows · ``differences`` rows against rows · ``record`` ·
``stories`` · ``experiment`` all of it.
"""

from metavad.benchmark.experiment import Outcome, run_benchmark
from metavad.benchmark.parts import parts_folder
from metavad.benchmark.record import read_record
from metavad.benchmark.settings import MEASURED, METHODS
from metavad.benchmark.stories import Story

__all__ = ["MEASURED", "METHODS", "Outcome", "Story", "parts_folder", "read_record", "run_benchmark"]
