"""Reading of JSON-like documents that never stops at the first fault: typed access by key, faults by JSON pointer.

What a visit type or a protocol means does not live here, only how its keys are read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from scheduler.core.errors import Fault, Invalid

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
SHORT_TEXT = 200

T = TypeVar("T")


class FaultList:
    """The faults found so far, in the order in which they were found."""

    def __init__(self) -> None:
        self._found: list[Fault] = []

    def add(self, pointer: str, code: str, detail: str) -> None:
        """Note one fault; the same one twice is noted once."""
        fault = Fault(pointer, code, detail)
        if fault not in self._found:
            self._found.append(fault)

    def __iter__(self) -> Iterator[Fault]:
        """In the order in which they were found."""
        return iter(self._found)

    def any(self) -> bool:
        """Whether there is one."""
        return bool(self._found)

    def mentions(self, pointer: str) -> bool:
        """Whether there is a fault at exactly this place: what follows from a value that is wrong is no fault."""
        return any(fault.pointer == pointer for fault in self._found)

    def raise_any(self, what: str) -> None:
        """Raise `Invalid` with every fault when there is at least one."""
        if self._found:
            raise Invalid(self._found, detail=f"{what} has {len(self._found)} fault(s).")


def escape(key: str) -> str:
    """One reference token of an RFC 6901 JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True)
class Node:
    """One object of a document, where it stands, and where its faults go.

    Every reader notes what is wrong and then returns a harmless stand-in, so that reading can go on.
    """

    value: Mapping[str, Any]
    pointer: str
    faults: FaultList

    @classmethod
    def root(cls, document: object, faults: FaultList) -> Node:
        """The whole document; anything but an object is a fault and reads as an empty one."""
        return cls.of(document, "", faults)

    @classmethod
    def of(cls, value: object, pointer: str, faults: FaultList) -> Node:
        """`value` as an object at `pointer`. What is none is one fault: what it lacks is not noted as well."""
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return cls(value, pointer, faults)
        faults.add(pointer, "wrong_type", "An object is expected here.")
        return cls({}, pointer, FaultList())

    def at(self, *keys: str | int) -> str:
        """The pointer of something inside this object."""
        return self.pointer + "".join(f"/{escape(str(key))}" for key in keys)

    def fault(self, keys: tuple[str | int, ...] | str, code: str, detail: str) -> None:
        """Note a fault at a key (or a path of keys) of this object."""
        path = (keys,) if isinstance(keys, str) else keys
        self.faults.add(self.at(*path), code, detail)

    def has(self, key: str) -> bool:
        """Whether the key is there with a value other than null."""
        return self.value.get(key) is not None

    def allow_only(self, keys: Collection[str]) -> None:
        """Note every key that nobody reads: a misspelled rule must not pass as no rule."""
        for key in self.value:
            if key not in keys:
                self.fault(key, "unknown_field", f"There is no field '{key}' here.")

    def text(self, key: str, *, default: str | None = None) -> str:
        """A short text that is not empty; a fault when it is missing without a default."""
        found = self._read(key, str, "A text", default)
        if found is None:
            return ""
        if not found.strip():
            if self.has(key):
                self.fault(key, "empty", "The text is empty.")
        elif len(found) > SHORT_TEXT:
            self.fault(key, "too_long", f"The text is longer than {SHORT_TEXT} characters.")
        return found

    def code(self, key: str, *, default: str | None = None) -> str:
        """A name for machines: letters, digits, `_`, `.` and `-`, at most 64 of them."""
        found = self._read(key, str, "A code", default)
        if found is None:
            return ""
        if self.has(key) and not CODE.fullmatch(found):
            self.fault(key, "not_a_code", f"'{found}' is not a code: letters, digits, '_', '.' and '-', at most 64.")
        return found

    def choice(self, key: str, choices: Collection[str], *, default: str | None = None) -> str:
        """One of the words given; a fault (`unknown_<key>`) and the first word otherwise."""
        found = self._read(key, str, "A text", default)
        if found is not None and found in choices:
            return found
        if found is not None:
            self.fault(key, f"unknown_{key}", f"'{found}' is none of {', '.join(choices)}.")
        return next(iter(choices))

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        found = self._read(key, bool, "true or false", default)
        return default if found is None else found

    def whole(self, key: str, *, least: int, most: int, default: int | None = None) -> int | None:
        """A whole number in [least, most]; None (and a fault) when it is another, or missing without a default."""
        found = self._read(key, int, "A whole number", default)
        if found is not None and self.has(key) and not least <= found <= most:
            self.fault(key, "out_of_range", f"{found} is not between {least} and {most}.")
            return None
        return found

    def optional_whole(self, key: str, *, least: int, most: int) -> int | None:
        """A whole number in [least, most], or None when it is not there."""
        return self.whole(key, least=least, most=most) if self.has(key) else None

    def optional_code(self, key: str) -> str | None:
        """A code, or None when it is not there."""
        return self.code(key) if self.has(key) else None

    def child(self, key: str) -> Node | None:
        """The object under a key, or None when it is not there."""
        return Node.of(self.value[key], self.at(key), self.faults) if self.has(key) else None

    def children(self, key: str, *, required: bool = True) -> list[Node]:
        """The objects of the list under a key; an empty or missing list is a fault when it is required."""
        nothing: list[Any] = []
        found = self._read(key, list, "A list", None if required else nothing)
        if found is None:
            return []
        if required and not found:
            self.fault(key, "empty", "The list is empty.")
        return [Node.of(item, self.at(key, index), self.faults) for index, item in enumerate(found)]

    def named_children(self, key: str) -> dict[str, Node]:
        """The objects of the mapping under a key; empty when it is not there."""
        holder = self.child(key)
        if holder is None:
            return {}
        return {name: Node.of(item, holder.at(name), self.faults) for name, item in holder.value.items()}

    def codes(self, key: str) -> tuple[str, ...]:
        """A list of codes without repetition; empty when it is not there."""
        nothing: list[Any] = []
        found = self._read(key, list, "A list", nothing)
        kept: list[str] = []
        for index, item in enumerate(found or nothing):
            if not isinstance(item, str) or not CODE.fullmatch(item):
                self.fault((key, index), "not_a_code", "A code is expected here.")
            elif item in kept:
                self.fault((key, index), "duplicate", f"'{item}' is listed twice.")
            else:
                kept.append(item)
        return tuple(kept)

    def wholes(self, key: str, *, least: int, most: int) -> tuple[int, ...]:
        """A list of whole numbers in [least, most], in order, without repetition; empty when it is not there."""
        nothing: list[Any] = []
        found = self._read(key, list, "A list", nothing) or nothing
        for index, item in enumerate(found):
            if not isinstance(item, int) or isinstance(item, bool) or not least <= item <= most:
                self.fault((key, index), "out_of_range", f"A whole number from {least} to {most} is expected here.")
                return ()
        return tuple(sorted(set(found)))

    def _read(self, key: str, kind: type[T], noun: str, default: T | None) -> T | None:
        """The value under a key when it is of the kind; a fault and None otherwise. True and false are not numbers."""
        if not self.has(key):
            if default is None:
                self.fault(key, "required", f"'{key}' is missing.")
            return default
        found = self.value[key]
        if isinstance(found, kind) and (kind is bool or not isinstance(found, bool)):
            return found
        self.fault(key, "wrong_type", f"{noun} is expected here.")
        return None
