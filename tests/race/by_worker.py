"""The contests over what the worker lets go or moves by itself, by the key of its chore."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from scheduler.models import Appointment, Organization
from scheduler.services import chores
from scheduler.services.chores import CHORES
from tests.desk import TALK
from tests.house.source import PRODUCT, modules
from tests.race.contests import CIRCLE, HALF_PAST, TEN, Chore, Contest, Ring

SERVICES = "scheduler.services"
IMPORT = re.compile(r"^ *from (scheduler\S*) import (?:\(([^)]*)\)|(.+))$", re.MULTILINE)
#: Where the statements are by which what is occupied comes, goes and moves.
WRITERS = {f"{SERVICES}.{name}" for name in ("occupying", "repacking", "shifting", "visit_day.releasing")}
#: Chores that could reach them, and write nothing of the kind: watched too.
QUIET = {"disruptions.forget", "plans.forget"}
RIDE = {"key": "ride", "label": "Ride", "effect": "blocks", "at": "check_in", "value": "text"}
GATE = {"key": "escort", "label": "Ride", "effect": "blocks_checkin", "item": "ride", "due_hours": 24}
GATED = TALK | {"code": "gated", "name": "Gated", "checklist": [RIDE], "gates": [GATE | {"release_hours": 2}]}
MEETING = CIRCLE | {
    "code": "meeting",
    "group": {"minimum": 2, "maximum": 3, "decide_hours": 1, "below_minimum": "cancel"},
}


def chore(ring: Ring, key: str) -> Chore:
    """That chore, done by a worker whose clock shows what everybody's does."""
    [work] = [each.work for each in CHORES if each.key == key]
    now = ring.clock()

    def until_done() -> None:
        while ring.clinic.do(work, now=now):
            pass

    return until_done


def reaching() -> set[str]:
    """The keys of all chores whose modules can reach one that writes occupancies."""
    imports = {_name(path): set(_imported(path.read_text())) for path in modules("scheduler/services")}
    known = {name: {_there(each, imports) for each in found} for name, found in imports.items()}
    return {each.key for each in CHORES if not WRITERS.isdisjoint(_closure(_home(each.work), known))}


def _home(work: Callable[..., Any]) -> str:
    """The module of a chore's work; of one that is called by another name, that of the name."""
    named = [name for name in work.__code__.co_names if f"{SERVICES}.{name}" in sys.modules]
    return f"{SERVICES}.{named[0]}" if named and work.__module__ == chores.__name__ else work.__module__


def _imported(source: str) -> Iterator[str]:
    for module, listed, bare in IMPORT.findall(source):
        yield from (f"{module}.{name.split()[0]}" for name in (listed or bare).split(",") if name.strip())


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PRODUCT.parent).with_suffix("").parts).removesuffix(".__init__")


def _there(name: str, known: Mapping[str, object]) -> str:
    """The module that is imported: a name, or where it is."""
    return name if name in known else name.rpartition(".")[0]


def _closure(name: str, known: Mapping[str, set[str]]) -> set[str]:
    seen, todo = set(), [name]
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo += known.get(here, ())
    return seen


def put(ring: Ring, visit: str, **values: Any) -> str:
    """What no request can make of a visit."""
    with Session(ring.engine) as session, session.begin():
        session.execute(update(Appointment).where(Appointment.id == UUID(visit)).values(**values))
    return visit


def lapsing(ring: Ring) -> Contest:
    """The deadline of a clinical hold passes while its dose should be given."""
    wish = ring.wish(visit_type="dose")
    ring.made("appointments", wish)
    held = {"reason": "illness", "deadline": ring.at("10:15").isoformat()}
    ring.made(f"patients/{wish['patient_id']}/holds", held)
    ring.clock.set(ring.at("10:20"))
    return Contest(ring.bookings(3, HALF_PAST), least=0, chores=[chore(ring, "clinical_holds.lapse")] * 2)


def sweeping(ring: Ring) -> Contest:
    """A pencilled visit whose deadline has passed."""
    put(ring, ring.visit(), status="pending", pencilled_until=ring.at("06:00"))
    return Contest(ring.bookings(3), least=0, chores=[chore(ring, "visit_day.sweep")] * 2)


def following(ring: Ring) -> Contest:
    """New zone rules take a visit to a time that others want."""
    put(ring, ring.visit("12:00"), tzdata="2000a", local_start=f"{ring.day}T{TEN}")
    return Contest(ring.bookings(3), least=0, chores=[chore(ring, "zone_rules.follow")] * 2)


def deciding(ring: Ring) -> Contest:
    """A group that too few have booked is called off."""
    ring.clinic.visit(MEETING)
    ring.made("appointments", ring.wish(visit_type="meeting"))
    ring.clock.set(ring.at("09:30"))
    return Contest(ring.bookings(3), least=0, chores=[chore(ring, "groups.decide")] * 2)


def offering(ring: Ring) -> Contest:
    """A time that was given up is offered to somebody who waits."""
    ring.waits()
    ring.gone()
    return Contest(ring.bookings(3), least=0, chores=[chore(ring, "waitlist.sweep")] * 2)


def forfeiting(ring: Ring) -> Contest:
    """A visit whose gate was not passed in time is let go."""
    ring.clinic.visit(GATED)
    with Session(ring.engine) as session, session.begin():
        session.get_one(Organization, ring.clinic.call.organization_id).policies = {"release_ungated": True}
    ring.made("appointments", ring.wish(visit_type="gated"))
    ring.clock.set(ring.at("08:30"))
    return Contest(ring.bookings(3), least=0, chores=[chore(ring, "session_gates.chase")] * 2)


BY_WORKER: dict[str, list[Callable[[Ring], Contest]]] = {
    "clinical_holds.lapse": [lapsing],
    "visit_day.sweep": [sweeping],
    "zone_rules.follow": [following],
    "groups.decide": [deciding],
    "waitlist.sweep": [offering],
    "session_gates.chase": [forfeiting],
}
