"""Strategies that break valid inputs the way networks, disks and enemies do.

`MRMARKET_FUZZ=long` looks much longer; `MRMARKET_FUZZ=<n>` sets the number of examples of each test.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mrmarket.core.errors import MrMarketError

_ASKED: Final = os.environ.get("MRMARKET_FUZZ", "")
EXAMPLES: Final = 20_000 if _ASKED == "long" else int(_ASKED or 60)
FUZZ: Final = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)

NUMBERS: Final = (
    *("0", "-0", "-1", "1e999999", "1e-999999", "-1e400", "1E+999999999", "1e999999999999999999"),
    *("NaN", "Infinity", "-Infinity", "nan", "inf", "9" * 400, "0." + "0" * 400 + "1", "9007199254740993"),
    *(
        "9223372036854775808",
        "-9223372036854775809",
        "0x10",
        "1_000",
        "٣",
        "1,5",
        "+1",
        " 1",
        "1 ",
        ".",
        "--1",
    ),
    *("9" * 5_000, "1e", "1.5", "true", "null", '""', '"1"', "[]", "{}"),
)
"""What may stand where a number is expected."""
TEXTS: Final = (
    *(
        "",
        " ",
        "\x00",
        "a\x00b",
        "\r\nX-Evil: 1",
        "\ud800",
        "\udfff\ud800",
        "\U0010ffff",
        "é",
        "\u202e",
        "A" * 5_000,
    ),
    *(
        "../../../etc/passwd",
        "/etc/passwd",
        "%00",
        "%",
        "%zz",
        "${x}",
        "{0.__class__}",
        "';--",
        "<script>",
        "\\",
    ),
    *(
        "NaN",
        "1e999999999",
        "-1",
        "null",
        "__proto__",
        "\n",
        "\t",
        "1970-01-01",
        "9999-99-99T99:99:99Z",
        "0" * 400,
    ),
)
"""What may stand where a text is expected."""
_NESTED: Final = tuple(
    pair
    for depth in (50, 1_500, 15_000)
    for pair in ("[" * depth, '{"a":' * depth, "[" * depth + "]" * depth)
)
_LEAVES: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**60, max_value=2**70),
    st.floats(),
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.text(max_size=20),
    st.builds(list),
    st.builds(dict),
)
JSON: Final = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(TEXTS) | st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
"""Any document, within reason."""


def json_text(document: object) -> bytes:
    """A document as bytes, with what JSON forbids left in."""
    return json.dumps(document).encode("utf-8", "surrogatepass")


@st.composite
def mangled(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """One of the valid inputs, broken in one to three places."""
    content = draw(st.sampled_from(list(seeds)))
    if draw(st.integers(0, 2)) == 0:
        content = _other_leaf(draw, content)
    for _ in range(draw(st.integers(0, 3))):
        content = draw(st.sampled_from(_CHANGES))(draw, content)
    return content


def documents(seeds: Sequence[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """One of the valid structures with some of its values replaced, left out or added."""
    names = sorted({name for seed in seeds for name in seed})

    @st.composite
    def changed(draw: st.DrawFn) -> dict[str, Any]:
        document = dict(draw(st.sampled_from(list(seeds))))
        for name in draw(st.lists(st.sampled_from(names), max_size=4)):
            document[name] = draw(JSON)
        for name in draw(st.lists(st.sampled_from(names), max_size=2)):
            document.pop(name, None)
        return document

    return changed()


def refuse_or_take(parse: Callable[[Any], object], content: object) -> bool:
    """Whether it was taken; any other failure than one of ours fails the test."""
    try:
        parse(content)
    except MrMarketError as error:
        refused = error
    except RecursionError:
        pytest.fail("a deeply nested input came out as a RecursionError")
    else:
        return True
    assert refused.code != MrMarketError.code
    assert str(refused)
    return False


def _other_leaf(draw: st.DrawFn, content: bytes) -> bytes:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return content
    paths = list(_paths(document, ()))
    if not paths:
        return content
    path = draw(st.sampled_from(paths))
    here = document
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = draw(JSON)
    return json_text(document)


def _paths(document: object, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    items: list[tuple[Any, object]] = []
    if isinstance(document, dict):
        items = list(document.items())
    elif isinstance(document, list):
        items = list(enumerate(document))
    for key, inner in items:
        found.append((*path, key))
        found += _paths(inner, (*path, key))
    return found


def _at(draw: st.DrawFn, content: bytes) -> int:
    return draw(st.integers(0, len(content)))


def _flip(draw: st.DrawFn, content: bytes) -> bytes:
    if not content:
        return content
    changed, at = bytearray(content), draw(st.integers(0, len(content) - 1))
    changed[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(changed)


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    return content[: _at(draw, content)]


def _delete(draw: st.DrawFn, content: bytes) -> bytes:
    at = _at(draw, content)
    return content[:at] + content[at + draw(st.integers(1, 12)) :]


def _repeat(draw: st.DrawFn, content: bytes) -> bytes:
    at, length = _at(draw, content), draw(st.integers(1, 40))
    return content[: at + length] + content[at:]


def _insert(draw: st.DrawFn, content: bytes) -> bytes:
    at = _at(draw, content)
    text = draw(st.sampled_from((*TEXTS, *NUMBERS)) | st.text(max_size=8))
    return content[:at] + text.encode("utf-8", "surrogatepass") + content[at:]


def _bytes(draw: st.DrawFn, content: bytes) -> bytes:
    at = _at(draw, content)
    return content[:at] + draw(st.binary(min_size=1, max_size=12)) + content[at:]


def _number(draw: st.DrawFn, content: bytes) -> bytes:
    digits = [at for at, byte in enumerate(content) if chr(byte).isdigit()]
    if not digits:
        return content
    at = draw(st.sampled_from(digits))
    end = at
    while end < len(content) and (chr(content[end]).isdigit() or content[end : end + 1] == b"."):
        end += 1
    return content[:at] + draw(st.sampled_from(NUMBERS)).encode() + content[end:]


def _nest(draw: st.DrawFn, content: bytes) -> bytes:
    colons = [at + 1 for at, byte in enumerate(content) if byte == ord(":")]
    at = draw(st.sampled_from([0, 1, *colons, len(content)]))
    return content[:at] + draw(st.sampled_from(_NESTED)).encode() + content[at:]


def _double_key(draw: st.DrawFn, content: bytes) -> bytes:
    at = content.find(b"{") + 1
    end = content.find(b",", at)
    if at == 0 or end < 0:
        return content
    return content[: end + 1] + content[at : end + 1] + content[end + 1 :]


_CHANGES: Final[tuple[Callable[[st.DrawFn, bytes], bytes], ...]] = (
    *(_flip, _cut, _delete, _repeat, _insert, _bytes, _number, _number, _nest, _double_key),
)
