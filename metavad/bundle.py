"""What was learned, as one folder: tensors, facts and small files under one digest.

::

    lobby/detector.safetensors    tensors
    lobby/detector.json           facts; size and sha256 of every other file; a digest over all of that
    lobby/pictures/000.jpg        small files

A folder is whole or not there. A bit that changed anywhere is found when it is opened, and so is a number that is
not finite; what is in it is held against what its settings expect by :func:`check_tensors` and :func:`facts_as`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from metavad.errors import BundleError, NonFiniteError
from metavad.files import atomic_directory, write_text

__all__ = [
    "Bundle",
    "Kind",
    "bundle_digest",
    "check_tensors",
    "damaged",
    "facts_as",
    "flattened",
    "grouped",
    "load_bundle",
    "misfit",
    "save_bundle",
    "save_facts",
]

Facts = TypeVar("Facts", bound=BaseModel)


@dataclass(frozen=True)
class Kind:
    """What a folder holds: the name of its two files, the version of their format, and what to do without one."""

    name: str
    title: str
    """With its article, for messages."""
    version: int
    make: str
    """What to do where there is none."""
    mend: str
    """What to do where it is damaged."""
    gaps: tuple[str, ...] = ()
    """Groups of tensors in which NaN stands for what is not known."""

    @property
    def tensors(self) -> str:
        """The file of the tensors."""
        return f"{self.name}.safetensors"

    @property
    def facts(self) -> str:
        """The file of everything else."""
        return f"{self.name}.json"


@dataclass(frozen=True)
class Bundle:
    """Tensors by ``"group/name"``, plain JSON values, and small files by their path in the folder."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)


def save_bundle(folder: Path, kind: Kind, bundle: Bundle) -> None:
    """Write a new folder, whole or not at all; raises :class:`NonFiniteError` for numbers that are none."""
    _stop_unless_finite(folder, kind, bundle)
    tensors, document = _written(kind, bundle)
    text = json.dumps(document, indent=1)
    with atomic_directory(folder) as beside:
        for name, content in {kind.tensors: tensors, kind.facts: text.encode(), **bundle.files}.items():
            (beside / name).parent.mkdir(exist_ok=True)
            (beside / name).write_bytes(content)


def save_facts(folder: Path, kind: Kind, bundle: Bundle) -> None:
    """Replace the facts of a folder, in one step; raises :class:`BundleError` unless the rest is as it is there."""
    _stop_unless_finite(folder, kind, bundle)
    before, (_, document) = _document(folder, kind), _written(kind, bundle)
    if any(before.get(name) != document[name] for name in ("tensors", "files")):
        raise damaged(folder, kind, "other tensors or files than those whose facts change")
    write_text(folder / kind.facts, json.dumps(document, indent=1))


def bundle_digest(kind: Kind, bundle: Bundle) -> str:
    """sha256 over all tensors, facts and files: the one that is written into the folder."""
    return str(_written(kind, bundle)[1]["digest"])


def load_bundle(folder: Path, kind: Kind) -> Bundle:
    """What :func:`save_bundle` wrote; raises :class:`BundleError` where anything of it is not as it was written."""
    document = _document(folder, kind)
    try:
        known = _Document.model_validate(document, strict=True)
        if known.digest != _digest({key: value for key, value in document.items() if key != "digest"}):
            raise ValueError(f"{kind.facts} was changed")
        files = {name: _content(folder / name, recorded) for name, recorded in known.files.items()}
        tensors = load(_content(folder / kind.tensors, known.tensors))
        if name := _not_finite(kind, tensors):
            raise ValueError(f"NaN or infinity in {name}")
    except ValidationError as error:
        raise damaged(folder, kind, f"{kind.facts}: {_mistake(error)}") from None
    except (ValueError, SafetensorError) as error:
        raise damaged(folder, kind, str(error)) from None
    return Bundle(dict(sorted(tensors.items())), dict(known.model_extra or {}), files)


def facts_as(folder: Path, kind: Kind, bundle: Bundle, model: type[Facts]) -> Facts:
    """The facts as a typed table; raises :class:`BundleError` for a wrong name, type or range."""
    try:
        return model.model_validate_json(json.dumps(dict(bundle.facts)), strict=True)
    except ValidationError as error:
        raise damaged(folder, kind, f"{kind.facts}: {_mistake(error)}") from None


def check_tensors(
    folder: Path,
    kind: Kind,
    group: str,
    found: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    other: Mapping[str, Tensor] | None = None,
) -> None:
    """Raises :class:`BundleError` unless names, types and shapes are those of ``wanted``: :func:`misfit`."""
    if what := misfit(found, wanted, other):
        raise damaged(folder, kind, f"{group}/{what}")


