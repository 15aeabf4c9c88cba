"""Four streams that break and come back, watched for as long as asked: memory, events lost or doubled, delay.

    python benchmarks/soak.py --minutes 60 --streams 4 --seed 0 --json benchmarks/soak.json

Each stream is a generated camera's video, and twelve seconds in which nothing happens, in a loop: ten frames a second
in real time, from a small server on this machine. A connection lasts 10 to 60 seconds; then nothing answers for half a
second to twenty. One process watches each stream, with a small base made for it: what is measured is what goes on
around the scores. The process of the last stream is also killed (SIGKILL) about every two minutes, and started again.

Events are those that `score` finds in the loop without a break. Where each lay is told from the frames that were sent
and the scores that were kept: whole, where all its frames arrived and were scored; else partly in a gap, wholly or
partly in frames that were dropped because scoring fell behind, or about a kill, which takes what was not written down.
Those wholly in a gap are not looked for. Counted as lost is a whole one of which nothing was kept; each that was not
kept, of any kind, is named. Counted as doubled is one of which two were kept, neither a continuation of the other.

The page beside the record is written with it.
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
from record import ScriptRecord, begin, options, record_of, write

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
    used: float = 0.0
    """Seconds of a processor, of this life."""
    past_lives: float = 0.0
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
        self.totals, self.past_lives, self.used = {}, self.past_lives + self.used, 0.0
        self.start()

    def look(self, seconds: float) -> None:
        """Memory and counters, as far as they can be had now."""
        assert self.process is not None
        with suppress(OSError, ValueError, StopIteration):
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
            self.memory.append((seconds, resident / 1024))
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            self.used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        with suppress(OSError, ValueError):
            page = urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5).read().decode()
            values = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
            self.totals = {name: float(value) for name, value in values}

    def end(self) -> int:
        """Stop it in good order; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(600)
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


@dataclass(frozen=True)
class Seen:
    """An event of the loop, and what became of it; frames as they were due."""

    start: int
    stop: int
    frames: int
    """Those that lie in it, both ends included."""
    sent: int
    scored: int
    lay: str
    """Where."""
    kept: int
    """Events that were kept of it, without continuations."""


WHOLE, CUT, KILLED = "whole", "partly in a gap", "about a kill"
DROPPED, PARTLY = "wholly in dropped frames", "partly in dropped frames"
KINDS = (WHOLE, CUT, PARTLY, DROPPED, KILLED)
BESIDE = 15, 5
"""Frames before and after an event in which a gap, or dropped frames, may lower its score."""


