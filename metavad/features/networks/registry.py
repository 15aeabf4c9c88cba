"""The networks that are known, as tables: what each reads and gives, its licence, and where its file is.

One TOML file each: those that ship (``networks/``), and the user's own beside their files (``METAVAD_NETWORKS``).
"""

import hashlib
import importlib.util
import os
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metavad.errors import ConfigError, DataError, nearest
from metavad.scenes.cache import cache_folder
from metavad.shipped import shipped

__all__ = [
    "Address",
    "ByHand",
    "Hub",
    "Input",
    "Network",
    "Output",
    "Package",
    "digest_named",
    "digest_of",
    "file_named",
    "find_file",
    "folder_to_fetch_to",
    "how_to_get",
    "network_named",
    "networks",
    "required_file",
]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Input(_Strict):
    """What a network wants to see: of a pixel of 0..255, ``(pixel / 255 * white - mean) / deviation``."""

    layout: Literal["NCHW", "NHWC", "NCTHW"] = "NCHW"
    channels: Literal["RGB", "BGR"] = "RGB"
    dtype: Literal["float32", "int32"] = "float32"
    frames: int = Field(default=1, ge=1)
    """Of a clip."""
    height: int = Field(default=0, ge=0)
    """Pixels; 0: any."""
    width: int = Field(default=0, ge=0)
    fit: Literal["any", "letterbox", "squeeze", "crop"] = "any"
    """How a picture comes to this size: as it is, in the upper left of a square of grey 114, squeezed into it, or a
    square around one person."""
    white: float = Field(default=1.0, gt=0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)


class Output(_Strict):
    """What it gives: how numbers lie, in words and axis letters; ``rows``: x0, y0, x1, y1, confidence of each box."""

    layout: Literal["grids", "vector", "rows", "yolox", "fastestdet", "movenet"]
    shape: str
    mean: tuple[float, ...] = ()
    """Of each channel over ordinary pictures, where patches are measured by it."""
    deviation: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Standard deviation of each channel, likewise."""


class Address(_Strict):
    """A file at a public address."""

    kind: Literal["address"] = "address"
    url: str = Field(pattern=r"^https?://\S+$")


class Package(_Strict):
    """A file within a Python package, whose code is not run."""

    kind: Literal["package"]
    package: str
    path: str


class Hub(_Strict):
    """Weights that a library fetches and keeps itself, by their name on its hub."""

    kind: Literal["hub"]
    library: str
    name: str


class ByHand(_Strict):
    """No public address; what is known of where it comes from."""

    kind: Literal["by hand"]
    advice: str


class Network(_Strict):
    """A pretrained network of others."""

    title: str
    reference: str
    gives: Literal["patches", "boxes", "keypoints", "embedding"]
    licence: str
    file: str = Field(default="", pattern=r"^(\w[\w.+-]*)?$")
    """What its file is called; empty where a library keeps it."""
    bytes: int = Field(default=0, ge=0)
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{8,64})?$")
    """Of the file: all 64 digits, or as many first ones as its makers publish."""
    input: Input
    output: Output
    source: Annotated[Address | Package | Hub | ByHand, Field(discriminator="kind")]


def networks() -> dict[str, Network]:
    """Every known network by name: those that ship, then the user's own, which may take the place of one.

    Raises :class:`DataError` for a file that is no such table.
    """
    own = _own_folder()
    tables = {path.stem: path for path in sorted(own.glob("*.toml"))} if own else {}
    return {name: _read(path, path.stat().st_mtime_ns) for name, path in {**shipped("networks"), **tables}.items()}


def network_named(name: str) -> Network:
    """The network of this name; raises :class:`ConfigError` where there is none."""
    known = networks()
    if name not in known:
        raise ConfigError(f"expected a known network, found {name!r}; {nearest(name, known)}")
    return known[name]


def find_file(name: str) -> Path | None:
    """Where the file of a known network lies, whatever is in it; ``None`` where it does not.

    Looked for in ``METAVAD_NETWORKS``, in the cache, in the installed package and in torch's own cache, in this order.
    """
    network = network_named(name)
    places = [folder / network.file for folder in _folders()]
    if isinstance(network.source, Package):
        places += _within(network.source)
    return next((place for place in places if network.file and place.is_file()), None)


def required_file(name: str) -> Path:
    """The file of a known network, with the digest that its table states.

    Raises :class:`DataError` in one line that says how to get it.
    """
    network, file = network_named(name), find_file(name)
    if file is None:
        raise DataError(f"{name}: expected its file {network.file}, found none; {how_to_get(name, network)}")
    if not digest_of(file).startswith(network.sha256):
        raise DataError(
            f"{file}: expected {name} with sha256 {network.sha256}, found {digest_of(file)}; remove it, then "
            f"{how_to_get(name, network)}"
        )
    return file


def how_to_get(name: str, network: Network) -> str:
    """What a user can do, as the end of a line."""
    match network.source:
        case Address():
            return f"metavad networks fetch {name}"
        case Package(package=package):
            return f"pip install --force-reinstall {package}"
        case Hub(library=library):
            return f"pip install {library}, which fetches it when it is used"
        case ByHand(advice=advice):
            return f"put it into the folder that METAVAD_NETWORKS names ({advice})"


def file_named(text: str | Path, setting: str) -> Path:
    """The file that a setting names: a known network, or a path.

    Raises :class:`ConfigError` where there is nothing, and what :func:`required_file` raises.
    """
    if str(text) in networks():
        return required_file(str(text))
    if not Path(text).is_file():
        raise ConfigError(
            f"{setting}: expected a file or the name of a network, found nothing at {str(text)!r}; "
            f"{nearest(str(text), networks())}"
        )
    return Path(text)


def digest_of(path: str | Path) -> str:
    """Sha256 of a file, so that a cache knows one file of weights from another; empty where there is none."""
    file = Path(path)
    return _digest(file, file.stat().st_mtime_ns, file.stat().st_size) if file.is_file() else ""


def digest_named(text: str) -> str:
    """Digest of the file that a setting names, a known network or a path; empty where there is none."""
    file = find_file(text) if text in networks() else Path(text)
    return digest_of(file) if file else ""


def folder_to_fetch_to() -> Path:
    """``METAVAD_NETWORKS``, else a folder in the cache that its limit does not count."""
    return _own_folder() or cache_folder() / "networks"


@lru_cache(maxsize=64)
def _digest(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> Network:
    try:
        return Network.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        mistake = error.errors()[0]
        where = ".".join(map(str, mistake["loc"]))
        raise DataError(
            f"{path}: expected a network's table, found a mistake in {where!r}: {mistake['msg']}"
        ) from error
    except ValueError as error:
        raise DataError(f"{path}: expected TOML, found a mistake: {error}") from error


def _own_folder() -> Path | None:
    named = os.environ.get("METAVAD_NETWORKS")
    return Path(named).absolute() if named else None


def _folders() -> list[Path]:
    own = _own_folder()
    return [*([own] if own else []), cache_folder() / "networks", _torch_folder()]


def _torch_folder() -> Path:
    """Where torch keeps weights that it has fetched (``torch.hub``), found without importing it."""
    home = os.environ.get("TORCH_HOME")
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return (Path(home) if home else Path(caches) / "torch").expanduser() / "hub" / "checkpoints"


def _within(source: Package) -> list[Path]:
    found = importlib.util.find_spec(source.package.replace("-", "_"))
    return [Path(folder) / source.path for folder in (found.submodule_search_locations or [])] if found else []
