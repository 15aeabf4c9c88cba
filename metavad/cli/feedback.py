"""``metavad feedback``: an event was normal, or it was not."""

import re
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from metavad.cli.options import Device, ManyFootage, ProgressKind, device_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metavad.normality.base import Base
    from metavad.normality.detector import Detector
    from metavad.scoring.event_clip import EventClip
    from metavad.workflows.feedback import Correction, RescoredEvent

__all__ = ["register"]

EPILOG = "Example: metavad feedback scores/today:2 --normal"
DETECTORS = Path("detectors")
WATCHED = "events.sqlite"
"""What `metavad watch` keeps its events in."""
DAY = 86_400.0
LISTED = 20
"""Alarms that are named."""


BaseFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="The base that it was made of, else sought under runs/ and as shipped.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("feedback", epilog=EPILOG, short_help="Say that an event was normal, or not.", cls=ManyFootage)(
        feedback
    )


def feedback(
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT", help="DIR:NUMBER as `metavad score` prints it, or its picture; DIR:ID of `metavad watch`."
        ),
    ],
    normal: Annotated[bool, typer.Option("--normal", help="It was normal: learn it.")] = False,
    abnormal: Annotated[
        bool, typer.Option("--abnormal", help="It was not: never take it as normal, and raise what is like it.")
    ] = False,
    detector: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The detector, else the one under detectors/ that found it.", show_default=False
        ),
    ] = None,
    base: BaseFolder = None,
    footage: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH...", help="What --no-pictures was shown: its normal videos, read again.", show_default=False
        ),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also where a confirmed event would not alarm any more.")
    ] = False,
    device: Device = "auto",
    progress: ProgressKind = "auto",
) -> None:
    """Correct a detector by an event. It gets a new version; `metavad detector rollback` brings the earlier one back.

    Says which of the last day's alarms go, and whether an event is lost that was confirmed with --abnormal.
    """
    from metavad.cli.terminal import progress_of, resuming
    from metavad.errors import BundleError, UsageError

    where, reporter = device_named(device), progress_of(progress)
    if normal == abnormal:
        raise UsageError("expected --normal or --abnormal, found both or neither")
    found = _found(event, detector)
    from metavad.cli.bases import base_of_digest
    from metavad.normality.detector import load_detector
    from metavad.scenes.listing import scene_of_files
    from metavad.workflows.feedback import feedback as corrected

    before = load_detector(found.detector).on(where)
    verdict: Literal["normal", "abnormal"] = "normal" if normal else "abnormal"

    def learned_from(digest: str) -> "Base | None":
        try:
            return base_of_digest(digest, base).on(where)
        except BundleError:
            if normal or base is not None:
                raise
            return None  # needed only where the clips showed the event: that is said then

    with resuming("nothing was changed"):
        result = corrected(
            before,
            found.clip,
            verdict,
            base=learned_from(before.base),
            alarms=[each for each in found.alarms if normal and each.score > before.threshold],
            footage=scene_of_files(footage) if footage else None,
            progress=reporter,
        )
    _save(found, before, result, verdict, anyway)


@dataclass(frozen=True)
class _Event:
    """What was named: an event, its detector, and the last day's alarms."""

    clip: "EventClip"
    detector: Path
    alarms: "tuple[EventClip, ...]"
    watched: tuple[Path, str] | None = None
    """The folder of `metavad watch`, and the id, where it is from there."""


def _found(text: str, detector: Path | None) -> _Event:
    """An event of scores, or one that `metavad watch` kept; raises :class:`UsageError` where there is none."""
    folder, number = _named(text)
    if (folder / WATCHED).is_file():
        return _of_watched(folder, number, detector)
    import warnings

    from metavad.errors import FootageWarning, OutputError
    from metavad.scoring.event_clip import clips_of_scores, results_beside

    clips, record = clips_of_scores(folder)
    clip = clips[_place(text, number, [event.picture for event in record.events])]
    place, digests = _detector_of(record.detector, detector)
    alarms: list[EventClip] = []
    for other in results_beside(folder, DAY):
        try:
            each, written = clips_of_scores(other)
        except OutputError as error:  # of another video: it is no reason not to correct this one
            warnings.warn(f"{error}; its alarms are not looked at again", FootageWarning, stacklevel=2)
            continue
        alarms += each if written.detector in digests else []
    return _Event(clip, place, tuple(alarms))


