"""Who and what the demonstration clinic is: plain data, every person invented. How it becomes rows is `seed`'s."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

NAME = "Demonstration Clinic (fictional)"
SENDER = "Example Clinic"
PHONE = "+1 202 555 0199"
CLINICIAN = "Dr. Alder (fictional, for demonstration only)"
APPROVAL = "Approved for the demonstration only. No clinician has reviewed it; it must not treat anybody."

#: The whole days for which the calendar is filled.
WEEKS = 8

_MON_FRI = ("mon", "tue", "wed", "thu", "fri")
_MON_THU, _TUE_FRI = _MON_FRI[:4], _MON_FRI[1:]


@dataclass(frozen=True)
class Site:
    """A location. `mix` says how often each visit type is asked for there when its calendar is filled."""

    key: str
    name: str
    time_zone: str
    address: str
    opens: str
    closes: str
    rooms: tuple[tuple[str, str], ...]
    mix: Mapping[str, int]
    patients: int
    certified: tuple[str, ...] = ()
    clearances: tuple[str, ...] = ()


@dataclass(frozen=True)
class Person:
    """Someone on the staff; `units` are the patients that they can watch at once."""

    name: str
    role: str
    site: str
    days: tuple[str, ...]
    units: int = 1


SITES = (
    Site(
        key="harbor",
        name="Harbor Street",
        time_zone="America/New_York",
        address="1 Harbor Street, Exampleton",
        opens="08:00",
        closes="18:00",
        rooms=(("Infusion room 1", "infusion"), ("Infusion room 2", "infusion"), ("Consulting room", "consult")),
        mix={"iv_infusion": 6, "integration": 5, "evaluation": 3, "follow_up": 2},
        patients=25,
    ),
    Site(
        key="lakeside",
        name="Lakeside",
        time_zone="America/Chicago",
        address="1 Lakeside Road, Sampleville",
        opens="09:00",
        closes="18:00",
        rooms=(("Treatment chair", "esketamine_chair"),),
        mix={"esketamine_56mg": 2, "esketamine_84mg": 2, "integration_video": 3},
        patients=15,
        certified=("esketamine_rems",),
        clearances=("esketamine_rems_enrollment",),
    ),
)

STAFF = (
    Person("Dr. Alder", "prescriber", "harbor", _MON_FRI),
    Person("Dr. Birch", "prescriber", "harbor", _MON_FRI),
    Person("Dr. Cedar", "prescriber", "lakeside", _MON_FRI),
    Person("Nurse Fern", "nurse", "harbor", _MON_THU, units=2),
    Person("Nurse Heather", "nurse", "harbor", _TUE_FRI, units=2),
    Person("Nurse Ivy", "nurse", "harbor", _MON_FRI),
    Person("Nurse Moss", "nurse", "lakeside", _MON_FRI),
    Person("Linden", "therapist", "harbor", _MON_THU),
    Person("Maple", "therapist", "harbor", _TUE_FRI),
    Person("Rowan", "therapist", "lakeside", _MON_FRI),
)

#: (who, week, weekday of the first day, days): absences that a calendar of eight weeks has in life.
AWAY = (("Maple", 2, 0, 5), ("Dr. Birch", 4, 3, 2), ("Nurse Ivy", 5, 2, 1))

_FIRST = ("Robin", "Kim", "Avery", "Noor", "Sasha", "Jules", "Marisol", "Tomas")
_LAST = ("Sample", "Example", "Specimen", "Placeholder", "Fictional")
_SPANISH = frozenset({"Marisol", "Tomas"})
_ELSEWHERE = {7: "America/Los_Angeles", 19: "America/Denver"}


def weekly(days: Sequence[str], opens: str, closes: str, **more: str) -> list[dict[str, str]]:
    """The same hours on several weekdays."""
    return [{"weekday": day, "start": opens, "end": closes, **more} for day in days]


def location(site: Site, first: date, last: date) -> dict[str, Any]:
    """The site as the API takes it, closed on the holidays between two days."""
    return {
        "name": site.name,
        "time_zone": site.time_zone,
        "address": site.address,
        "hours": weekly(_MON_FRI, site.opens, site.closes),
        "closures": closures(first, last),
        "certifications": [{"code": code, "valid_from": first.isoformat()} for code in site.certified],
    }


def practitioner(person: Person, site: Site, location_id: UUID) -> dict[str, Any]:
    """The person as the API takes them: at their site for its whole day, on their days."""
    return {
        "name": person.name,
        "units": person.units,
        "roles": [{"code": person.role}],
        "hours": weekly(person.days, site.opens, site.closes, location_id=str(location_id)),
    }


def patients() -> Iterator[tuple[Site, dict[str, Any]]]:
    """Each patient with the site they come to. Addresses under example.org, numbers 555-0100 to 555-0139."""
    sites = [site for site in SITES for _ in range(site.patients)]
    names = [(first, last) for last in _LAST for first in _FIRST]
    for place, (site, (first, last)) in enumerate(zip(sites, names, strict=True)):
        yield (
            site,
            {
                "name": f"{first} {last}",
                "birth_date": date(1950 + place, 1 + place % 12, 1 + place % 28),
                "locale": "es" if first in _SPANISH else "en",
                "time_zone": _ELSEWHERE.get(place),
                "external_ids": [{"system": "demonstration", "value": f"D-{place + 1:03}"}],
                "contacts": [
                    {"channel": "email", "value": f"{first}.{last}@example.org".lower(), "purpose": "any"},
                    {"channel": "sms", "value": f"+1202555{100 + place:04}", "purpose": "any"},
                ],
            },
        )


def closures(first: date, last: date) -> list[dict[str, str]]:
    """The holidays between two days on which both sites are closed."""
    found = []
    for year in range(first.year, last.year + 1):
        november = date(year, 11, 1)
        thanksgiving = november + timedelta(days=(3 - november.weekday()) % 7 + 21)
        holidays = {
            "New Year's Day": date(year, 1, 1),
            "Independence Day": date(year, 7, 4),
            "Thanksgiving": thanksgiving,
            "Christmas": date(year, 12, 25),
        }
        found += [
            {"from": day.isoformat(), "to": day.isoformat(), "reason": name}
            for name, day in holidays.items()
            if first <= day <= last
        ]
    return found
