"""Where the suites, presets and tables of networks that ship lie: in a checkout, an editable install, or a wheel."""

from pathlib import Path
from typing import Literal

__all__ = ["shipped", "shipped_base"]


def shipped(kind: Literal["tasks", "configs", "networks"]) -> dict[str, Path]:
    """Shipped TOML files by name, ``{"ped2": .../ped2.toml}``.

    A wheel carries them inside the package; a checkout has them beside it.
    """
    package = Path(__file__).resolve().parent
    folders = (package / "_shipped" / kind, package.parent / kind)
    folder = next((folder for folder in folders if folder.is_dir()), folders[0])
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def shipped_base() -> Path:
    """The folder of the base that ships: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "_shipped" / "base"
    return inside if inside.is_dir() else package.parent / "base"
