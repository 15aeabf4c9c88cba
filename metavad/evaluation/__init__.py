"""Arrays in, figures out: no model, no video, no tensor comes in here, so that a leak would show."""

from metavad.evaluation.alarms import (
    Delay,
    detection_delay,
    false_alarms_per_hour,
    score_latency,
)
from metavad.evaluation.intervals import (
    FEWEST,
    Difference,
    Interval,
    auc_difference,
    auc_interval,
    mean_difference,
    mean_interval,
)
from metavad.evaluation.ranking import (
    abnormal_pixels,
    average_precision,
    cell_auc,
    chance_precision,
    equal_error_rate,
    macro_auc,
    micro_auc,
    pixel_auc,
)
from metavad.evaluation.regions import rbdc_tbdc

__all__ = [
    "FEWEST",
    "Delay",
    "Difference",
    "Interval",
    "abnormal_pixels",
    "auc_difference",
    "auc_interval",
    "average_precision",
    "cell_auc",
    "chance_precision",
    "detection_delay",
    "equal_error_rate",
    "false_alarms_per_hour",
    "macro_auc",
    "mean_difference",
    "mean_interval",
    "micro_auc",
    "pixel_auc",
    "rbdc_tbdc",
    "score_latency",
]
