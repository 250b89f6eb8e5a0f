"""A thousand frozen courses: the planner's answers are the proven ones. Every run tries some, `--all-frozen` all."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from scheduler.core.planner import plan, verify
from tests.core.planner.freeze import FROZEN, KINDS, digest, planned

#: One of so many is tried in every run.
SAMPLE = 25


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in FROZEN.read_text().splitlines()]


@pytest.mark.timeout(900)
def test_every_answer_is_the_proven_one(request: pytest.FixtureRequest) -> None:
    some = lines() if request.config.getoption("--all-frozen") else lines()[::SAMPLE]
    wrong = []
    for line in some:
        problem = KINDS[line["kind"]][0](line["seed"])
        assert digest(problem) == line["sha256"], "the instance is no longer the one that was proved"
        found = plan(problem)
        if planned(line["kind"], problem) != line["answer"] or (found and verify(problem, found)):
            wrong.append((line["kind"], line["seed"]))
    assert wrong == []


def test_a_thousand_are_frozen_and_neither_answer_is_rare() -> None:
    found = lines()
    assert Counter(line["kind"] for line in found) == {kind: wanted for kind, (_, wanted, _) in KINDS.items()}
    feasible = sum(line["answer"] is not None for line in found)
    assert len(found) == 1_000
    assert 250 < feasible < 750
    assert {line["by"] for line in found} == {"enumeration", "dictionary", "cp-sat"}
