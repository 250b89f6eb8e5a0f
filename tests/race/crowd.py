"""Many clients at once, in several processes with threads, each doing one job. What the jobs do is in `jobs`.

The processes are started as `python -m tests.race.crowd`, read what to do from their input as JSON, and write down what
came of it. They begin together: nobody acts before everybody is ready.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.race.caller import Caller

ROOT = Path(__file__).parents[2]
#: A job: (caller, its own orders, memory that it shares with the other clients of its process) to what it did.
Job = Callable[[Caller, dict[str, Any], "Memory"], list[dict[str, Any]]]


@dataclass
class Memory:
    """What the clients of one process know together."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    known: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Crowd:
    """Clients at work in processes of their own."""

    processes: list[subprocess.Popen[str]]

    def gather(self) -> None:
        """Wait until everybody is ready for the next turn."""
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", "a client process did not come up"

    def go(self) -> None:
        """Let everybody begin."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    def is_busy(self) -> bool:
        """Whether somebody is still at work."""
        return any(process.poll() is None for process in self.processes)

    def results(self) -> list[dict[str, Any]]:
        """What all of them did, when all have finished."""
        found = []
        for process in self.processes:
            written, _ = process.communicate()
            assert process.returncode == 0, f"a client process ended with {process.returncode}"
            found += json.loads(written)
        return found


@contextmanager
def crowd(
    caller: Caller, job: str, orders: Sequence[dict[str, Any] | list[dict[str, Any]]], *, processes: int = 2
) -> Iterator[Crowd]:
    """One client per order, ready to begin; spread over the processes, which are gone at the end.

    A list of orders is one client's in as many turns: before each the client waits to be let go.
    """
    shares = [list(orders[place::processes]) for place in range(min(processes, len(orders)))]
    started: list[subprocess.Popen[str]] = []
    try:
        for share in shares:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.race.crowd"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            started.append(process)
            assert process.stdin is not None
            process.stdin.write(json.dumps({"caller": vars(caller), "job": job, "orders": share}) + "\n")
            process.stdin.flush()
        clients = Crowd(started)
        clients.gather()
        yield clients
    finally:
        for process in started:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None and not stream.closed:
                    stream.close()


def at_once(caller: Caller, job: str, orders: Sequence[dict[str, Any]], *, processes: int = 2) -> list[dict[str, Any]]:
    """Let one client per order do the job at the same moment; what they did, in no order."""
    with crowd(caller, job, orders, processes=processes) as clients:
        clients.go()
        return clients.results()


def main() -> None:
    """One process of the crowd."""
    from tests.race import jobs

    said = json.loads(sys.stdin.readline())
    job: Job = getattr(jobs, said["job"])
    clients = [order if isinstance(order, list) else [order] for order in said["orders"]]
    memory, did = Memory(), []
    gate = threading.Barrier(len(clients) + 1)

    def work(orders: list[dict[str, Any]]) -> None:
        try:
            for order in orders:
                gate.wait()
                found = job(Caller(**said["caller"]), order, memory)
                with memory.lock:
                    did.extend(found)
                gate.wait()
        except Exception:
            gate.abort()
            raise

    threads = [threading.Thread(target=work, args=(orders,)) for orders in clients]
    for thread in threads:
        thread.start()
    try:
        for _ in clients[0]:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            sys.stdin.readline()
            gate.wait()
            gate.wait()
    except threading.BrokenBarrierError:
        sys.exit("a client fell over")
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps(did))


if __name__ == "__main__":
    main()
