"""One front desk's HTTP connection: a request, its answer, and what broke on the way. Knows no route."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any

#: Longer than any answer may take: nobody gives up before the server does.
PATIENCE = 120.0
#: The status of a request whose answer never came.
BROKEN = 0


@dataclass(frozen=True)
class Answer:
    """What came back. `status` 0 means nobody knows whether it was carried out."""

    status: int
    body: Any
    headers: dict[str, str]
    seconds: float

    @property
    def code(self) -> str:
        """The problem's code, or the status."""
        return str(self.body.get("code", self.status)) if isinstance(self.body, dict) else str(self.status)

    @property
    def is_good(self) -> bool:
        """Whether it was carried out."""
        return 200 <= self.status < 300


@dataclass
class Caller:
    """Calls one server with one key, each time over a connection of its own."""

    host: str
    port: int
    token: str
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request. `headers` are named with underscores: `idempotency_key="a"`."""
        began = time.monotonic()
        connection = HTTPConnection(self.host, self.port, timeout=PATIENCE)
        sent = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            **self.headers,
            **{name.replace("_", "-").title(): value for name, value in headers.items()},
        }
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = connection.getresponse()
            raw = response.read()
            shown = json.loads(raw) if raw else None
            return Answer(response.status, shown, dict(response.headers), time.monotonic() - began)
        except (OSError, HTTPException) as error:
            return Answer(BROKEN, {"code": type(error).__name__}, {}, time.monotonic() - began)
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, None, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        return self.call("PATCH", path, body, **headers)
