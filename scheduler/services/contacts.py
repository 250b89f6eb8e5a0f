"""Addresses in one spelling: e-mail and telephone numbers as they are stored, compared and written to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from scheduler.core.errors import Fault, Invalid

#: Where a number without a country code is taken to be.
REGION = "US"


def email(value: str, pointer: str) -> str:
    """The address with its domain in lower case. Raises Invalid (`invalid_email`); the network is not asked."""
    try:
        # Names under .test lead nowhere, which is what demonstrations want.
        return validate_email(value, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise Invalid([Fault(pointer, "invalid_email", "This is not an e-mail address.")]) from error


def phone(value: str, pointer: str) -> str:
    """The number in E.164. Raises Invalid (`invalid_phone`), also for one with an extension, which no text reaches."""
    fault = Fault(pointer, "invalid_phone", "This is not a telephone number that can be called from anywhere.")
    try:
        number = phonenumbers.parse(value, REGION)
    except phonenumbers.NumberParseException as error:
        raise Invalid([fault]) from error
    if number.extension or not phonenumbers.is_valid_number(number):
        raise Invalid([fault])
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def normalized(contacts: Sequence[Mapping[str, Any]], faults: list[Fault]) -> list[dict[str, Any]]:
    """Contacts of {channel, value, purpose?} in one spelling. Faults, a contact given twice among them, are added."""
    found: list[dict[str, Any]] = []
    for place, contact in enumerate(contacts):
        pointer = f"/contacts/{place}/value"
        spell = email if contact["channel"] == "email" else phone
        try:
            entry = dict(contact) | {"value": spell(contact["value"], pointer)}
        except Invalid as error:
            faults += error.faults
            continue
        if entry in found:
            faults.append(Fault(pointer, "duplicate", "This contact is given twice."))
        found.append(entry)
    return found
