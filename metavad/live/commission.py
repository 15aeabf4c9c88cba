"""A detector from the first minutes of a camera's own stream."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from metavad.durations import spelled
from metavad.errors import FullDiskError, MetavadError, OutputError, ShotsError, VideoError
from metavad.files import is_full_disk, write_text
from metavad.live.event_clips import clip_of_event, confirmed_events
from metavad.live.health import Note, Notes
from metavad.live.index import StoredEvent
from metavad.live.pictures import size_of
from metavad.live.reader import BACKOFF, ENOUGH
from metavad.live.sources import LeftOutError, Shown, Source
from metavad.normality.base import Base
from metavad.normality.detector import Detector
from metavad.normality.outliers import outlying_shots
from metavad.normality.own_footage import left_out
from metavad.scenes.listing import scene_of_files
from metavad.scenes.scene import Scene, Video
from metavad.scenes.video import probe, read_frames, tick_frames
from metavad.scoring.calibrating import calibrate
from metavad.types import FloatArray
from metavad.workflows.feedback import feedback
from metavad.workflows.few_shot import adapt

__all__ = ["FOOTAGE", "Commissioned", "commission", "put_aside_later", "record", "shots_with_motion"]

FOOTAGE = "commission"
"""Folder of what the stream showed meanwhile."""
SHORT_SIDE, CHANGED = 48, 12
"""Pixels by which motion is seen, and grey levels by which one of them changes."""
LIVELY = 0.75
"""Which of the clips of a stretch is shown: that with more motion than so many of them."""
SHORTEST = 2.0
"""Seconds of a file that clips are taken from."""
STEPS = 10
"""Notes about how far it is."""
BEGINS = "begins.json"
"""When each file begins, in seconds on the camera's clock."""
EARLY = 10.0
"""Seconds of a file by which it is known when it begins."""
USED = "used"
"""Lies beside footage that a detector was made of."""


@dataclass(frozen=True)
class Commissioned:
    """What came of it."""

    detector: Detector
    odd: tuple[Path, ...]
    """Pictures of clips that were unlike the others, and not shown."""
    seconds: float
    """Of footage beside the clips that the threshold was taken from."""
    last: float | None
    """The time of the last frame, by the source."""