def _of_watched(folder: Path, id: str, detector: Path | None) -> _Event:
    from metavad.errors import UsageError
    from metavad.live.event_clips import clip_of_event
    from metavad.live.index import Index

    with Index(folder) as index:
        stored = index.event(id)
        camera, latest = stored.event.camera, index.events(camera=stored.event.camera, last=1)
        since = latest[-1].event.end - DAY
        others = index.events(camera=camera, since=since)
    clip = clip_of_event(folder, stored)
    if clip is None:
        why = "it still goes on" if not stored.event.is_over else stored.missing or "they were lost"
        raise UsageError(f"{folder}:{id}: expected an event with its pictures, found none ({why})")
    alarms = [clip_of_event(folder, each) for each in others if each.announced is not None or each.event.id == id]
    place, _ = _detector_of(stored.event.detector, detector)
    return _Event(clip, place, tuple(each for each in alarms if each is not None), (folder, id))


def _named(text: str) -> tuple[Path, str]:
    """``scores/today:2`` and ``scores/today/events/001.jpg`` to the folder and what is named in it."""
    from metavad.errors import UsageError

    path = Path(text)
    if path.suffix == ".jpg" and path.parent.name == "events":
        return path.parent.parent, f"events/{path.name}"
    match = re.fullmatch(r"(.+):([\w.-]{1,200})", text, re.DOTALL)
    if match is None:
        raise UsageError(
            f"{text}: expected DIR:NUMBER of an event, such as scores/today:2, as `metavad score` prints it, or DIR:ID "
            "as `metavad events` does"
        )
    return Path(match[1]), match[2]


def _place(text: str, number: str, pictures: "Sequence[str | None]") -> int:
    """Which of the events, from 0."""
    from metavad.errors import UsageError

    if not pictures:
        raise UsageError(f"{text}: expected an event, found scores without any; see `metavad events` for lower ones")
    if number in pictures:
        return pictures.index(number)
    if not number.isdecimal() or not 1 <= int(number) <= len(pictures):
        raise UsageError(f"{text}: expected an event from 1 to {len(pictures)}, found none of this number")
    return int(number) - 1


def _detector_of(digest: str, given: Path | None) -> tuple[Path, set[str]]:
    """The folder of the detector, the given one or that with this digest, and the digests of its versions."""
    from metavad.errors import UsageError

    if given is not None:
        return given, {digest, *_digests(given)}
    for place in sorted(path.parent for path in DETECTORS.glob("*/detector.json")):
        if digest in (digests := _digests(place)):
            return place, digests
    raise UsageError(
        f"expected the detector that found the event under {DETECTORS}/, found none; name it: --detector DIR"
    )


def _digests(folder: Path) -> set[str]:
    """Of what the scores of each version of a detector depend on, as far as these can be read."""
    from metavad.errors import BundleError
    from metavad.normality.detector import load_detector
    from metavad.normality.versions import history

    found = set()
    with suppress(BundleError, OSError):
        for version in history(folder):
            with suppress(BundleError, OSError):
                found.add(load_detector(folder, version=version.number).scores_digest)
    return found


