"""Four streams that break and come back, watched for as long as asked: memory, events lost or doubled, delay.

    nice -n 5 python benchmarks/soak.py --minutes 10 --streams 4 --seed 0 --json benchmarks/soak.json

Each stream is a generated camera's video, and twelve seconds in which nothing happens, in a loop: ten frames a second
in real time, from a small server on this machine. A connection lasts 10 to 60 seconds; then nothing answers for half a
second to twenty. One process watches each stream, with a small base made for it: what is measured is what goes on
around the scores. The process of the last stream is also killed (SIGKILL) about every two minutes, and started again.

What is expected are the events that `score` finds in the loop without a break. Counted as lost is one whose frames were
all sent, and of which nothing was kept; of a killed process also apart, since it takes with it what it had not scored.
Counted as doubled is one of which two were kept, neither a continuation of the other.
"""

import argparse
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import av
import numpy as np
from fuzz_inputs import TINY
from record import begin, options, record_of, write

import metavad
from metavad.live.index import Index
from metavad.scenes.suite import load_suite

RATE = 10
CONNECTED, AWAY, ALIVE = (10.0, 60.0), (0.5, 20.0), (90.0, 150.0)
"""Seconds that a connection lasts, that nothing answers, and that the last stream's process lives."""
QUIET = 120
"""Frames of each turn in which nothing happens."""
SAMPLED = 5.0
"""Seconds between two looks at memory and delays."""
WARM = 0.25
"""Share of the time after which memory no longer counts as beginning."""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__, base=False)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    return parser


@dataclass
class Stream:
    """An address that gives a loop of pictures in real time, with breaks, and notes which frames it has sent."""

    pictures: list[np.ndarray]
    seed: int
    sent: list[tuple[int, int]] = field(default_factory=list)
    """Half-open intervals of frames, by connection."""
    is_over: bool = False

    def __post_init__(self) -> None:
        self.random, self.begun, self.away_until = random.Random(self.seed), time.monotonic(), 0.0
        stream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stream.serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/live"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        """One connection."""
        if self.is_over or time.monotonic() < self.away_until:
            request.send_error(503)
            return
        request.send_response(200)
        request.send_header("Content-Type", "video/mp2t")
        request.end_headers()
        end = time.monotonic() + self.random.uniform(*CONNECTED)
        first = self.number()
        self.sent.append((first, first))
        with suppress(OSError, av.FFmpegError):  # nobody is there any more
            self.send(request.wfile, first, end)
        self.away_until = time.monotonic() + self.random.uniform(*AWAY)

    def send(self, file: io.BufferedIOBase, first: int, end: float) -> None:
        """Frames from the first on, each when it is due."""
        number = first
        with av.open(file, "w", format="mpegts", options={"flush_packets": "1"}) as container:
            options = {"qp": "0", "preset": "ultrafast", "tune": "zerolatency", "g": str(RATE)}
            coder = container.add_stream("libx264", rate=RATE, options=options)
            coder.height, coder.width, coder.pix_fmt = *self.pictures[0].shape, "gray"
            while time.monotonic() < end and not self.is_over:
                time.sleep(max(0.0, self.begun + number / RATE - time.monotonic()))
                frame = av.VideoFrame.from_ndarray(self.pictures[number % len(self.pictures)], format="gray")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                container.mux(coder.encode(frame))
                number += 1
                self.sent[-1] = first, number

    def number(self) -> int:
        """Of the frame that is due now."""
        return int(RATE * (time.monotonic() - self.begun)) + 1


@dataclass
class Watched:
    """The process that watches a stream, and what was seen of it."""

    stream: Stream
    folder: Path
    detector: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Seconds, and MiB that are resident."""
    totals: dict[str, float] = field(default_factory=dict)
    lives: list[dict[str, float]] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    """Frames that were due when it was killed."""

    def start(self) -> None:
        """Begin, or go on."""
        command = [sys.executable, "-m", "metavad", "watch", self.stream.address, "--detector", str(self.detector)]
        command += ["--out", str(self.folder / "out"), "--name", self.folder.name, "--no-conditions"]
        command += ["--metrics", str(self.port), "--log", "json"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "METAVAD_CACHE": str(self.folder / "cache")}
        with (self.folder / "log.jsonl").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def kill(self) -> None:
        """SIGKILL; then the same command."""
        assert self.process is not None
        self.killed.append(self.stream.number())
        self.process.kill()
        self.process.wait()
        self.lives.append(self.totals)
        self.totals = {}
        self.start()

    def look(self, seconds: float) -> None:
        """Memory and counters, as far as they can be had now."""
        assert self.process is not None
        with suppress(OSError, ValueError, StopIteration):
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
            self.memory.append((seconds, resident / 1024))
        with suppress(OSError, ValueError):
            page = urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5).read().decode()
            values = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
            self.totals = {name: float(value) for name, value in values}

    def end(self) -> int:
        """Stop it in good order; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.lives.append(self.totals)
        return code

    def total(self, name: str) -> float:
        """A counter, over all lives."""
        return sum(value for life in self.lives for key, value in life.items() if key.startswith(f"{name}{{"))


def free_port() -> int:
    """Of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def prepared(folder: Path) -> tuple[Path, list[np.ndarray], list[tuple[int, int]]]:
    """A detector that alarms in a loop of pictures, these, and the events of one turn, in frames."""
    suite = metavad.write_suite(folder / "site", scenes=3, seed=3, size="tiny")
    scenes = load_suite(str(suite)).scenes
    metavad.meta_train(scenes, metavad.load_config("quick", TINY), run=folder / "run")
    detector = metavad.adapt(metavad.load_base(folder / "run" / "base"), scenes[0], shots=3, alarms_per_day=10)
    with av.open(str(scenes[0].test[0].path)) as container:
        loop = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)][:37]
    quiet = [loop[24]] * QUIET
    loop = [*loop[:25], *quiet, *loop[25:]]
    turns = 8
    frames = metavad.score(detector, ((loop[n % len(loop)], n / RATE) for n in range(turns * len(loop))))
    scores = np.array([each.score for each in frames])
    detector = replace(detector, threshold=float(np.quantile(scores, 0.92)))
    metavad.save_detector(folder / "detector", detector)
    found = metavad.find_events(scores, np.arange(len(scores)) / RATE, detector.threshold)
    turn = [(round(RATE * each.start), round(RATE * each.end)) for each in found]
    inside = [each for each in turn if 4 * len(loop) <= each[0] < 5 * len(loop)]
    return folder / "detector", loop, [(a - 4 * len(loop), b - 4 * len(loop)) for a, b in inside]


