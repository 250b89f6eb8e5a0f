"""What the parts of a protocol must mean together: names that exist, no cycle, enough sessions, gates that bite.

Contradictions of time are found in `spacing`; single values are judged where they are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from scheduler.core.document import FaultList, escape
from scheduler.core.protocol.spacing import check_spacing
from scheduler.core.protocol.values import FIRST_DOSE, MOST_SESSIONS, PHASE_START, Gate, Phase, Protocol, Step
from scheduler.core.visit import VisitType

#: The law's days for what is delivered for one patient alone; no clinic may set more.
LAWFUL_DAYS = 45

#: Anchors that are no step, unless a step has that key.
RELATIVE = frozenset({FIRST_DOSE, PHASE_START})


def check_protocol(
    protocol: Protocol, visit_types: Mapping[str, VisitType], known_roles: Collection[str] | None, faults: FaultList
) -> None:
    """Note everything in which the protocol contradicts itself or names what is not there."""
    _check_unique(protocol, faults)
    _check_visits(protocol, visit_types, known_roles, faults)
    _check_leaves(protocol, faults)
    _check_anchors(protocol, faults)
    _check_counts(protocol, faults)
    _check_supplies(protocol, faults)
    _check_cadences(protocol, faults)
    for place, gate in enumerate(protocol.gates):
        _check_gate(protocol, gate, f"/gates/{place}", faults)
    check_spacing(protocol, visit_types, faults)


def placed(protocol: Protocol) -> Iterator[tuple[str, Step]]:
    """Every step with its JSON pointer."""
    for i, phase in enumerate(protocol.phases):
        for j, step in enumerate(phase.steps):
            yield f"/phases/{i}/steps/{j}", step


def _by_key(protocol: Protocol) -> dict[str, tuple[str, Step]]:
    """Each step with its JSON pointer by its key; of two with one key, the first."""
    found: dict[str, tuple[str, Step]] = {}
    for pointer, step in placed(protocol):
        found.setdefault(step.key, (pointer, step))
    return found


def _check_unique(protocol: Protocol, faults: FaultList) -> None:
    named = {
        "phase": [(f"/phases/{i}", phase.key) for i, phase in enumerate(protocol.phases)],
        "step": [(pointer, step.key) for pointer, step in placed(protocol)],
        "gate": [(f"/gates/{i}", gate.key) for i, gate in enumerate(protocol.gates)],
    }
    for noun, found in named.items():
        seen: set[str] = set()
        for pointer, key in found:
            if key and key in seen:
                faults.add(f"{pointer}/key", f"duplicate_{noun}", f"Two {noun}s have the key '{key}'.")
            seen.add(key)


def _check_visits(
    protocol: Protocol, visit_types: Mapping[str, VisitType], known_roles: Collection[str] | None, faults: FaultList
) -> None:
    for pointer, step in placed(protocol):
        visit = visit_types.get(step.visit_type)
        if visit is None and step.visit_type:
            detail = f"There is no visit type '{step.visit_type}'."
            faults.add(f"{pointer}/visit_type", "unknown_visit_type", detail)
        needs = [need for segment in visit.segments for need in segment.needs] if visit else []
        for role in dict.fromkeys(need.code for need in needs if need.kind == "role"):
            if known_roles is not None and role not in known_roles:
                detail = f"Visit type '{step.visit_type}' needs the role '{role}', which nobody here has."
                faults.add(f"{pointer}/visit_type", "unknown_role", detail)
    for place, role in enumerate(protocol.continuity):
        if known_roles is not None and role not in known_roles:
            faults.add(f"/continuity/{place}", "unknown_role", f"Nobody here has the role '{role}'.")


def _check_leaves(protocol: Protocol, faults: FaultList) -> None:
    steps = {key: step for key, (_, step) in _by_key(protocol).items()}
    hung = Counter[str]()
    for pointer, step in placed(protocol):
        if not step.each or step.each == step.key:
            continue
        main = steps.get(step.each)
        hung[step.each] += 1
        if main is None:
            faults.add(f"{pointer}/each", "unknown_step", f"There is no step '{step.each}'.")
        elif main.is_leaf:
            detail = f"'{step.each}' itself hangs on '{main.each}': a step hangs on one of the chain."
            faults.add(f"{pointer}/each", "each_names_leaf", detail)
        elif hung[step.each] > 1:
            detail = f"'{step.each}' has more than one step hanging on it."
            faults.add(f"{pointer}/each", "second_leaf", detail)


def _check_anchors(protocol: Protocol, faults: FaultList) -> None:
    """Each main step is anchored on the one before it; whoever waits for himself is named with the whole circle."""
    circular = _check_cycles(protocol, faults)
    steps = {key: step for key, (_, step) in _by_key(protocol).items()}
    for pointer, step in placed(protocol):
        if step.is_leaf:
            continue
        anchor = step.entry.anchor if step.entry else None
        if anchor is not None:
            before = _up_to(protocol, step)
            _check_anchor(step, anchor, f"{pointer}/entry/anchor", steps, before, circular, faults)
        if step.offsets is not None:
            before = _up_to(protocol, step)
            _check_anchor(step, step.offsets.anchor, f"{pointer}/offsets/anchor", steps, before, circular, faults)
            if step.most != len(step.offsets.days) and not faults.mentions(f"{pointer}/count"):
                detail = f"{len(step.offsets.days)} days for {step.most or 'an open number of'} session(s)."
                faults.add(f"{pointer}/offsets/days", "offset_length", detail)


def _up_to(protocol: Protocol, step: Step) -> list[tuple[Phase, Step]]:
    """The steps of the chain before one of them, and that one's own phase last with the step itself."""
    chain = protocol.main_steps()
    return chain[: 1 + next(place for place, (_, each) in enumerate(chain) if each is step)]