def record(
    source: Source, folder: Path, seconds: float, *, notes: Notes, is_over: Callable[[], bool]
) -> tuple[list[Path], float | None]:
    """So many seconds of the source as files in the folder, with what was there before; and the last frame's time.

    Pictures that come coded are kept as they come, others nearly without loss. A source that breaks is opened again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tape, wait, last = _Tape(folder, seconds, is_dated=source.is_dated), BACKOFF[0], None
    while not is_over() and tape.left > 0:
        count, error = 0, None
        try:
            with closing(source.frames(tape.packet)) as frames:  # type: ignore[type-var]
                for shown in frames:
                    count, last = count + 1, shown.seconds
                    tape.frame(shown, is_coded=source.is_coded)
                    tape.note(notes)
                    if is_over() or tape.left <= 0:
                        break
        except MetavadError as found:
            error = found
        finally:
            tape.end()
        if tape.left <= 0 or is_over():
            break
        if isinstance(error, LeftOutError):
            notes(Note("left_out", str(error), "warning"))
            continue
        if not source.is_endless:
            if error is not None:
                raise error
            break
        wait = BACKOFF[0] if count >= ENOUGH else wait
        why = f"{source.name}: the stream ended" if error is None else str(error)
        notes(Note("disconnected", f"{why}; opening it again in {wait:g} s", "warning"))
        time.sleep(wait)
        wait = min(2 * wait, BACKOFF[1])
    return sorted(folder.glob("*.mkv")), last


class _Tape:
    """The files of a recording, one for each connection."""

    def __init__(self, folder: Path, seconds: float, *, is_dated: bool) -> None:
        self._folder, self._wanted, self._is_dated = folder, seconds, is_dated
        self._begins, self._starts = _begins(folder), dict[str, float]()
        self._had = sum(map(_length, sorted(folder.glob("*.mkv"))))
        self._first: float | None = None
        self._taken = 0.0
        self._noted = int(STEPS * self._had / seconds)
        self._file: _File | None = None

    @property
    def left(self) -> float:
        """Seconds that are still wanted."""
        return self._wanted - self._had - self._taken

    def packet(self, packet: "Packet[VideoStream]") -> None:
        """A packet of the stream as it is coded."""
        if packet.pts is None or packet.dts is None:
            return
        if self._file is not None and self._file.is_after(packet):  # the next file of a folder
            self.end()
        if self._file is None and not packet.is_keyframe:
            return
        if self._file is None:
            self._file = _File(self._free(), packet.stream)
        self._file.packet(packet)

    def frame(self, shown: Shown, *, is_coded: bool) -> None:
        """A frame, which is coded here where its packets are not had."""
        self._first = shown.seconds if self._first is None else self._first
        self._taken = max(self._taken, shown.seconds - self._first)
        if not is_coded:
            self._file = self._file or _File(self._free(), shown)
            self._file.frame(shown)
        if self._file is not None:
            self._note_begin(self._file.path.name, shown.seconds)

    def _note_begin(self, name: str, seconds: float) -> None:
        """When a file begins: of a stream as early as its first frames say, since some come late and none early."""
        self._starts.setdefault(name, seconds)
        passed = seconds - self._starts[name]
        begin = self._starts[name] if self._is_dated else time.time() - passed
        if name not in self._begins or (passed < EARLY and begin < self._begins[name] - 0.2):
            self._begins[name] = begin
            write_text(self._folder / BEGINS, json.dumps(self._begins, indent=1) + "\n")

    def note(self, notes: Notes) -> None:
        """How far it is, now and then."""
        done = self._had + self._taken
        step = min(STEPS, int(STEPS * done / self._wanted))
        if step > self._noted:
            self._noted = step
            text = f"commissioning: {spelled(done)} of {spelled(self._wanted)}"
            notes(Note("commissioning", text, facts={"seconds": round(done, 1), "of": self._wanted}))

    def end(self) -> None:
        """The connection is over: what comes next is another file."""
        self._had, self._taken, self._first = self._had + self._taken, 0.0, None
        if self._file is not None:
            self._file.close()
        self._file = None

    def _free(self) -> Path:
        taken = [int(path.stem) for path in self._folder.glob("*.mkv") if path.stem.isdecimal()]
        return self._folder / f"{max(taken, default=0) + 1:03d}.mkv"


class _File:
    """One file: of packets of a stream, or of pictures that are coded here."""

    def __init__(self, path: Path, first: "VideoStream | Shown") -> None:
        self.path, self._begin = path, None if isinstance(first, VideoStream) else first.seconds
        with _written(path):
            self._container: OutputContainer = av.open(str(path), "w", format="matroska")
            if isinstance(first, VideoStream):
                self._stream = self._container.add_stream_from_template(first)
            else:
                self._stream = self._coder(*size_of(first.picture))
        self._first: int | None = None
        self._last: int | None = None

    def is_after(self, packet: "Packet[VideoStream]") -> bool:
        """Whether a packet that has times does not follow those of this file."""
        return self._last is not None and packet.dts is not None and packet.dts <= self._last

    def _coder(self, height: int, width: int) -> VideoStream:
        options = {"crf": "8", "preset": "ultrafast", "tune": "zerolatency"}
        stream = self._container.add_stream("libx264", rate=1000, options=options)
        stream.width, stream.height, stream.pix_fmt = width - width % 2, height - height % 2, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        return stream

    def packet(self, packet: "Packet[VideoStream]") -> None:
        """The next packet."""
        if packet.pts is None or packet.dts is None:
            return
        self._first = packet.dts if self._first is None else self._first
        self._last = packet.dts
        packet.pts, packet.dts = packet.pts - self._first, packet.dts - self._first
        packet.stream = self._stream
        with _written(self.path):
            self._container.mux(packet)

    def frame(self, shown: Shown) -> None:
        """The next picture."""
        picture = shown.picture
        if not isinstance(picture, VideoFrame):
            picture = VideoFrame.from_ndarray(picture, format="gray" if picture.ndim == 2 else "rgb24")
        coded = picture.reformat(width=self._stream.width, height=self._stream.height, format="yuv420p")
        coded.pts, coded.time_base = round(1000 * (shown.seconds - (self._begin or 0.0))), Fraction(1, 1000)
        with _written(self.path):
            self._container.mux(self._stream.encode(coded))

    def close(self) -> None:
        """Write what is left."""
        with _written(self.path):
            if self._begin is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """What FFmpeg cannot write is an error of one line."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:  # most of FFmpeg's are both
        if isinstance(error, OSError) and is_full_disk(error):
            raise FullDiskError(f"{path}: the disk is full; make room") from None
        reason = str(error.strerror or type(error).__name__).lower()
        raise OutputError(f"{path}: expected to write footage, could not ({reason})") from None


