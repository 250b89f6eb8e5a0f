"""Many clients at once, in processes of their own, for a fixed time, each doing job after job. Judges nothing."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any

#: A client: made in its process, then asked to do one job after the other; says how each ended.
Client = Callable[[Any], str]
#: Makes a client from what all of them share.
Maker = Callable[[Any], Client]

OK, OUT = "ok", "out of wishes"
_PROCESSES = 2
_LONGEST_WAIT = 60


@dataclass
class Did:
    """What a crowd did: jobs by how they ended, the seconds each took, how long all lasted, and what was left over."""

    ends: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    lasted: float = 0.0
    left: list[Any] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Jobs that went well, per second."""
        return self.ends[OK] / self.lasted


def crowd(maker: Maker, shared: Any, orders: Sequence[Any], clients: int, seconds: float) -> Did:
    """So many clients, all beginning together; each stops when its time is over, or when no order is left.

    The clients of one process take the next order of all that it has: a server may serve some of them much sooner.
    """
    context = multiprocessing.get_context("fork")  # whoever calls has closed its connections
    many = min(_PROCESSES, clients)
    shares = [(list(orders[place::many]), len(range(place, clients, many))) for place in range(many)]
    gate, results = context.Barrier(len(shares) + 1), context.Queue()
    processes = [
        context.Process(target=_process, args=(maker, shared, *share, seconds, gate, results)) for share in shares
    ]
    for process in processes:
        process.start()
    gate.wait()
    did = Did()
    for _ in processes:
        ends, spent, left, lasted = results.get()
        did.ends.update(ends)
        did.seconds += spent
        did.left += left
        did.lasted = max(did.lasted, lasted)
    for process in processes:
        process.join()
    return did


def _process(maker: Maker, shared: Any, orders: list[Any], many: int, seconds: float, gate: Any, out: Any) -> None:
    ends: list[str] = []
    spent: list[float] = []
    clients = [maker(shared) for _ in range(many)]
    begin = threading.Event()

    def work(client: Client) -> None:
        begin.wait()
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            try:
                order = orders.pop()
            except IndexError:
                ends.append(OUT)
                return
            ends.append(client(order))
            spent.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    gate.wait()
    began = time.perf_counter()
    begin.set()
    for thread in threads:
        thread.join()
    out.put((ends, spent, orders, time.perf_counter() - began))


def http_client(shared: dict[str, Any]) -> Client:
    """A front desk with one connection that it keeps: posts each wish to `path`; `ok` or the refusal's code."""
    host, port = shared["address"]
    headers = {"Authorization": f"Bearer {shared['token']}", "Content-Type": "application/json"}
    connection = HTTPConnection(host, port, timeout=_LONGEST_WAIT)

    def post(wish: dict[str, Any]) -> str:
        try:
            connection.request("POST", shared["path"], json.dumps(wish), headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException) as error:
            connection.close()
            return type(error).__name__
        return OK if answer.status == 201 else str(json.loads(body).get("code", answer.status))  # noqa: PLR2004 - Created

    return post
