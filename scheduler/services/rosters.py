"""Stored hours and roles as slots of a timeline, worked out once per text. Who is taken when is `busy`'s.

The documents are handed over as the database keeps them, as text: what is known by its text is never parsed again.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID

from scheduler.core.bitmap import Timeline
from scheduler.core.licences import selector_in
from scheduler.core.site import closed_mask, rostered, valid_days


@dataclass(frozen=True)
class Place:
    """A location over a timeline; `hours` and `closures` are JSON."""

    location_id: UUID
    time_zone: str
    hours: str
    closures: str
    timeline: Timeline
    #: Hours and qualifications that were worked out here: mostly several have the same.
    _known: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def key(self) -> str:
        """What distinguishes it, for whoever remembers something about it."""
        return f"{self._name}\n{self.time_zone}\n{self.hours}\n{self.closures}"

    @cached_property
    def _name(self) -> str:
        return str(self.location_id)

    @property
    def open(self) -> int:
        """The slots at which it is open."""
        return self.weekly & ~self.closed

    @property
    def weekly(self) -> int:
        """The slots of its weekly hours, closed or not."""
        return _weekly(self.hours, None, self.time_zone, self.timeline)

    @cached_property
    def closed(self) -> int:
        """The slots that some closure touches."""
        return _closed(self.closures, self.time_zone, self.timeline)

    def roster(self, kind: str, hours: str | None, extra: int = 0) -> int:
        """When a resource is meant to be here: a patient always, a thing at the location's hours or its own (JSON).

        `extra` are the slots of its one-off shifts here.
        """
        if kind == "patient":
            return self.timeline.everything
        return self.roster_if_open(kind, hours, extra) & ~self.closed

    def roster_if_open(self, kind: str, hours: str | None, extra: int = 0) -> int:
        """The same of staff and things, if the location never closed."""
        here = self._known.get((kind, hours))
        if here is None:
            if kind == "practitioner":
                here = _weekly(hours or "[]", self._name, self.time_zone, self.timeline)
            else:
                here = _weekly(hours or self.hours, None, self.time_zone, self.timeline)
            self._known[kind, hours] = here
        return int(here | extra)

    def serves(self, kind: str, type_code: str, roles: str) -> Mapping[str, int]:
        """Selector to the slots of the days on which the resource's qualification for it is valid; `roles` is JSON."""
        if kind != "practitioner":
            return {f"{kind}:{type_code}": -1} if type_code else {}
        serves = self._known.get(roles)
        if serves is None:
            serves = self._known[roles] = _qualified(roles, self._name, self.time_zone, self.timeline)
        return serves


@lru_cache(maxsize=4096)
def _weekly(hours: str, location_id: str | None, time_zone: str, timeline: Timeline) -> int:
    """The slots of weekly hours; with a location, of those entries only that name it."""
    entries: list[dict[str, Any]] = json.loads(hours)
    if location_id is not None:
        named = (entry for entry in entries if entry.get("location_id") == location_id)
        entries = [{key: value for key, value in entry.items() if key != "location_id"} for entry in named]
    return rostered(entries, time_zone, timeline)


@lru_cache(maxsize=1024)
def _closed(closures: str, time_zone: str, timeline: Timeline) -> int:
    return closed_mask(json.loads(closures), time_zone, timeline)


@lru_cache(maxsize=4096)
def _qualified(roles: str, location_id: str, time_zone: str, timeline: Timeline) -> Mapping[str, int]:
    entries: dict[str, list[dict[str, Any]]] = {}
    for role in json.loads(roles):
        if role.get("location_id") in (None, location_id):
            bounds = {key: role[key] for key in ("valid_from", "valid_to") if role.get(key)}
            selector = f"role:{role['code']}"
            for each in (selector, *(selector_in(selector, region) for region in role.get("regions") or ())):
                entries.setdefault(each, []).append(bounds)
    return {
        selector: -1 if {} in bounds else valid_days(bounds, time_zone, timeline)
        for selector, bounds in entries.items()
    }
