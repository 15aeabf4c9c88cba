"""What a watched camera's folder remembers between two runs, whatever ended the first one."""

import json
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metavad.errors import OutputError
from metavad.files import write_bytes, write_text
from metavad.live.types import Clock
from metavad.normality.detector import Detector
from metavad.scoring.looks import looks_key
from metavad.scoring.novelty import Stood

__all__ = [
    "KNOWN",
    "STATE",
    "STOOD",
    "CutEvent",
    "KnownEvent",
    "WatchState",
    "load_state",
    "load_stood",
    "save_state",
    "save_stood",
]

STATE = "state.json"
STOOD = "stood.npz"
"""What was there in the last ten minutes."""
KNOWN = 20
"""Events that are remembered, so that what comes twice is told once."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class KnownEvent(_Form):
    """An event that is over."""

    id: str
    start: float
    end: float


class CutEvent(_Form):
    """An event that a gap has cut: one that begins soon after the gap goes on from it."""

    id: str
    end: float


class WatchState(_Form):
    """``state.json``; times are seconds on the camera's clock."""

    version: Literal[1] = Field(default=1, validation_alias="schema", serialization_alias="schema")
    camera: str
    source: str
    """For people."""
    clock: Clock
    offset: float | None = None
    """What the times of the stream were shifted by; none where they are on the camera's clock."""
    last: float | None = None
    """Of the last frame that was scored: earlier ones are known."""
    wall: float = 0.0
    """This machine's clock then, in UTC."""
    recordings: Annotated[int, Field(ge=0)] = 0
    """How many have begun."""
    known: tuple[KnownEvent, ...] = ()
    cut: CutEvent | None = None

    def of(self, camera: str, source: str, clock: Clock, folder: Path) -> Self:
        """The same; raises :class:`OutputError` where it is that of another camera or clock."""
        if (self.camera, self.clock) != (camera, clock) or (clock == "file" and self.source != source):
            raise OutputError(
                f"{folder}: expected the events of {camera} ({source}), found those of {self.camera} ({self.source}); "
                "name another --out"
            )
        return self


def load_state(folder: Path) -> WatchState | None:
    """What the folder remembers; none where nothing was watched into it. Raises :class:`OutputError` for another file.

    A file that is empty is none: no system keeps one whole through every loss of power.
    """
    path = folder / STATE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if not content.strip(b"\0 \n"):
        return None
    try:
        return WatchState.model_validate_json(content)
    except ValidationError:
        raise OutputError(
            f"{path}: expected what `metavad watch` remembers, found something else; remove it to begin anew"
        ) from None


def save_state(folder: Path, state: WatchState) -> None:
    """Write it, whole or not at all."""
    write_text(folder / STATE, state.model_dump_json(indent=1, by_alias=True) + "\n")


def load_stood(folder: Path, detector: Detector, camera: str) -> tuple[Stood, ...]:
    """What was there in the last ten minutes; nothing where that is not known, or of another camera or other settings.

    What no detector can use any more is removed.
    """
    if detector.bank is None or not (folder / STATE).exists():
        with suppress(OSError):
            (folder / STOOD).unlink(missing_ok=True)
        return ()
    try:
        with np.load(folder / STOOD, allow_pickle=False) as kept:
            key, seconds, rows = str(kept["key"]), kept["seconds"], kept["rows"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return ()
    return tuple(zip(seconds.tolist(), rows, strict=True)) if key == _stood_key(detector, camera) else ()


def save_stood(folder: Path, detector: Detector, camera: str, stood: Sequence[Stood]) -> None:
    """Write it, whole or not at all."""
    content, (seconds, rows) = BytesIO(), zip(*stood, strict=True)
    key = np.array(_stood_key(detector, camera))
    np.savez_compressed(content, key=key, seconds=np.array(seconds), rows=np.stack(rows))
    write_bytes(folder / STOOD, content.getvalue())


def _stood_key(detector: Detector, camera: str) -> str:
    return json.dumps({"camera": camera, **looks_key(detector)}, sort_keys=True, default=str)
