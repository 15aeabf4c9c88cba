"""Ways in which a file goes wrong: bytes for `fuzz.py`, each a function of content and a generator."""

import json
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["damaged", "damaged_json", "damaged_text"]

Random = np.random.Generator
HEADER = 512
"""Half of all damage lies in so many bytes at the beginning."""
LONGEST = 64
NUMBERS = (
    "0",
    "-1",
    "1",
    "2147483648",
    "-9223372036854775809",
    "1e999",
    "nan",
    "inf",
    "0.5",
    "9" * 400,
    "",
    "1_0",
    "٣",
)
VALUES = (None, True, -1, 0, 1e308, 2**63, "", "nan", [], {}, [[]], "../../sibling/out", "\x1b[31m\n", 0.5)
"""What stands in a JSON file where something else should."""


def damaged(content: bytes, random: Random, words: Sequence[bytes] = ()) -> bytes:
    """``content`` after one to four accidents, or something else altogether."""
    if random.random() < 0.05:
        return _replaced(content, random, words)
    for _ in range(int(random.integers(1, 5))):
        content = _WAYS[int(random.integers(len(_WAYS)))](content, random, words)
    return content


def damaged_text(content: bytes, random: Random, words: Sequence[bytes] = ()) -> bytes:
    """The same for text: lines and numbers go wrong more often than bits."""
    if random.random() < 0.3:
        return damaged(content, random, words)
    for _ in range(int(random.integers(1, 4))):
        content = _TEXT_WAYS[int(random.integers(len(_TEXT_WAYS)))](content, random, words)
    return content


def damaged_json(content: bytes, random: Random, words: Sequence[bytes] = ()) -> bytes:
    """The same for JSON that stays JSON: some value is another, or gone, or twice."""
    if random.random() < 0.4:
        return damaged_text(content, random, words)
    tree = json.loads(content)
    places = list(_places(tree))
    for _ in range(int(random.integers(1, 4))):
        inside, key = places[int(random.integers(len(places)))]
        _changed(inside, key, random)
    return json.dumps(tree).encode()


def _places(tree: object) -> "list[tuple[dict | list, str | int]]":
    """Every value of a tree as what holds it, and under which key."""
    keys = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    found = [(tree, key) for key, _ in keys]
    return [*found, *(place for _, value in keys for place in _places(value))]


def _changed(inside: "dict | list", key: "str | int", random: Random) -> None:
    what = int(random.integers(4))
    if (isinstance(inside, list) and not 0 <= int(key) < len(inside)) or (
        isinstance(inside, dict) and key not in inside
    ):
        return  # gone by an earlier accident
    if what == 0:
        del inside[key]
    elif what == 1 and isinstance(inside, list):
        inside.append(inside[key])
    else:
        inside[key] = VALUES[int(random.integers(len(VALUES)))]


# --- bytes ------------------------------------------------------------------------------------------------------


def _at(content: bytes, random: Random) -> int:
    limit = min(HEADER, len(content)) if random.random() < 0.5 else len(content)
    return int(random.integers(limit + 1))


def _span(content: bytes, random: Random) -> tuple[int, int]:
    start = _at(content, random)
    return start, min(len(content), start + int(random.integers(1, LONGEST)))


def _flipped(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    found = bytearray(content)
    for _ in range(int(random.integers(1, 9)) if found else 0):
        found[min(_at(content, random), len(found) - 1)] ^= 1 << int(random.integers(8))
    return bytes(found)


def _overwritten(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    start, end = _span(content, random)
    return content[:start] + random.bytes(end - start) + content[end:]


def _zeroed(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    start, end = _span(content, random)
    return content[:start] + bytes(end - start) + content[end:]


def _removed(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    start, end = _span(content, random)
    return content[:start] + content[end:]


def _inserted(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    start = _at(content, random)
    word = words[int(random.integers(len(words)))] if words and random.random() < 0.5 else random.bytes(_few(random))
    return content[:start] + word + content[start:]


def _repeated(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    start, end = _span(content, random)
    return content[:end] + content[start:end] * int(random.integers(1, 4)) + content[end:]


def _torn(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    return content[: _at(content, random)]


def _huge(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """A count or a length in a header that cannot be."""
    start, wide = _at(content, random), int(random.choice([2, 4, 8]))
    number = [b"\xff" * wide, b"\x7f" + b"\xff" * (wide - 1), b"\xff" * (wide - 1) + b"\x7f"][int(random.integers(3))]
    return content[:start] + number + content[start + wide :]


def _replaced(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    whole = [b"", b"\0", bytes(4096), random.bytes(2048), content * 2, b"\xff\xfe" + content, *words]
    return whole[int(random.integers(len(whole)))]


def _few(random: Random) -> int:
    return int(random.integers(1, LONGEST))


# --- text -------------------------------------------------------------------------------------------------------


def _line(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """A line is gone, twice, elsewhere, or one of the words."""
    lines = content.splitlines(keepends=True) or [b""]
    one, other = (int(number) for number in random.integers(len(lines), size=2))
    word = words[int(random.integers(len(words)))] if words else b"\n"
    changed = [[], [lines[one]] * 2, [lines[other]], [word + b"\n"]][int(random.integers(4))]
    return b"".join([*lines[:one], *changed, *lines[one + 1 :]])


def _number(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """A number is another."""
    import re

    found = list(re.finditer(rb"\d+(\.\d+)?", content))
    if not found:
        return content + b"1"
    match = found[int(random.integers(len(found)))]
    return content[: match.start()] + NUMBERS[int(random.integers(len(NUMBERS)))].encode() + content[match.end() :]


def _quoted(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """What stands in quotes is one of the words."""
    import re

    found = list(re.finditer(rb'"[^"\n]*"', content))
    if not found or not words:
        return content
    match = found[int(random.integers(len(found)))]
    return content[: match.start() + 1] + words[int(random.integers(len(words)))] + content[match.end() - 1 :]


def _encoded(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """Another encoding, another end of the line, a mark at the beginning."""
    text = content.decode("utf-8", "replace")
    forms = [text.encode("utf-16"), b"\xef\xbb\xbf" + content, content.replace(b"\n", b"\r\n"), content + b"\xe9\n"]
    return forms[int(random.integers(len(forms)))]


_Way = Callable[[bytes, Random, Sequence[bytes]], bytes]
_WAYS: tuple[_Way, ...] = (_flipped, _overwritten, _zeroed, _removed, _inserted, _repeated, _torn, _huge)
_TEXT_WAYS: tuple[_Way, ...] = (_line, _line, _number, _number, _quoted, _quoted, _encoded, _flipped)
