"""Records of benchmarks, made up: every figure that is not given is undefined."""

from metavad.benchmark.protocol import FIGURES, METHODS
from metavad.benchmark.record import SCHEMA, BenchmarkRecord, Difference, Row, SceneFacts

UNDEFINED = {name: None for name in FIGURES if not name.startswith("looks_at_test_set")}


def row_of(scene, method, shots, micro_auc=None, **more):
    """One row over five draws."""
    given = {"suite": "held-out", "draws": 5, "frames": 100, "labels": None, "micro_auc_std": None}
    return Row(scene=scene, method=method, shots=shots, **{**UNDEFINED, **given, "micro_auc": micro_auc, **more})


def difference_of(method, shots, minus, certain, **more):
    """A paired difference on ``held-out:lawn``."""
    given = {"suite": "held-out", "scene": "lawn", "figure": "micro_auc", "level": 0.95, "share_above": 1.0}
    numbers = {"value": 0.1, "low": 0.05, "high": 0.2}
    return Difference(method=method, shots=shots, minus=minus, certain=certain, **{**given, **numbers, **more})


def scene_of(scene, labels=None, layout=None):
    """Facts of a scene, by its ``SUITE:SCENE``."""
    counts = {"test_videos": 2, "normal_videos": 2, "independent_shots": {}, "wrong_scene": None}
    return SceneFacts(scene=scene, labels=labels, layout=layout, **counts, data="d", truth="t")


def record_of(rows, differences=(), scenes=(), **more):
    """A record of these rows."""
    given = {
        "schema_version": SCHEMA,
        "kind": "benchmark",
        "metavad": "0.1.0",
        "command": "metavad benchmark base --suite held-out <b>",
        "target": "held-out",
        "device": "x86_64 CPU",
        "threads": 1,
        "versions": {"torch": "2.13.0"},
        "base": "base-1",
        "base_from": "base",
        "config": {"rate": 10},
        "config_digest": "c",
        "methods": tuple(METHODS),
        "shots": (0, 1, 10),
        "draws": 5,
        "seed": 7,
        "draw_seeds": (7000,),
        "shot_frames": 16,
        "paper_protocol": False,
        "jobs": 1,
    }
    return BenchmarkRecord(**{**given, **more}, rows=rows, differences=differences, scenes=scenes)


def changed(record, **fields):
    """A copy of a record, a row or a difference in which some fields are others."""
    return type(record)(**{**{name: getattr(record, name) for name in record.model_fields_set}, **fields})


def with_rows(record, which, **fields):
    """A copy in which some fields are others in the rows for which ``which`` is true."""
    rows = tuple(changed(row, **fields) if which(row) else row for row in record.rows)
    return changed(record, rows=rows)


def only_rows(record, which):
    """A copy of those rows only."""
    return changed(record, rows=tuple(row for row in record.rows if which(row)))