def misfit(
    found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], other: Mapping[str, Tensor] | None = None
) -> str | None:
    """What is wrong with the first tensor whose name, type or shape is not that of ``wanted``; none where all fit.

    ``other`` is a second example of the same: an axis whose length differs between the two counts things, and may
    have any length.
    """
    for name in sorted(found.keys() | wanted.keys()):
        if name not in found or name not in wanted:
            return f"{name} is missing" if name in wanted else f"{name} is no tensor of its settings"
        lengths = zip(wanted[name].shape, (wanted if other is None else other)[name].shape, strict=True)
        loose = {axis for axis, (one, two) in enumerate(lengths) if one != two}
        here, there = (_outline(each[name], loose) for each in (found, wanted))
        if here != there:
            return f"{name} is {here}, its settings say {there}"
    return None


def _outline(tensor: Tensor, loose: Set[int]) -> str:
    """Such as ``float32 [8, any, 3]``."""
    shape = ["any" if axis in loose else str(length) for axis, length in enumerate(tensor.shape)]
    return f"{str(tensor.dtype).removeprefix('torch.')} [{', '.join(shape)}]"


def flattened(groups: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Groups of tensors as one table, keys ``"group/name"``; groups in their order, names in order."""
    return {f"{group}/{name}": part[name] for group, part in groups.items() for name in sorted(part)}


def grouped(
    folder: Path, kind: Kind, tensors: Mapping[str, Tensor], names: Sequence[str]
) -> dict[str, dict[str, Tensor]]:
    """The groups of these names, empty ones too; raises :class:`BundleError` for a tensor of none of them."""
    groups: dict[str, dict[str, Tensor]] = {name: {} for name in names}
    for key, tensor in tensors.items():
        group, _, name = key.partition("/")
        if group not in groups:
            raise damaged(folder, kind, f"{key} belongs to nothing")
        groups[group][name] = tensor
    return groups


def damaged(folder: Path, kind: Kind, found: str) -> BundleError:
    """The error for a folder whose content is not what it should be."""
    return BundleError(f"{folder}: expected {kind.title} as it was written, found a damaged one ({found}); {kind.mend}")


class _File(BaseModel):
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


Inside = Annotated[str, StringConstraints(pattern=r"^[\w-]+(/[\w-]+)*\.\w+$")]
"""A path that stays in the folder."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="allow")

    format: int
    digest: str
    tensors: _File
    files: dict[Inside, _File]


_MOST = 1 << 26
"""Bytes of a file of facts, which holds some thousand."""


def _document(folder: Path, kind: Kind) -> dict[str, Any]:
    """The file of facts as plain values, of the version that this code writes."""
    try:
        document = json.loads(_bytes(folder / kind.facts, _MOST))
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(
            f"{folder}: expected {kind.title} ({kind.facts} and {kind.tensors}), found none; {kind.make}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise damaged(folder, kind, f"{kind.facts}: {error}") from None
    found = document.get("format") if isinstance(document, dict) else None
    if found != kind.version:
        raise BundleError(
            f"{folder}: expected {kind.title} of format {kind.version}, found one of format {found} that another "
            f"version of metavad wrote; {kind.mend}"
        )
    return dict(document)


def _content(path: Path, recorded: _File) -> bytes:
    """A file of the folder, of the size and digest that were put down; raises :class:`ValueError`."""
    try:
        content = _bytes(path, recorded.bytes)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{path.name} is missing") from None
    if hashlib.sha256(content).hexdigest() != recorded.sha256:
        raise ValueError(f"{path.name} was changed")
    return content


def _bytes(path: Path, most: int) -> bytes:
    """All of a file that is no larger than it may be: what a size claims is not allocated before it is checked."""
    if path.stat().st_size > most:
        raise ValueError(f"{path.name} is larger than {most} bytes")
    return path.read_bytes()


def _written(kind: Kind, bundle: Bundle) -> tuple[bytes, dict[str, Any]]:
    """What the file of tensors holds, and the values of the file of facts."""
    tensors = save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in bundle.tensors.items()})
    files = {name: _described(content) for name, content in bundle.files.items()}
    document = {"format": kind.version, "tensors": _described(tensors), "files": files, **bundle.facts}
    return tensors, {"digest": _digest(document), **document}


def _described(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _digest(document: Mapping[str, Any]) -> str:
    """sha256 over every value, however the file is laid out; raises :class:`ValueError` for NaN and infinity."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _stop_unless_finite(folder: Path, kind: Kind, bundle: Bundle) -> None:
    found = _not_finite(kind, bundle.tensors)
    try:
        _digest(bundle.facts)
    except ValueError:
        found = kind.facts
    if found is not None:
        raise NonFiniteError(
            f"{folder}: expected finite numbers to keep, found NaN or infinity in {found}; nothing was written"
        )


def _not_finite(kind: Kind, tensors: Mapping[str, Tensor]) -> str | None:
    """The first tensor with a number that is none; NaN is one where it stands for what is not known."""
    for name, tensor in tensors.items():
        wrong = tensor.isinf() if name.partition("/")[0] in kind.gaps else ~tensor.isfinite()
        if wrong.any():
            return name
    return None


def _mistake(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'].lower()}"
