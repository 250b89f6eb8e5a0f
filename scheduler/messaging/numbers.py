"""Telephone numbers as people read and say them: in groups. Stored and dialed they are E.164."""

from __future__ import annotations

from functools import lru_cache

import phonenumbers


@lru_cache(maxsize=4096)
def grouped(number: str) -> str:
    """The number with its country's groups; whatever is no number as it is."""
    try:
        found = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
