"""The frozen sets beside the single plans: `python -m tests.core.planner.frozen_sets NAME...` makes their files anew.

Each line says which instance it is, the hash of everything in it, the answer, and who proved that. Nothing is written
that the slow searches deny.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.core.planner import frozen_batches, frozen_explanations, frozen_replans, frozen_sick_days


class Frozen(NamedTuple):
    """A set: how its lines are made, and what the planner says otherwise, by line."""

    made: Callable[[], Iterator[dict[str, Any]]]
    faults: Callable[[dict[str, Any]], list[str]]


SETS = {
    "explanations": Frozen(frozen_explanations.made, frozen_explanations.faults),
    "batches": Frozen(frozen_batches.made, frozen_batches.faults),
    "replans": Frozen(frozen_replans.made, frozen_replans.faults),
    "sick_days": Frozen(frozen_sick_days.made, frozen_sick_days.faults),
}


def lines(name: str) -> list[dict[str, Any]]:
    """The instances of a set, with their answers."""
    return [json.loads(line) for line in _file(name).read_text().splitlines()]


def _file(name: str) -> Path:
    return Path(__file__).with_name(f"frozen_{name}.json")


def main() -> None:
    """Make the files anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", choices=SETS)
    for name in parser.parse_args().sets:
        made = [json.dumps(line, separators=(",", ":")) for line in SETS[name].made()]
        _file(name).write_text("\n".join(made) + "\n")


if __name__ == "__main__":
    main()
