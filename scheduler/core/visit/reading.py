"""The reading of a visit type from its document, with every fault in it.

What the legal floors are does not live here: they come as data and are checked in `floors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from scheduler.core.civil import GRID_MINUTES
from scheduler.core.document import FaultList, Node
from scheduler.core.visit.agenda import read_by_language, read_checklist, read_tasks
from scheduler.core.visit.floors import check_floors
from scheduler.core.visit.gates import read_gates
from scheduler.core.visit.values import (
    Anchor,
    DoseLimits,
    GroupSize,
    Instructions,
    Kind,
    Mode,
    Need,
    NeedKind,
    NoDriving,
    Observation,
    Segment,
    VisitType,
    barring,
)

LONGEST_MINUTES = 24 * 60
MOST_OF_A_KIND = 20
WEEK_MINUTES = 7 * 24 * 60
MOST_IN_GROUP = 100
#: No limit between doses reaches further: how far the history has to be read.
LONGEST_LIMIT_DAYS = 366

#: Roles that need no license, by their selectors.
UNLICENSED = frozenset({"role:coach"})

_MODES = ("exclusive", "shared", "present")
_KINDS = ("evaluation", "preparation", "dosing", "integration", "follow_up", "group")
_ANCHORS = ("last_device", "first_device")
_NO_DRIVING = ("visit_day", "until_next_day", "24_hours")
_NEED_KEYS: dict[str, NeedKind] = {"role": "role", "room_type": "room", "device_type": "device"}
_PROVENANCE = {"grade", "source", "note"}
_VISIT_KEYS = _PROVENANCE | {
    "code", "name", "public_name", "public_names", "kind", "modality", "segments", "requires", "instructions",
    "observation", "limits", "checklist", "tasks", "gates", "equipment", "forms", "enabled",
    "video", "psychotherapy", "group", "information", "sources", "status", "approved_by",
}  # fmt: skip


def parse_visit_type(doc: Mapping[str, Any], floors: Mapping[str, Any]) -> VisitType:
    """The visit type of a document, or `Invalid` with every fault in it.

    `floors` is the document of the legal floors (`{"floors": [...]}`); an empty mapping checks none.
    """
    faults = FaultList()
    node = Node.root(doc, faults)
    node.allow_only(_VISIT_KEYS)
    segments = _read_segments(node)
    checklist = read_checklist(node, _PROVENANCE)
    gates = read_gates(node, _PROVENANCE, checklist)
    requires = node.child("requires") or Node({}, node.at("requires"), faults)
    requires.allow_only(_PROVENANCE | {"site_certifications", "clearances"})
    visit = VisitType(
        code=node.code("code"),
        name=node.text("name"),
        public_name=node.text("public_name"),
        kind=cast("Kind", node.choice("kind", _KINDS)),
        modality=None if node.value.get("modality") == "none" else node.optional_code("modality"),
        segments=segments,
        site_certifications=requires.codes("site_certifications"),
        clearances=tuple(dict.fromkeys((*requires.codes("clearances"), *barring(gates)))),
        forms=node.codes("forms"),
        instructions=_read_instructions(node),
        observation=_read_observation(node),
        limits=_read_limits(node),
        equipment=node.codes("equipment"),
        enabled=node.flag("enabled", default=True),
        checklist=checklist,
        tasks=read_tasks(node, _PROVENANCE),
        video=node.flag("video", default=False),
        psychotherapy=node.flag("psychotherapy", default=False),
        group=_read_group(node),
        gates=gates,
        public_names=read_by_language(node, "public_names"),
    )
    _check_licences(node, visit)
    if visit.observation is not None:
        _check_observation(node, visit, visit.observation)
    check_floors(visit, floors, faults)
    faults.raise_any(f"Visit type '{visit.code}'")
    return visit


def _check_licences(node: Node, visit: VisitType) -> None:
    """By video nobody meets in a room; what is psychotherapy is not held by somebody without a license to it."""
    for place, segment in enumerate(visit.segments):
        for number, need in enumerate(segment.needs):
            where = ("segments", place, "needs", number)
            if visit.video and need.kind != "role":
                node.fault(where, "no_room_by_video", f"A visit by video has no need for {need.selector}.")
            if visit.psychotherapy and need.selector in UNLICENSED:
                node.fault(where, "not_licensed", f"A {need.code} cannot hold psychotherapy.")


def _read_segments(node: Node) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    for index, item in enumerate(node.children("segments")):
        item.allow_only(_PROVENANCE | {"name", "minutes", "patient", "needs"})
        segment = Segment(
            name=item.code("name"),
            minutes=_read_minutes(item),
            patient=item.flag("patient", default=True),
            needs=tuple(_read_need(need, segments) for need in item.children("needs", required=False)),
        )
        if segment.name and any(segment.name == earlier.name for earlier in segments):
            item.fault("name", "duplicate_segment", f"Two segments are named '{segment.name}'.")
        _check_needs_once(node, index, segment)
        segments.append(segment)
    _check_patient_span(node, segments)
    return tuple(segments)


def _read_minutes(item: Node) -> int:
    """The length of a segment; `GRID_MINUTES` stands in for a faulty one."""
    found = item.whole("minutes", least=-LONGEST_MINUTES, most=LONGEST_MINUTES)
    if found is None:
        return GRID_MINUTES
    if found <= 0 or found % GRID_MINUTES:
        item.fault("minutes", "not_on_grid", f"{found} minutes is not a positive multiple of {GRID_MINUTES}.")
    return found


def _read_need(item: Node, earlier: list[Segment]) -> Need:
    item.allow_only(_PROVENANCE | _NEED_KEYS.keys() | {"mode", "units", "count", "same_as"})
    named = [key for key in _NEED_KEYS if item.has(key)]
    if len(named) != 1:
        found = "none" if not named else " and ".join(named)
        item.fault((), "need_names_one", f"A need names one of role, room_type, device_type; this one names {found}.")
    mode = cast("Mode", item.choice("mode", _MODES))
    if mode != "shared" and item.has("units"):
        item.fault("units", "units_not_shared", f"Only a shared need counts units; this one is {mode}.")
    need = Need(
        kind=_NEED_KEYS[named[0]] if named else "role",
        code=item.code(named[0]) if named else "",
        mode=mode,
        units=item.whole("units", least=1, most=MOST_OF_A_KIND, default=1) or 1,
        count=item.whole("count", least=1, most=MOST_OF_A_KIND, default=1) or 1,
        same_as=item.optional_code("same_as"),
    )
    if mode == "present":  # whoever is there: nobody in particular, and one is enough
        for key, asked in (("count", need.count > 1), ("same_as", need.same_as is not None)):
            if asked:
                item.fault(key, "only_present", f"Who is only to be present takes no '{key}'.")
    elif need.same_as is not None:
        _check_same_as(item, need, earlier)
    return need


def _check_same_as(item: Node, need: Need, earlier: list[Segment]) -> None:
    like = next((segment for segment in earlier if segment.name == need.same_as), None)
    if like is None:
        item.fault("same_as", "unknown_segment", f"There is no earlier segment '{need.same_as}'.")
    elif all(other.selector != need.selector or other.mode == "present" for other in like.needs):
        detail = f"Segment '{like.name}' takes up nobody for {need.selector}, so nobody there can be the same."
        item.fault("same_as", "no_such_need", detail)


def _check_needs_once(node: Node, index: int, segment: Segment) -> None:
    """What takes somebody up is one need for each role or type: two could not be told apart in the next segment."""
    seen: set[tuple[str, bool]] = set()
    for place, need in enumerate(segment.needs):
        way = need.selector, need.mode == "present"
        if need.code and way in seen:
            where = ("segments", index, "needs", place)
            node.fault(where, "duplicate_need", f"{need.selector} is needed twice in this segment: use count.")
        seen.add(way)


def _check_patient_span(node: Node, segments: list[Segment]) -> None:
    """The patient's presence is one span: no segment without the patient between two with."""
    present = [index for index, segment in enumerate(segments) if segment.patient]
    if segments and not present:
        node.fault("segments", "no_patient_segment", "The patient is in none of the segments.")
    for index in range(present[0], present[-1]) if present else ():
        if not segments[index].patient:
            where = ("segments", index, "patient")
            detail = f"Segment '{segments[index].name}' sends the patient away in the middle of the visit."
            node.fault(where, "patient_leaves", detail)
    if sum(segment.minutes for segment in segments) > LONGEST_MINUTES:
        node.fault("segments", "too_long", f"The segments together are longer than {LONGEST_MINUTES} minutes.")


