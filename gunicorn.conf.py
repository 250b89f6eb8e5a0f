"""How gunicorn serves the API, read by itself from here: what it refuses alone is a problem document like any other.

Imports nothing of ours: this is read before gunicorn forks, and the application after that.
"""

import json
import secrets
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import ThreadWorker

#: Status to code and detail; whatever else gunicorn says is an error of the server.
_SAID = {
    400: ("malformed_request", "The request cannot be read."),
    403: ("forbidden", "The connection is not allowed."),
    414: ("uri_too_long", "The request line is longer than this installation reads."),
    417: ("expectation_failed", "Only `100-continue` can be expected."),
    431: ("headers_too_large", "There are more header fields, or longer ones, than this installation reads."),
    501: ("not_implemented", "That transfer coding is not known."),
}
_ELSE = ("internal_error", "Something went wrong on our side; it was logged under this request id.")


class _Page:
    """Stands in for the client: what gunicorn would have written to it."""

    def __init__(self) -> None:
        self.text = b""

    def gettimeout(self) -> float:
        return 0.0

    def sendall(self, data: bytes) -> None:
        self.text += data


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn ships no types
    """Threads that answer what is no HTTP as the application answers what it refuses."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that did not reach the application."""
        page = _Page()
        super().handle_error(req, page, addr, exc)  # which logs it, and knows its status
        status = int(page.text.split(b" ", 2)[1])
        (code, detail), request_id = _SAID.get(status, _ELSE), secrets.token_hex(16)
        self.log.warning("request %s: %d %s", request_id, status, code)
        title = code.replace("_", " ").capitalize()
        document = {"type": f"/docs/problems#{code}", "title": title, "status": status, "detail": detail, "code": code}
        body = json.dumps(document | {"request_id": request_id})
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\nX-Request-Id: {request_id}\r\n"
        head += f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            util.write_nonblock(client, (head + body).encode("latin1"))
        except OSError:
            self.log.debug("request %s: nobody was left to tell", request_id)


worker_class = Worker