def _check_anchor(
    step: Step,
    anchor: str,
    where: str,
    steps: Mapping[str, Step],
    before: list[tuple[Phase, Step]],
    circular: Collection[str],
    faults: FaultList,
) -> None:
    """An anchor is an earlier step of the chain, or an earlier first dose or first session of the phase."""
    phase, earlier = before[-1][0], before[:-1]
    itself = where.endswith("offsets/anchor")  # the first of the sessions may be the anchor of all
    if anchor not in steps and anchor in {FIRST_DOSE, PHASE_START}:
        among = before if itself else earlier
        found = [each for own, each in among if (each.dosing if anchor == FIRST_DOSE else own is phase)]
        if not found:
            faults.add(where, "no_such_anchor", f"Nothing before '{step.key}' is its {anchor.replace('_', ' ')}.")
    elif anchor not in steps:
        faults.add(where, "unknown_anchor", f"There is no step '{anchor}'.")
    elif step.key in circular:
        return
    elif steps[anchor].is_leaf:
        faults.add(where, "anchor_is_leaf", f"'{anchor}' hangs on another step; anchor on that one.")
    elif anchor not in [each.key for _, each in earlier]:
        nearest = f"'{earlier[-1][1].key}'" if earlier else "nothing"
        faults.add(where, "anchor_not_previous", f"'{step.key}' follows {nearest} in the chain, not '{anchor}'.")


def _check_cycles(protocol: Protocol, faults: FaultList) -> set[str]:
    """The keys of all steps that, by way of their anchors, wait for themselves."""
    waits, pointers = _waiting(protocol)
    circular: set[str] = set()
    for start in waits:
        path = [start]
        while (after := waits.get(path[-1])) is not None and after not in path:
            path.append(after)
        if after == start and start not in circular:
            circular.update(path)
            circle = " -> ".join([*path, start])
            faults.add(pointers[start], "anchor_cycle", f"These steps wait for each other: {circle}.")
    return circular


def _waiting(protocol: Protocol) -> tuple[dict[str, str | None], dict[str, str]]:
    """For each step the key of the step it waits for, and the pointer of where that is said."""
    waits: dict[str, str | None] = {}
    pointers: dict[str, str] = {}
    previous: str | None = None
    keys = {step.key for _, step in placed(protocol)} | {
        step.entry.anchor for _, step in placed(protocol) if step.entry and step.entry.anchor not in RELATIVE
    }
    for pointer, step in placed(protocol):
        own = step.entry.anchor if step.entry and step.entry.anchor in keys else None
        if step.key not in waits:
            waits[step.key] = step.each or own or previous
            pointers[step.key] = f"{pointer}/each" if step.is_leaf else f"{pointer}/entry/anchor"
        previous = previous if step.is_leaf else step.key
    return waits, pointers