def judged(watched: Watched, turn: list[tuple[int, int]], length: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Events that were expected, kept, lost and doubled; and each that was not kept, with where it lay."""
    with av.open(io.BytesIO(sample(watched.stream.pictures))) as container:
        first = next(container.decode(video=0)).time
    state = watched.folder / "out" / "state.json"
    offset = json.loads(state.read_text())["offset"] if state.exists() else None
    if offset is None:
        raise SystemExit(f"{watched.folder.name}: no frame was ever scored; give it a machine with less else to do")

    def number(seconds: float) -> int:
        return round(RATE * (seconds - offset - first))

    with Index(watched.folder / "out") as index:
        kept = sorted((stored.event for stored in index.events()), key=lambda each: each.start)
        parts = [part for _, each in index.scores() for part in each]
    scored = {number(second) for part in parts for second in part.arrays()[0]}
    sent = {each for start, stop in watched.stream.sent for each in range(start, stop)}
    spans = [(number(each.start), number(each.end)) for each in kept]
    expected = [(a + n * length, b + n * length) for n in range(max(sent, default=0) // length + 1) for a, b in turn]
    each = [seen(watched, span, sent, scored, spans, kept) for span in expected if sent.intersection(range(*span))]
    counts: dict[str, Any] = {"frames sent": len(sent), "frames scored": len(scored)}
    counts |= {"expected": sum(one.lay == WHOLE for one in each)}
    counts |= {"lost": sum(one.lay == WHOLE and not one.kept for one in each)}
    counts |= {"doubled": sum(max(0, one.kept - 1) for one in each)}
    counts |= {"unexpected": sum(not any(a <= stop and start <= b for start, stop in expected) for a, b in spans)}
    counts |= {"kept": len(kept), "linked": sum(one.linked_to is not None for one in kept)}
    counts |= {"cut": sum(one.is_cut for one in kept)}
    for kind in KINDS[1:]:
        inside = [one for one in each if one.lay == kind]
        counts[kind] = {"events": len(inside), "kept": sum(one.kept > 0 for one in inside)}
    missed = []
    for one in each:
        if not one.kept:
            around = set(range(one.start - BESIDE[0], one.stop + BESIDE[1]))
            row = {"stream": watched.folder.name, "frames": [one.start, one.stop], "lay": one.lay}
            row |= {"sent": f"{one.sent}/{one.frames}", "scored": f"{one.scored}/{one.frames}"}
            missed.append(row | {"beside what was not scored": not around <= scored})
    return counts, missed


def seen(
    watched: Watched,
    span: tuple[int, int],
    sent: set[int],
    scored: set[int],
    spans: list[tuple[int, int]],
    kept: list[Any],
) -> Seen:
    """Where an event lay, and what was kept of it."""
    start, stop = span
    inside = set(range(start, stop))
    arrived, known = len(inside & sent), len(inside & scored)
    place = bisect_left(watched.killed, start)
    near = watched.killed[max(0, place - 1) : place + 1]
    if known == len(inside):
        lay = WHOLE
    elif arrived < len(inside):
        lay = CUT
    elif any(start - 12 * RATE <= each <= stop + 3 * RATE for each in near):
        lay = KILLED
    else:
        lay = PARTLY if known else DROPPED
    found = [kept[n] for n, (a, b) in enumerate(spans) if a <= stop and start <= b]
    count = sum(each.linked_to is None for each in found)
    return Seen(start, stop, len(inside), arrived, known, lay, max(count, min(1, len(found))))


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


SHOWN = (
    *("stream", "connections", "kills", "frames", "dropped", "expected", "lost", "doubled", "unexpected", "cut"),
    *("linked", "delay p50 s", "delay p99 s", "processor ms a frame", "memory growth MiB"),
)
"""Columns of the page."""


def page(record: ScriptRecord) -> str:
    """The record for people."""
    rows: Any = record.rows
    facts: Any = record.facts
    total = {name: sum(row[name] for row in rows) for name in ("expected", "lost", "doubled", "unexpected", "dropped")}
    kinds = {kind: [sum(row[kind][name] for row in rows) for name in ("events", "kept")] for kind in KINDS[1:]}
    lines = [
        "# Streams that break and come back",
        "",
        "```sh",
        str(record.command),
        "```",
        "",
        "Servers on this machine play a generated camera's video in a loop, ten frames a second, in real time. Every "
        "10 to 60 seconds a connection breaks, and comes back after half a second to twenty. A `metavad watch` process "
        "watches each. The process of the last stream is killed about every two minutes (SIGKILL), and started again. "
        "The base is a small one made for it: what is measured is what goes on around the scores.",
        "",
        "Expected are the events that `score` finds in the loop without a break, and whose frames all arrived and were "
        "scored. The page is written by the script.",
        "",
        "| " + " | ".join(SHOWN) + " |",
        "|" + "---|" * len(SHOWN),
        *("| " + " | ".join(str(row.get(name, "")) for name in SHOWN) + " |" for row in rows),
        "",
        "Memory growth is the median of the last quarter less that of the second. It ends once the page of the last "
        "hundred events is full ([found](findings.md#speed) over 40,000 frames).",
        "",
        f"In {facts['minutes']:g} minutes, on {facts['cores']} cores (load average {facts['load average'][0]} at the "
        f"end), {total['lost']} of {total['expected']} events were lost, {total['doubled']} doubled, "
        f"{total['unexpected']} found where nothing happened; {total['dropped']} frames were dropped. What did not lie "
        "whole in frames that were scored:",
        "",
        "| where events lay | events | something of it was kept |",
        "|---|---|---|",
        *(f"| {kind} | {events} | {kept} |" for kind, (events, kept) in kinds.items()),
    ]
    if facts["missed"]:
        names = ("stream", "frames", "lay", "sent", "scored", "beside what was not scored")
        lines += [
            "",
            "Events of which nothing was kept:",
            "",
            "| " + " | ".join(names) + " |",
            "|" + "---|" * len(names),
        ]
        lines += ["| " + " | ".join(spelled(each[name]) for name in names) + " |" for each in facts["missed"]]
    return "\n".join(lines) + "\n"


def spelled(value: Any) -> str:
    """A value in a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value[0]} to {value[1]}" if isinstance(value, list) else str(value)


def watched_for(seconds: float, cameras: list[Watched], generator: random.Random) -> list[int]:
    """Look at the processes, and kill the last one now and then, for so long; their exit codes in the end."""
    begun, until_kill = time.monotonic(), generator.uniform(*ALIVE)
    while (passed := time.monotonic() - begun) < seconds:
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
    return codes


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
        try:
            codes = watched_for(60 * given.minutes, cameras, generator)
        finally:
            for camera in cameras:
                camera.stream.is_over = True
                if camera.process is not None:
                    camera.process.kill()
        rows, missed = list[dict[str, Any]](), list[dict[str, Any]]()
        for camera, code in zip(cameras, codes, strict=True):
            row: dict[str, Any] = {"stream": camera.folder.name, "connections": len(camera.stream.sent)}
            row |= {"kills": len(camera.killed), "exit code": code}
            row |= {"frames": int(camera.total("metavad_frames_total"))}
            row |= {"dropped": int(camera.total("metavad_dropped_total"))}
            found, lost = judged(camera, turn, len(loop))
            row |= found
            missed += lost
            row |= {"delay p50 s": round(quantile(camera, 0.5), 2), "delay p99 s": round(quantile(camera, 0.99), 2)}
            row |= {"processor ms a frame": round(1000 * (camera.past_lives + camera.used) / max(row["frames"], 1), 1)}
            row |= {} if camera.killed else {f"memory {name} MiB": value for name, value in growth(camera).items()}
            rows.append(row)
            print(row, flush=True)
            if code != 143:
                print((camera.folder / "log.jsonl").read_text()[-500:], flush=True)
    facts = {"minutes": given.minutes, "cores": os.cpu_count(), "missed": missed}
    facts["load average"] = [round(each, 1) for each in os.getloadavg()]
    record = record_of(rows, base=None, seed=given.seed, **facts)
    write(given.json, record)
    if given.json:
        given.json.with_suffix(".md").write_text(page(record), encoding="utf-8")
    sys.exit(any(row["lost"] + row["doubled"] > 0 for row in rows))


if __name__ == "__main__":
    main()
