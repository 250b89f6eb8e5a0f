"""Floors that no clinic may go below: facts of law and label, handed in as data, held against a visit type.

The numbers do not live here (each stands in the data with its source and grade), only how they are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scheduler.core.document import FaultList
from scheduler.core.visit.values import Observation, VisitType

_FASTING = ("solids_minutes", "clear_liquids_minutes", "nasal_products_minutes")
_DRIVING = (None, "visit_day", "until_next_day", "24_hours")  # each keeps the patient from driving for longer
_UNDECLARED = Observation(minutes=0, anchor="last_device", segment="monitor", through="monitor")


def check_floors(visit: VisitType, floors: Mapping[str, Any], faults: FaultList) -> None:
    """Note a fault (`below_floor`) for each floor that applies to the visit and that it breaks.

    `floors` is `{"floors": [{"code", "applies_to": {"kind", "modality"}, "demands": {NAME: {"value", ...}}}]}`.
    """
    for floor in floors.get("floors", ()):
        wanted = floor["applies_to"]
        if visit.kind == wanted["kind"] and visit.modality == wanted["modality"]:
            demands = {name: demand["value"] for name, demand in floor["demands"].items()}
            _check_observation(visit, demands.get("observation_minutes", 0), floor["code"], faults)
            _check_presence(visit, demands.get("present_roles", ()), floor["code"], faults)
            _check_required(visit, demands, floor["code"], faults)
            _check_instructions(visit, demands, floor["code"], faults)


def _check_observation(visit: VisitType, minutes: int, floor: str, faults: FaultList) -> None:
    if not minutes:
        return
    if visit.observation is None:
        detail = f"At least {minutes} minutes of observation are demanded ({floor}); none is declared."
        faults.add("/observation", "below_floor", detail)
        return
    if visit.observation.minutes < minutes:
        detail = f"{visit.observation.minutes} minutes of observation are below the floor of {minutes} ({floor})."
        faults.add("/observation/minutes", "below_floor", detail)
    dose, watch = visit.watched()
    if dose is not None and visit.observed_minutes < minutes:
        detail = f"The segments plan {visit.observed_minutes} minutes of observation; the floor is {minutes} ({floor})."
        place = [segment.name for segment in visit.segments].index(watch[0].name) if watch else 0
        faults.add(f"/segments/{place}/minutes", "below_floor", detail)


def _check_presence(visit: VisitType, roles: Sequence[str], floor: str, faults: FaultList) -> None:
    """Each role is on site in the dose and in every segment of the watch, in whatever mode."""
    dose, watch = (visit if visit.observation else replace(visit, observation=_UNDECLARED)).watched()
    watched = {segment.name for segment in (*((dose,) if dose else ()), *watch)}
    for place, segment in enumerate(visit.segments):
        for role in roles:
            if segment.name in watched and f"role:{role}" not in {need.selector for need in segment.needs}:
                detail = f"A {role} must be on site during '{segment.name}' ({floor})."
                faults.add(f"/segments/{place}/needs", "below_floor", detail)


def _check_required(visit: VisitType, demands: Mapping[str, Any], floor: str, faults: FaultList) -> None:
    for name, has in (("site_certifications", visit.site_certifications), ("clearances", visit.clearances)):
        for code in demands.get(name, ()):
            if code not in has:
                faults.add(f"/requires/{name}", "below_floor", f"'{code}' must be required ({floor}).")


def _check_instructions(visit: VisitType, demands: Mapping[str, Any], floor: str, faults: FaultList) -> None:
    for name in _FASTING:
        floor_minutes, own = demands.get(name, 0), getattr(visit.instructions, name)
        if (own or 0) < floor_minutes:
            detail = f"{own or 0} minutes are below the floor of {floor_minutes} before the visit ({floor})."
            faults.add(f"/instructions/{name}", "below_floor", detail)
    driving = demands.get("no_driving")
    if _DRIVING.index(visit.instructions.no_driving) < _DRIVING.index(driving):
        detail = f"Driving is not allowed before '{driving}' is over ({floor})."
        faults.add("/instructions/no_driving", "below_floor", detail)
