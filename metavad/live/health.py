"""How a watched camera fares: counters, and notes of what happens, for whoever shows, logs or serves them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from metavad.errors import UsageError

__all__ = ["DELAYS", "Health", "Level", "Note", "Notes", "serve_metrics"]

Level: TypeAlias = Literal["info", "warning", "error"]
DELAYS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Seconds: edges of the classes of delays."""


@dataclass(frozen=True)
class Note:
    """One thing that happened."""

    kind: str
    """A word for programs, such as ``connected``."""
    text: str
    """A line for people."""
    level: Level = "info"
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For programs: plain values."""


Notes: TypeAlias = Callable[[Note], None]
"""What takes notes; from any thread."""


@dataclass
class Health:
    """Counters since the start; each is written by one thread, and read by any."""

    camera: str
    is_connected: bool = False
    connections: int = 0
    """Times that the source opened."""
    breaks: int = 0
    """Times that it ended, stalled, or did not open."""
    frames: int = 0
    """Frames that were scored, or are being."""
    dropped: int = 0
    """Frames left out because scoring fell behind."""
    refused: int = 0
    """Frames of another size, or out of order."""
    events: int = 0
    linked: int = 0
    """Of these, those that go on from one that a gap has cut."""
    conditions: int = 0
    waiting: int = 0
    """Frames that wait to be scored."""
    wait: float = 0.0
    """Seconds that ticks wait to be scored together."""
    score: float = 0.0
    threshold: float = 0.0
    last_frame: float = 0.0
    """Seconds on the camera's clock, of the last one that was scored."""
    delays: list[int] = field(default_factory=lambda: [0] * (len(DELAYS) + 1))
    """Frames by the time from their coming to their score."""
    delay_seconds: float = 0.0
    """Sum of these times."""
    started: float = field(default_factory=time.time)

    def delayed(self, seconds: float) -> None:
        """One frame's score has come so long after the frame."""
        place = next((place for place, edge in enumerate(DELAYS) if seconds <= edge), len(DELAYS))
        self.delays[place] += 1
        self.delay_seconds += seconds


_COUNTERS = {
    "connections": "Times that the source opened.",
    "breaks": "Times that the source ended, stalled, or did not open.",
    "frames": "Frames taken.",
    "dropped": "Frames left out because scoring fell behind.",
    "refused": "Frames of another size, or out of order.",
    "events": "Events that began.",
    "linked": "Events that go on from one that a gap has cut.",
    "conditions": "Times that something happened to the whole picture.",
}
_GAUGES = {
    "is_connected": ("connected", "Whether frames come: 1 or 0."),
    "waiting": ("waiting_frames", "Frames that wait to be scored."),
    "wait": ("wait_seconds", "Seconds that frames wait to be scored together; longer where scoring falls behind."),
    "score": ("score", "The last score; higher is more anomalous."),
    "threshold": ("threshold", "The score over which there is an event."),
    "last_frame": ("last_frame_timestamp_seconds", "When the last scored frame was taken, by the camera's clock."),
    "started": ("start_timestamp_seconds", "When watching began."),
}


class _Collector:
    """The counters of a camera in the form of Prometheus."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Any:
        """What Prometheus asks for."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        health, labels = self._health, [self._health.camera]
        for name, text in _COUNTERS.items():
            counter = CounterMetricFamily(f"metavad_{name}", text, labels=["camera"])
            counter.add_metric(labels, float(getattr(health, name)))
            yield counter
        for name, (called, text) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"metavad_{called}", text, labels=["camera"])
            gauge.add_metric(labels, float(getattr(health, name)))
            yield gauge
        total, buckets = 0, list[tuple[str, float]]()
        for edge, count in zip([*map(str, DELAYS), "+Inf"], health.delays, strict=True):
            total += count
            buckets.append((edge, float(total)))
        delays = HistogramMetricFamily("metavad_delay_seconds", "From a frame to its score.", labels=["camera"])
        delays.add_metric(labels, buckets, health.delay_seconds)
        yield delays


def serve_metrics(health: Health, address: str) -> tuple[Callable[[], None], int]:
    """Serve the counters at ``[HOST:]PORT/metrics`` (this machine alone without a host); what ends it, and the port.

    Port 0 is any that is free. Raises :class:`UsageError` where the package for it is missing, or the port is taken.
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--metrics {address}: expected a port, or HOST:PORT, found something else; 9108 is usual")
    try:
        from prometheus_client import start_http_server
        from prometheus_client.core import CollectorRegistry
    except ModuleNotFoundError:
        raise UsageError(
            "--metrics: expected the package prometheus_client, found none; pip install 'metavad[live]'"
        ) from None
    registry = CollectorRegistry()
    collector: Any = _Collector(health)  # what a Collector has, whose package is not loaded before
    registry.register(collector)
    try:
        server, thread = start_http_server(int(port), addr=host or "127.0.0.1", registry=registry)
    except OSError as error:
        reason = str(error.strerror or error).lower()
        raise UsageError(f"--metrics {address}: expected a free port, found none ({reason}); name another") from None

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end, int(server.server_port)
