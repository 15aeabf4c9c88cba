"""A box in whole pixels, as records have it."""

import math

from pydantic import BaseModel, ConfigDict

from metavad.types import Box

__all__ = ["PixelBox", "pixel_box"]


class PixelBox(BaseModel):
    """Where in the picture, in whole pixels of the file or camera."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    x: int
    """Of its left edge."""
    y: int
    """Of its upper edge."""
    width: int
    height: int


def pixel_box(box: Box) -> PixelBox:
    """The nearest one."""
    x0, y0, x1, y1 = (math.floor(value + 0.5) for value in box)
    return PixelBox(x=x0, y=y0, width=x1 - x0, height=y1 - y0)
