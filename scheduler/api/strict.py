"""JSON as we accept it: one meaning per text. What the values mean is for the schemas."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable
from typing import Any, NoReturn

from werkzeug.exceptions import BadRequest

from scheduler.core.errors import Fault, refuse

DEEPEST = 20
_DIGITS = 18  # every such number fits 64 bits
_LINE_CONTROLS = {"\n", "\t"}


class Malformed(BadRequest):
    """The request cannot be read at all. `problem_code` is stable and goes to clients."""

    problem_code = "malformed_request"


class MalformedJson(Malformed):
    """The body is not JSON, or is JSON that readers could understand differently."""

    problem_code = "invalid_json"


def parse(raw: bytes) -> Any:
    """The value of a JSON text, its strings in NFC.

    Raises `MalformedJson` for what is not JSON or is ambiguous (duplicate keys, NaN, numbers beyond 64 bits, too deep a
    nesting), `Invalid` naming every string with control characters or lone surrogates.
    """
    try:
        value = _JSON.decode(raw.decode("utf-8"))
    except MalformedJson:
        raise
    except UnicodeDecodeError as error:
        raise MalformedJson("The body is not UTF-8.") from error
    except RecursionError as error:
        raise MalformedJson("The body is nested too deeply.") from error
    except ValueError as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise MalformedJson(f"The body is not valid JSON{where}.") from error
    return clean(value)


def clean(value: Any) -> Any:
    """The same value with every string in NFC. Raises as `parse` does."""
    faults: list[Fault] = []
    cleaned = _clean(value, "", 0, faults)
    refuse(faults)
    return cleaned


def _clean(value: Any, pointer: str, depth: int, faults: list[Fault]) -> Any:
    if depth > DEEPEST:
        raise MalformedJson("The body is nested too deeply.")
    if isinstance(value, str):
        return _text(value, pointer, faults)
    if isinstance(value, list):
        return [_clean(item, f"{pointer}/{at}", depth + 1, faults) for at, item in enumerate(value)]
    if isinstance(value, dict):
        cleaned = {}
        for key, item in value.items():
            if type(item) is str and item.isascii() and item.isprintable() and key.isascii() and key.isprintable():
                cleaned[key] = item  # as nearly all are
                continue
            known = len(faults)
            name = _text(key, pointer, faults)
            if len(faults) > known:
                continue  # a name that cannot be written needs no second look at its value
            cleaned[name] = _clean(item, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}", depth + 1, faults)
        if len(cleaned) < len(value) and not faults:
            raise MalformedJson("An object has the same key twice.")
        return cleaned
    return value


def _text(text: str, pointer: str, faults: list[Fault]) -> str:
    if text.isascii() and text.isprintable():
        return text
    for character in text:
        kind = unicodedata.category(character)
        if kind == "Cs" or (kind == "Cc" and character not in _LINE_CONTROLS):
            faults.append(Fault(pointer, "control_character", "Control characters and lone surrogates are not text."))
            break
    return unicodedata.normalize("NFC", text)


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise MalformedJson("An object has the same key twice.")
        found[key] = value
    return found


def _constant(_name: str) -> NoReturn:
    raise MalformedJson("NaN and Infinity are not JSON.")


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _DIGITS:
        raise MalformedJson("A number is out of range.")
    return int(digits)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise MalformedJson("A number is out of range.")
    return value


_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_number)
