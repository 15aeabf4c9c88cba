"""Lengths of time in words, for people."""

import math

__all__ = ["spelled"]

_DAY = 86400.0
_UNITS = (
    (100.0, 1.0, "s"),
    (6000.0, 60.0, "min"),
    (2 * _DAY, 3600.0, "h"),
    (730 * _DAY, _DAY, "days"),
    (math.inf, 365.25 * _DAY, "years"),
)
"""Seconds below which a unit is taken, its own seconds, its name."""


def spelled(seconds: float) -> str:
    """A length of time in the unit that suits it, in two digits where it is short.

    >>> spelled(2.5), spelled(59.6), spelled(150), spelled(600), spelled(8000), spelled(1.7e9)
    ('2.5 s', '60 s', '2.5 min', '10 min', '2.2 h', '54 years')
    """
    size, unit = next((size, unit) for most, size, unit in _UNITS if seconds < most)
    count = seconds / size
    text = f"{count:.1f}".removesuffix(".0") if count < 9.95 else f"{count:,.0f}"
    return f"{text} {unit}"
