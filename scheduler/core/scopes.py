"""What a key may be allowed to do, and the bundles in which it is usually handed out. Knows no key and no route."""

from __future__ import annotations

from collections.abc import Iterable

from scheduler.core.errors import Fault, refuse

#: Every scope and what it opens. A route names exactly one; writing does not include reading.
SCOPES = {
    "organization:read": "See the organization's name, policies and quiet hours",
    "organization:write": "Change them",
    "setup:read": "See locations, practitioners, rooms, devices, visit types and protocols",
    "setup:write": "Change them",
    "patients:read": "See patients, their clearances and clinical holds",
    "patients:write": "Register and change them",
    "holds:release": "Release a clinical hold in a prescriber's name",
    "scheduling:read": "See availability, appointments, holds and the waitlist",
    "scheduling:write": "Book, move, cancel and check in",
    "courses:read": "See courses and plan them",
    "courses:write": "Make, book, pause, resume and end courses",
    "gates:decide": "Decide a course's gates in a clinician's name",
    "protocols:write": "Draft protocols",
    "protocols:approve": "Publish a protocol in a clinician's name",
    "messages:read": "See what was sent to patients",
    "messages:write": "Send again, call off, and edit rules and templates",
    "keys:write": "See, make and revoke API keys",
    "audit:read": "See who changed what",
    "webhooks:read": "See webhooks and what they were told",
    "webhooks:write": "Make, change and remove webhooks; have something told again",
    "override": "Book against a rule, with a reason that is kept",
}

#: Names that stand for several scopes when a key is made. The key keeps the scopes, not the name.
BUNDLES = {
    "admin": frozenset(SCOPES),
    "front_desk": frozenset(
        {
            "organization:read", "setup:read", "patients:read", "patients:write", "scheduling:read", "scheduling:write",
            "courses:read", "courses:write", "messages:read", "messages:write",
        }
    ),
    "clinician": frozenset(
        {
            "organization:read", "setup:read", "patients:read", "patients:write", "scheduling:read", "scheduling:write",
            "courses:read", "courses:write", "gates:decide", "protocols:write", "protocols:approve", "messages:read",
            "holds:release", "override",
        }
    ),
}  # fmt: skip


def expand(names: Iterable[str], *, pointer: str = "/scopes") -> frozenset[str]:
    """The scopes that these scopes and bundles amount to. Raises `Invalid` (`unknown_scope`) naming all others."""
    found: set[str] = set()
    faults = []
    for position, name in enumerate(names):
        if name in SCOPES:
            found.add(name)
        elif name in BUNDLES:
            found |= BUNDLES[name]
        else:
            faults.append(Fault(f"{pointer}/{position}", "unknown_scope", f"There is no scope or bundle {name!r}."))
    refuse(faults)
    return frozenset(found)
