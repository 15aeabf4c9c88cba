"""The head of a record: what every experiment says of its base, its machine and how it was asked for."""

from typing import Any

from metavad import __version__
from metavad.benchmark.record import SCHEMA, Source
from metavad.normality.base import Base
from metavad.workflows.machine import describe_machine

__all__ = ["head_of"]


def head_of(base: Base, source: Source) -> dict[str, Any]:
    """Fields of :class:`~metavad.benchmark.record.RecordHead`, but for the settings of the experiment."""
    return {
        "schema_version": SCHEMA,
        "metavad": __version__,
        "command": source.command,
        "target": source.target,
        **describe_machine(base.device or "cpu"),
        "base": base.digest,
        "base_from": source.base_from,
        "config": base.config.model_dump(mode="json"),
        "config_digest": base.config.digest,
    }
