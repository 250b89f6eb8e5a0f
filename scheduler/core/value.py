"""What a value is, for kinds that a single request makes by the dozen. All others are `dataclass(frozen=True)`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def lightweight(of: type[T]) -> type[T]:
    """A frozen dataclass to mypy, which lets nobody change one; Python itself does not look.

    To look it would set every field in a way that takes several times as long as all the rest of making the value.
    """
    return dataclass(unsafe_hash=True)(of)
