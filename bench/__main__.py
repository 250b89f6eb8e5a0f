"""`python -m bench` lists the benchmarks, `python -m bench <name>` runs one, `python -m bench all` runs them all."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench import (
    availability,
    batch,
    booking,
    ceiling,
    death,
    demonstration,
    explain,
    faults,
    messages,
    planner,
    plans,
    reads,
    replan,
    rescue,
)
from bench.report import machine
from scheduler import settle_down


@dataclass(frozen=True)
class Benchmark:
    """What it measures, its flags, and how it runs."""

    about: str
    flags: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


BENCHMARKS = {
    "booking": Benchmark(booking.ABOUT, booking.flags, booking.run),
    "batch": Benchmark(batch.ABOUT, batch.flags, batch.run),
    "ceiling": Benchmark(ceiling.ABOUT, ceiling.flags, ceiling.run),
    "availability": Benchmark(availability.ABOUT, availability.flags, availability.run),
    "planner": Benchmark(planner.ABOUT, planner.flags, planner.run),
    "plans": Benchmark(plans.ABOUT, plans.flags, plans.run),
    "explain": Benchmark(explain.ABOUT, explain.flags, explain.run),
    "messages": Benchmark(messages.ABOUT, messages.flags, messages.run),
    "death": Benchmark(death.ABOUT, death.flags, death.run),
    "faults": Benchmark(faults.ABOUT, faults.flags, faults.run),
    "reads": Benchmark(reads.ABOUT, reads.flags, reads.run),
    "replan": Benchmark(replan.ABOUT, replan.flags, replan.run),
    "rescue": Benchmark(rescue.ABOUT, rescue.flags, rescue.run),
    "demonstration": Benchmark(demonstration.ABOUT, demonstration.flags, demonstration.run),
}


def main(arguments: list[str]) -> None:
    """Run the benchmark named first with the flags after it, or all; without a name, list them."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    named = parser.add_subparsers(dest="name", metavar="benchmark")
    for name, benchmark in BENCHMARKS.items():
        benchmark.flags(named.add_parser(name, help=benchmark.about, description=benchmark.about))
    named.add_parser("all", help="one after the other: some hours")
    chosen = parser.parse_args(arguments)
    if chosen.name == "all":
        for name in BENCHMARKS:
            _run(name, parser.parse_args([name]))
    elif chosen.name is not None:
        _run(chosen.name, chosen)
    else:
        for name, benchmark in BENCHMARKS.items():
            print(f"{name:15}{benchmark.about}")


def _run(name: str, chosen: argparse.Namespace) -> None:
    settle_down()  # as every process that serves does
    print(f"\n{name}: {BENCHMARKS[name].about}\n{machine()}")
    BENCHMARKS[name].run(chosen)
    print(machine())


if __name__ == "__main__":
    main(sys.argv[1:])