def _save(
    found: _Event, before: "Detector", result: "Correction", verdict: Literal["normal", "abnormal"], anyway: bool
) -> None:
    """Write the new version, unless a confirmed event would be lost, and say what has changed."""
    from metavad.cli.terminal import say
    from metavad.errors import DataError
    from metavad.normality.detector import save_version

    detector = result.detector
    if result.lost and not anyway:
        lost = result.lost[0]
        raise DataError(
            f"{found.clip.name}: expected every confirmed event to alarm still, found that {lost.name} would not "
            f"(score {lost.after:.1f}, threshold {detector.threshold:.1f}); nothing was changed; say --anyway to do it "
            "all the same"
        )
    version = save_version(found.detector, detector, verdict, found.clip.name, of=before.digest)
    if found.watched is not None:
        from metavad.live.index import Index

        with Index(found.watched[0]) as index:
            index.note(found.watched[1], verdict=verdict)
    what = "normal from now on" if verdict == "normal" else "never taken as normal from now on"
    say(f"{found.clip.name}: {what}; {found.detector} is at version {version.number}")
    say(
        *_shown(result, len(detector.shots)),
        *_likeness(detector, verdict),
        *_alarms(result, verdict),
        *_confirmed(result),
    )
    moved = "" if detector.threshold == before.threshold else f", moved from {before.threshold:.2f}"
    say(f"  threshold {detector.threshold:.2f}{moved}: {detector.promise.text}")
    say(f"  not what you meant? metavad detector rollback {shlex.quote(str(found.detector))}")


def _shown(result: "Correction", shots: int) -> list[str]:
    if not result.shown:
        return []
    clips = "1 clip" if abs(result.shown) == 1 else f"{abs(result.shown)} clips"
    return [f"  {clips} of it {'shown' if result.shown > 0 else 'taken back'}: {shots} in all"]


def _likeness(detector: "Detector", verdict: str) -> list[str]:
    if verdict == "normal":
        return []
    if not len(detector.confirmed[-1].pattern.values):
        return ["  nothing tells it from what was shown at its place: it raises no score"]
    return [f"  what is like it, near its place, scores up to {detector.confirmed[-1].pattern.boost:.1f} higher"]


def _alarms(result: "Correction", verdict: str) -> list[str]:
    if verdict != "normal" or not result.alarms:
        return []
    gone = [each for each in result.alarms if not each.alarms]
    stay = [each for each in result.alarms if each.alarms]
    alarms = (
        "the last day's only alarm" if len(result.alarms) == 1 else f"of the last day's {len(result.alarms)} alarms"
    )
    count = {0: "none "}.get(len(gone), f"{len(gone)} ") if len(result.alarms) > 1 else "stays" if stay else ""
    head = f"  {alarms} {count}{'' if count == 'stays' else 'goes' if len(gone) == 1 else 'go'}"
    return [
        head + (":" if gone else ""),
        *_listed(gone),
        *([f"  {len(stay)} {'stays' if len(stay) == 1 else 'stay'}:"] if stay else []),
        *_listed(stay),
    ]


def _listed(outcomes: "Sequence[RescoredEvent]") -> list[str]:
    lines = [f"    {each.name}, score {each.before:.1f}, {_now(each)}" for each in outcomes[:LISTED]]
    return lines + ([f"    and {len(outcomes) - LISTED} more"] if len(outcomes) > LISTED else [])


def _now(outcome: "RescoredEvent") -> str:
    return f"now {outcome.after:.1f}" if outcome.after is not None else f"cannot be scored again: {outcome.reason}"


def _confirmed(result: "Correction") -> list[str]:
    if not result.confirmed:
        return []
    lines = [f"  confirmed, and lost: {each.name}, score {_now(each)}" for each in result.lost]
    unknown = [f"  confirmed: {each.name}, {_now(each)}" for each in result.confirmed if each.after is None]
    low = [each for each in result.confirmed if each.after is not None and not each.alarms and each not in result.lost]
    lines += [f"  confirmed, and below the threshold: {each.name}, score {_now(each)}" for each in low]
    count = len(result.confirmed) - len(lines) - len(unknown)
    held = {0: [], 1: ["  the confirmed event alarms"]}.get(count, [f"  all {count} confirmed events alarm"])
    return [*lines, *unknown, *held]