def _read_instructions(node: Node) -> Instructions:
    item = node.child("instructions")
    if item is None:
        return Instructions()
    before = ("solids_minutes", "clear_liquids_minutes", "nasal_products_minutes", "alcohol_minutes")
    item.allow_only(_PROVENANCE | {*before, "arrive_early_minutes", "escort", "no_driving"})
    solids, liquids, nasal, alcohol = (item.optional_whole(key, least=0, most=WEEK_MINUTES) for key in before)
    no_driving = item.choice("no_driving", _NO_DRIVING) if item.has("no_driving") else None
    return Instructions(
        solids_minutes=solids,
        clear_liquids_minutes=liquids,
        nasal_products_minutes=nasal,
        alcohol_minutes=alcohol,
        arrive_early_minutes=item.whole("arrive_early_minutes", least=0, most=LONGEST_MINUTES, default=0) or 0,
        escort=item.flag("escort", default=False),
        no_driving=cast("NoDriving | None", no_driving),
    )


def _read_observation(node: Node) -> Observation | None:
    item = node.child("observation")
    if item is None:
        return None
    item.allow_only(_PROVENANCE | {"minutes", "anchor", "segment", "through"})
    first = item.code("segment", default="monitor")
    return Observation(
        minutes=item.whole("minutes", least=1, most=LONGEST_MINUTES) or 0,
        anchor=cast("Anchor", item.choice("anchor", _ANCHORS, default="last_device")),
        segment=first,
        through=item.code("through", default=first),
    )