def _check_counts(protocol: Protocol, faults: FaultList) -> None:
    main = protocol.main_steps()
    if not main:
        faults.add("/phases", "no_main_step", "No step stands by itself: all have 'each'.")
    last = main[-1][1] if main else None
    for pointer, step in placed(protocol):
        if not step.is_leaf and step.count is None and step is not last:
            faults.add(f"{pointer}/count", "open_not_last", "Only the last step of the chain may be open ended.")
    total = 0
    for _, step in main:
        total += (step.most or step.block or 1) * (2 if protocol.leaf_of(step) else 1)
    if total > MOST_SESSIONS:
        faults.add("/phases", "too_many_sessions", f"The course has {total} sessions; {MOST_SESSIONS} are the most.")


def _check_supplies(protocol: Protocol, faults: FaultList) -> None:
    for pointer, step in placed(protocol):
        if protocol.modality == "esketamine" and (step.use_within_days or 0) > LAWFUL_DAYS:
            detail = f"What is delivered for one patient is given within {LAWFUL_DAYS} days of receipt (21 USC 829a)."
            faults.add(f"{pointer}/supply/use_within_days", "below_floor", detail)


def _check_cadences(protocol: Protocol, faults: FaultList) -> None:
    main = {step.key for _, step in protocol.main_steps()}
    for cadence in protocol.cadences:
        for rhythm in cadence.rhythms:
            if rhythm.step not in main:
                detail = f"There is no step '{rhythm.step}' in the chain."
                faults.add(f"/cadences/{escape(cadence.key)}/{escape(rhythm.step)}", "unknown_step", detail)
    names = [cadence.key for cadence in protocol.cadences]
    if protocol.default_cadence is None and names:
        faults.add("/default_cadence", "required", "Where there are cadences, one of them is the default.")
    elif protocol.default_cadence is not None and protocol.default_cadence not in names:
        detail = f"There is no cadence '{protocol.default_cadence}'."
        faults.add("/default_cadence", "unknown_cadence", detail)


def _check_gate(protocol: Protocol, gate: Gate, pointer: str, faults: FaultList) -> None:
    steps = _by_key(protocol)
    _, step = steps.get(gate.step, ("", None))
    if step is not None:
        counted_at, counted = steps.get(step.each or step.key, ("", step))
        readable = not faults.mentions(f"{counted_at}/count")
        if readable and counted.most is not None and gate.count > counted.most:
            detail = f"'{gate.step}' has only {counted.most} session(s), not {gate.count}."
            faults.add(f"{pointer}/after/count", "count_above_step", detail)
    elif gate.step:
        faults.add(f"{pointer}/after/step", "unknown_step", f"There is no step '{gate.step}'.")
    if gate.blocks is None:
        return
    if gate.blocks not in [phase.key for phase in protocol.phases]:
        faults.add(f"{pointer}/blocks", "unknown_phase", f"There is no phase '{gate.blocks}'.")
    elif step is not None and not _bites(protocol, gate, step):
        detail = f"No session of '{gate.blocks}' comes after session {gate.count} of '{gate.step}'."
        faults.add(f"{pointer}/blocks", "gate_blocks_nothing", detail)


def _bites(protocol: Protocol, gate: Gate, step: Step) -> bool:
    """Whether any main session of the phase that the gate blocks comes after the gate."""
    chain = protocol.main_steps()
    keys = [main.key for _, main in chain]
    anchor = step.each or step.key
    if anchor not in keys:
        return True  # named in another fault
    for place, (phase, main) in enumerate(chain):
        more = main.most is None or main.most > gate.count
        if phase.key == gate.blocks and (place > keys.index(anchor) or (main.key == anchor and more)):
            return True
    return False
