"""Letters in pictures: one typeface, which knows more than ASCII."""

from functools import cache
from pathlib import Path

import matplotlib as mpl
from PIL import ImageDraw, ImageFont

__all__ = ["fitting", "font"]


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size)


def fitting(draw: ImageDraw.ImageDraw, text: str, room: int, size: int) -> str:
    """As much of a text of this size as there is room for, in pixels."""
    if draw.textlength(text, font(size)) <= room:
        return text
    while text and draw.textlength(f"{text}…", font(size)) > room:
        text = text[:-1]
    return f"{text.rstrip()}…"