def _begins(folder: Path) -> dict[str, float]:
    """When the files of a folder begin, as far as that is known."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        return {str(name): float(seconds) for name, seconds in json.loads((folder / BEGINS).read_bytes()).items()}
    return {}


def _length(path: Path) -> float:
    """Seconds of a file that is there; one that a killed process has left may have none."""
    with suppress(MetavadError):
        seconds = probe(Video(path.stem, path)).seconds
        return float(seconds[-1]) if len(seconds) else 0.0
    return 0.0


def commission(
    base: Base,
    source: Source,
    folder: Path,
    *,
    camera: str,
    seconds: float,
    shots: int = 10,
    shot_frames: int = 16,
    alarms_per_day: float | None = None,
    notes: Notes = lambda note: None,
    is_over: Callable[[], bool] = lambda: False,
) -> Commissioned | None:
    """A detector from so many seconds of the source; none where it is over before.

    The clips are spread, and have motion in them where there is some. Those that are unlike the others are left out.
    The rest of the footage sets the threshold. What somebody confirmed as abnormal of the camera's events in ``folder``
    stays confirmed: it is never shown, counts for no threshold, and what is like it scores higher. Raises
    :class:`ShotsError` for too little footage; what was recorded stays in ``folder``, and counts when this is tried
    again. Footage that made a detector does not (:func:`put_aside_later`).
    """
    _put_aside(folder)
    paths, last = record(source, folder / FOOTAGE, seconds, notes=notes, is_over=is_over)
    if is_over():
        return None
    scene, confirmed = _scene(paths, camera), confirmed_events(folder, camera)
    without = _banned(scene, _begins(folder / FOOTAGE), confirmed, base)
    shown = shots_with_motion(scene, shots, shot_frames, without=without)
    if len(shown) < shots:
        raise ShotsError(
            f"{folder / FOOTAGE}: expected footage for {shots} clips, found {len(shown)}; commission longer, or with "
            "fewer --shots"
        )

    def made(times: Sequence[tuple[str, float]]) -> Detector:
        return adapt(base, scene, shots=0, shot_frames=shot_frames, show=times, alarms_per_day=alarms_per_day)

    detector = made(shown)
    numbers = outlying_shots(detector.model)
    odd = _kept(folder / FOOTAGE, detector, numbers)
    if numbers:
        for number, path in zip(numbers, odd, strict=True):
            video, second = shown[number]
            text = f"the clip of {video} at {second:.1f} s is unlike the others, and is left out; look at it: {path}"
            notes(Note("odd_shot", text, "warning", {"picture": str(path)}))
        detector = made([each for number, each in enumerate(shown) if number not in numbers])
    known = _begins(folder / FOOTAGE)
    begins = {video: known[video.path.name] for video in scene.normal if video.path.name in known}
    calibrated = calibrate(detector, scene, begins=begins)
    for each in calibrated.notable:
        cluster = each.cluster
        if any(start < cluster.end and cluster.start < end for start, end in without.get(cluster.video, ())):
            continue
        what = "stands out, and does not count" if each.stands_out else "alarms"
        when = f"{cluster.video}, {each.event.start:.1f} to {each.event.end:.1f} s"
        text = f"in the footage for the threshold, {when} {what}, score {cluster.score:.1f}: {each.event.reason}"
        notes(Note("notable", text, "warning"))
    found = _without(calibrated.detector, without)
    found = _with_confirmed(found, base, folder, confirmed, notes)
    return Commissioned(found, odd, calibrated.seconds, last)


def put_aside_later(folder: Path) -> None:
    """The footage in a folder has made a detector that is written: another one is made of what the camera shows then.

    It is put aside when that begins.
    """
    (folder / FOOTAGE / USED).touch()


def _put_aside(folder: Path) -> None:
    if (folder / FOOTAGE / USED).exists():
        taken = [path.name.removeprefix(f"{FOOTAGE}-") for path in folder.glob(f"{FOOTAGE}-*")]
        number = max((int(each) for each in taken if each.isdecimal()), default=0) + 1
        (folder / FOOTAGE).rename(folder / f"{FOOTAGE}-{number}")


Spans = Mapping[str, Sequence[tuple[float, float]]]
"""By video, seconds from when to when."""


def _banned(scene: Scene, begins: Mapping[str, float], confirmed: Sequence[StoredEvent], base: Base) -> Spans:
    """Where the footage shows confirmed events, with all that their scores are means of."""
    past, future = base.config.scoring.past, base.config.scoring.future
    return {
        video.name: [
            (event.start - past - begin, event.end + future - begin) for event in (each.event for each in confirmed)
        ]
        for video in scene.normal
        if (begin := begins.get(video.path.name)) is not None
    }


def _without(detector: Detector, spans: Spans) -> Detector:
    """The detector whose threshold is not taken from these spans of its footage."""
    own = detector.own
    for video, each in spans.items():
        for start, end in each:
            own = left_out(own, video, start, end)
    return detector if np.array_equal(own.ruling, detector.own.ruling) else detector.with_footage(own)


def _with_confirmed(
    detector: Detector, base: Base, folder: Path, confirmed: Sequence[StoredEvent], notes: Notes
) -> Detector:
    """The detector that knows these events as abnormal, as far as it can be shown them; what it cannot is said."""
    for stored in confirmed:
        clip = clip_of_event(folder, stored)
        try:
            if clip is None:
                raise VideoError("expected its pictures, found none")
            detector = feedback(detector, clip, "abnormal", base=base).detector
        except MetavadError as error:
            text = f"event {stored.event.id}, confirmed as abnormal, does not raise what is like it any more: {error}"
            notes(Note("not_confirmed", text, "warning", {"event": stored.event.id}))
    if confirmed:
        events = "1 event" if len(detector.confirmed) == 1 else f"{len(detector.confirmed)} events"
        text = f"confirmed as abnormal before, and still: {events}"
        notes(Note("confirmed", text, facts={"events": len(detector.confirmed)}))
    return detector


def _scene(paths: Sequence[Path], camera: str) -> Scene:
    """The footage of the size that most of it has."""
    lengths = Counter[tuple[int, int]]()
    sizes = dict[Path, tuple[int, int]]()
    for path in paths:
        with suppress(VideoError):
            facts = probe(Video(path.stem, path))
            if len(facts.seconds) > 1 and facts.seconds[-1] >= min(SHORTEST, facts.frames):
                sizes[path] = facts.height, facts.width
                lengths[sizes[path]] += facts.frames
    if not lengths:
        raise ShotsError("expected footage to commission with, found none; commission longer")
    usual = lengths.most_common(1)[0][0]
    return scene_of_files([path for path in paths if sizes.get(path) == usual], camera)


def _kept(folder: Path, detector: Detector, numbers: Sequence[int]) -> tuple[Path, ...]:
    """Pictures of shots, by number."""
    found = []
    for number in numbers:
        path = folder / f"odd-{number + 1}.jpg"
        path.write_bytes(detector.pictures[number])
        found.append(path)
    return tuple(found)


def shots_with_motion(
    scene: Scene, shots: int, length: int, *, without: Spans | None = None
) -> list[tuple[str, float]]:
    """Times (video, second) around which clips are shown: of each of K stretches of the footage one with motion.

    None of them reaches into the spans ``without``. Not the liveliest, which is odd more often, but the one that has
    more motion than three in four of its stretch.
    """
    clips = [each for video in scene.normal for each in _clips(video, length, (without or {}).get(video.name, ()))]
    edges = np.linspace(0, len(clips), shots + 1).round().astype(int)
    chosen = []
    for start, stop in pairwise(edges.tolist()):
        ranked = sorted(clips[start:stop], key=lambda clip: clip[2])
        if ranked:
            video, second, _ = ranked[min(len(ranked) - 1, int(LIVELY * len(ranked)))]
            chosen.append((video, second))
    return chosen


def _clips(
    video: Video, length: int, without: Sequence[tuple[float, float]] = ()
) -> Iterator[tuple[str, float, float]]:
    """Clips of a video one after the other: its name, the second of their middle, and how much moves (a share)."""
    facts = probe(video)
    ticks = tick_frames(facts.seconds, 10.0)
    moved = _motion(video, ticks.tolist())
    for first in range(0, facts.frames - length + 1, length):
        begin, end = facts.seconds[[first, first + length - 1]].tolist()
        if any(start <= end and begin <= stop for start, stop in without):
            continue
        inside = moved[(ticks >= first) & (ticks < first + length)]
        yield video.name, float(facts.seconds[first + length // 2]), float(inside.mean()) if len(inside) else 0.0


def _motion(video: Video, ticks: Sequence[int]) -> FloatArray:
    """The share of pixels that change from the tick before (T,)."""
    shares, before = [], None
    for frame in read_frames(video, short_side=SHORT_SIDE, every=ticks):
        image = frame.image.astype(np.int16)
        shares.append(0.0 if before is None else float((np.abs(image - before) > CHANGED).mean()))
        before = image
    return np.array(shares)
