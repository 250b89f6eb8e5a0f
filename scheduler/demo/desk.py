"""The demonstration against itself: the application served on loopback, and a front desk that speaks HTTP to it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any
from uuid import uuid4

import requests
from flask import Flask
from waitress import create_server, wasyncore  # type: ignore[import-untyped]

_REFUSED = 400
_PATIENCE = 60


class RefusedRequest(Exception):
    """An answer of 400 or above. `problem` is its document."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail')}")
        self.status, self.problem = status, problem


@dataclass(frozen=True)
class Desk:
    """A front desk: an address, a key, and who is told of each call (method, path, status)."""

    url: str
    key: str
    told: Callable[[str, str, int], None]
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """One answer. Raises RefusedRequest."""
        return self._call("GET", path, params=query)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One change, under an Idempotency-Key of its own. Raises RefusedRequest."""
        return self._call("POST", path, json=body, headers={"Idempotency-Key": str(uuid4())})

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One decision, which may be said twice. Raises RefusedRequest."""
        return self._call("PUT", path, json=body)

    def every(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """All items of a collection, page by page."""
        cursor: dict[str, Any] = {}
        while True:
            page = self.get(path, limit=200, **query, **cursor)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}

    def _call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        answer = self.session.request(method, self.url + path, headers=headers, timeout=_PATIENCE, **more)
        self.told(method, path, answer.status_code)
        document: dict[str, Any] = answer.json()
        if answer.status_code >= _REFUSED:
            raise RefusedRequest(answer.status_code, document)
        return document


@contextmanager
def served(app: Flask, port: int) -> Iterator[str]:
    """The application on loopback for as long as this lasts; port 0 takes one that is free. Yields its address.

    Raises OSError for a port that is taken.
    """
    with socket.create_server(("127.0.0.1", port)) as probe:  # waitress would leave a refused socket open
        free = probe.getsockname()[1]
    sockets: dict[int, Any] = {}
    server = create_server(app, map=sockets, host="127.0.0.1", port=free, threads=4, ident=None)
    thread = Thread(target=server.run, name="demonstration", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{free}"
    finally:
        # Its sockets are closed by the thread that waits on them.
        server.trigger.pull_trigger(lambda: wasyncore.close_all(sockets, ignore_all=True))
        thread.join()
        server.task_dispatcher.shutdown()