def _read_group(node: Node) -> GroupSize | None:
    item = node.child("group")
    if item is None:
        return None
    item.allow_only(_PROVENANCE | {"minimum", "maximum", "decide_hours", "below_minimum"})
    if node.value.get("kind") == "dosing":
        node.fault("group", "dose_in_group", "A dose is given to one patient, not to a group.")
    minimum = item.whole("minimum", least=1, most=MOST_IN_GROUP, default=1) or 1
    maximum = item.whole("maximum", least=1, most=MOST_IN_GROUP) or minimum
    if maximum < minimum:
        item.fault("maximum", "less_than_minimum", f"{maximum} places are fewer than the {minimum} that are needed.")
    return GroupSize(
        minimum=minimum,
        maximum=maximum,
        decide_hours=item.whole("decide_hours", least=0, most=WEEK_MINUTES // 60, default=24) or 0,
        below_minimum=cast("Any", item.choice("below_minimum", ("task", "cancel"), default="task")),
    )


def _read_limits(node: Node) -> DoseLimits:
    item = node.child("limits")
    if item is None:
        return DoseLimits()
    item.allow_only(_PROVENANCE | {"min_hours_between_doses", "max_per_days", "modalities"})
    if node.value.get("kind") != "dosing":
        node.fault("limits", "no_dose", "Only a dosing visit has limits between doses.")
    window = item.child("max_per_days")
    if window is not None:
        window.allow_only(_PROVENANCE | {"count", "days"})
    return DoseLimits(
        hours=item.optional_whole("min_hours_between_doses", least=1, most=24 * LONGEST_LIMIT_DAYS),
        most=window.whole("count", least=1, most=100) if window else None,
        days=window.whole("days", least=1, most=LONGEST_LIMIT_DAYS) if window else None,
        modalities=item.codes("modalities"),
    )


def _check_observation(node: Node, visit: VisitType, seen: Observation) -> None:
    """The segments that are named exist, in this order, after a dose, and are long enough together."""
    names = [segment.name for segment in visit.segments if segment.patient]
    missing = {name: key for key, name in (("through", seen.through), ("segment", seen.segment)) if name not in names}
    for name, key in missing.items():
        node.fault(("observation", key), "unknown_segment", f"The patient is in no segment '{name}'.")
    if missing:
        return
    first, last = names.index(seen.segment), names.index(seen.through)
    if last < first:
        detail = f"Segment '{seen.through}' comes before '{seen.segment}'."
        node.fault(("observation", "through"), "wrong_order", detail)
    elif first == 0:
        detail = "Nothing comes before the observation that could be the dose."
        node.fault(("observation", "segment"), "no_dose_before", detail)
    elif visit.observed_minutes < seen.minutes:
        detail = f"The segments plan {visit.observed_minutes} minutes of the {seen.minutes} that are demanded."
        node.fault(("observation", "minutes"), "observation_too_long", detail)