def judged(watched: Watched, turn: list[tuple[int, int]], length: int) -> dict[str, int]:
    """Events that were expected, kept, lost and doubled."""
    with av.open(io.BytesIO(sample(watched.stream.pictures))) as container:
        first = next(container.decode(video=0)).time
    offset = json.loads((watched.folder / "out" / "state.json").read_text())["offset"]
    with Index(watched.folder / "out") as index:
        kept = sorted((stored.event for stored in index.events()), key=lambda each: each.start)
    spans = [tuple(round(RATE * (time - offset - first)) for time in (each.start, each.end)) for each in kept]
    sent = sorted(number for start, stop in watched.stream.sent for number in range(start, stop))
    numbers = set(sent)
    expected = [(a + n * length, b + n * length) for n in range(max(sent, default=0) // length + 1) for a, b in turn]
    counts = {"expected": 0, "kept": len(kept), "linked": sum(each.linked_to is not None for each in kept)}
    counts |= {"cut": sum(each.is_cut for each in kept), "lost": 0, "lost to a kill": 0, "doubled": 0, "unexpected": 0}
    for start, stop in expected:
        if not numbers.issuperset(range(start, stop)):
            continue
        counts["expected"] += 1
        inside = [place for place, (a, b) in enumerate(spans) if a <= stop and start <= b]
        if not inside:
            place = bisect_left(watched.killed, start)
            near = watched.killed[max(0, place - 1) : place + 1]
            was_killed = any(start - 10 * RATE <= number <= stop + 3 * RATE for number in near)
            counts["lost to a kill" if was_killed else "lost"] += 1
        counts["doubled"] += max(0, sum(kept[place].linked_to is None for place in inside) - 1)
    counts["unexpected"] = sum(not any(a <= stop and start <= b for start, stop in expected) for a, b in spans)
    return counts


def sample(pictures: list[np.ndarray]) -> bytes:
    """A stream of two frames, to see at which time its first one stands."""
    content = io.BytesIO()
    with av.open(content, "w", format="mpegts") as container:
        options = {"qp": "0", "preset": "ultrafast", "tune": "zerolatency", "g": str(RATE)}
        coder = container.add_stream("libx264", rate=RATE, options=options)
        coder.height, coder.width, coder.pix_fmt = *pictures[0].shape, "gray"
        for number in range(2):
            frame = av.VideoFrame.from_ndarray(pictures[number], format="gray")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(coder.encode(frame))
        container.mux(coder.encode(None))
    return content.getvalue()


def quantile(watched: Watched, share: float) -> float:
    """The delay in seconds that so many frames have at most, between the edges of the classes that are counted."""
    edges: dict[float, float] = {}
    for life in watched.lives:
        for key, value in life.items():
            if key.startswith("metavad_delay_seconds_bucket"):
                edge = float(key.split('le="')[1].split('"')[0])
                edges[edge] = edges.get(edge, 0.0) + value
    total, before, below = edges.get(float("inf"), 0.0), 0.0, 0.0
    for edge in sorted(edges):
        if edges[edge] >= share * total and total:
            part = (share * total - below) / max(edges[edge] - below, 1.0)
            return before + (edge - before) * part if edge < float("inf") else edge
        before, below = edge, edges[edge]
    return float("nan")


def growth(watched: Watched) -> dict[str, float]:
    """Medians of the memory after the beginning and at the end, MiB, and what grew in an hour at that pace."""
    seconds, sizes = np.array(watched.memory).T
    last = seconds[-1]
    early = float(np.median(sizes[(seconds >= WARM * last) & (seconds < (WARM + 0.25) * last)]))
    late = float(np.median(sizes[seconds >= 0.75 * last]))
    return {"early": round(early, 1), "late": round(late, 1), "growth": round(late - early, 1)}


def main() -> None:
    """Serve, watch, break, kill, and count; exit code 1 where an event was lost or doubled."""
    given = begin(arguments())
    generator = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place:
        detector, loop, turn = prepared(Path(place))
        cameras = []
        for number in range(given.streams):
            folder = Path(place) / f"camera-{number + 1}"
            folder.mkdir()
            cameras.append(Watched(Stream(loop, given.seed + number), folder, detector, free_port()))
            cameras[-1].start()
        begun, until_kill = time.monotonic(), generator.uniform(*ALIVE)
        while (passed := time.monotonic() - begun) < 60 * given.minutes:
            for camera in cameras:
                camera.look(passed)
            if passed > until_kill:
                cameras[-1].kill()
                until_kill = passed + generator.uniform(*ALIVE)
            time.sleep(SAMPLED)
        for camera in cameras:
            camera.stream.is_over = True
        time.sleep(10)
        codes = []
        for camera in cameras:
            camera.look(time.monotonic() - begun)
            codes.append(camera.end())
        rows: list[dict[str, Any]] = []
        for camera, code in zip(cameras, codes, strict=True):
            row: dict[str, Any] = {"stream": camera.folder.name, "connections": len(camera.stream.sent)}
            row |= {"kills": len(camera.killed), "exit code": code}
            row |= {"frames": int(camera.total("metavad_frames_total"))}
            row |= {"dropped": int(camera.total("metavad_dropped_total"))}
            row |= judged(camera, turn, len(loop))
            row |= {"delay p50 s": round(quantile(camera, 0.5), 2), "delay p99 s": round(quantile(camera, 0.99), 2)}
            row |= {} if camera.killed else {f"memory {name} MiB": value for name, value in growth(camera).items()}
            rows.append(row)
            print(row, flush=True)
            if code != 143:
                print((camera.folder / "log.jsonl").read_text()[-500:], flush=True)
    facts = {"minutes": given.minutes, "load average": [round(each, 1) for each in os.getloadavg()]}
    write(given.json, record_of(rows, base=None, seed=given.seed, **facts))
    sys.exit(any(row["lost"] + row["doubled"] > 0 for row in rows))


if __name__ == "__main__":
    main()
