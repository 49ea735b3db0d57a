"""Reads JSON of unknown origin into frozen dataclasses: their fields are the schema.

Types are checked field by field; depth, lengths and encoding are bounded. Whatever the text holds, the error is a
``ValueError`` of one line that names the field.
"""

from __future__ import annotations

import dataclasses
import json
import types
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

MAX_JSON_BYTES = 16_000_000
"""Size of a JSON file: 30 times that of a checkpoint's state after 1,000 epochs."""

MAX_TEXT = 1_000_000
"""Characters of one string; a card's longest is a whole training config of some thousand."""

MAX_ITEMS = 100_000
"""Values of one list; the longest are histories, an epoch each."""

SHOWN = 60
"""Characters of a refused value in an error message."""

NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def parse_json(text: str | bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: it is no JSON, or is too long or nested too deeply.
    """
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(f"expected JSON of at most {MAX_JSON_BYTES} bytes; received {len(text)}")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        OSError: it can't be read.
        ValueError: it is no plain file, no JSON, or is too long or nested too deeply.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError(f"expected a file; {path.name} is none")
    with path.open("rb") as file:
        return parse_json(file.read(MAX_JSON_BYTES + 1))


def structured(kind: type[T], value: Any, name: str = "the value") -> T:
    """The value of a field's type that parsed JSON stands for.

    Args:
        kind: bool, int, float, str, a dataclass of such, tuples of them, Literal, or X | None.
        value: as ``parse_json`` returns it.
        name: of the field, for the error message.

    Raises:
        ValueError: the value has another type, an unknown field or a missing one, or is too long.
        ModelError: a card or an entry refuses a value.

    Example:
        >>> structured(tuple[int, ...], [48, 1], "shape")
        (48, 1)
        >>> structured(int, 48.5, "size")
        Traceback (most recent call last):
        ValueError: expected size to be a whole number; received 48.5
    """
    made: T = _made(kind, value, name)
    return made


def fields_of(value: Any, name: str) -> dict[str, Any]:
    """The fields of a JSON object.

    Raises:
        ValueError: the value is no object.
    """
    if not isinstance(value, dict):
        raise _refused(name, "an object", value)
    return value


def _made(kind: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _record(kind, fields_of(value, name), name)
    if kind in NAMES:
        return _plain(kind, value, name)
    origin, parts = get_origin(kind), get_args(kind)
    if origin is tuple:
        return _tuple(parts, value, name)
    if origin is Literal:
        if value not in parts:
            raise _refused(name, f"one of {list(parts)}", value)
        return value
    if origin in (Union, types.UnionType):
        (inner,) = (part for part in parts if part is not type(None))
        return None if value is None else _made(inner, value, name)
    raise TypeError(f"no JSON stands for {kind}")


def _record(kind: Any, values: dict[str, Any], name: str) -> Any:
    hints = _hints(kind)
    if unknown := [field for field in values if field not in hints]:
        raise ValueError(f"expected no other fields of {name} than {list(hints)}; received {_shown(unknown[0])}")
    made = {field: _made(hints[field], value, f"{name}.{field}") for field, value in values.items()}
    required = {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - set(made)):
        raise ValueError(f"expected {name} with the field {missing[0]}; it lacks it")
    return kind(**made)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _plain(kind: Any, value: Any, name: str) -> Any:
    if kind is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if type(value) is not kind:  # by type, since a bool is an int for isinstance
        raise _refused(name, NAMES[kind], value)
    if kind is str:
        if len(value) > MAX_TEXT:
            raise ValueError(f"expected {name} of at most {MAX_TEXT} characters; received {len(value)}")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise _refused(name, "a text that UTF-8 can encode", value) from error
    return value


def _tuple(parts: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _refused(name, "a list", value)
    if len(value) > MAX_ITEMS:
        raise ValueError(f"expected {name} of at most {MAX_ITEMS} values; received {len(value)}")
    if parts[-1] is not Ellipsis and len(value) != len(parts):
        raise ValueError(f"expected {name} of {len(parts)} values; received {len(value)}")
    kinds = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
    return tuple(_made(kind, part, f"{name}[{at}]") for at, (kind, part) in enumerate(zip(kinds, value, strict=True)))


def _refused(name: str, expected: str, value: Any) -> ValueError:
    return ValueError(f"expected {name} to be {expected}; received {_shown(value)}")


def _shown(value: Any) -> str:
    """A value as an error message shows it; lists and objects by their kind only, since they may be deep or long."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = ascii(value[: SHOWN + 1]) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else ""
    if isinstance(value, int):
        text = str(value) if abs(value) < 10**SHOWN else "a longer number"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
