"""A body as the server hands its bytes over: what cannot be taken apart on the way is the sender's fault, not ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from flask import Flask

from scheduler.api.strict import Malformed


class _Bytes:
    """The server's stream. Each server has errors of its own for a chunk without a size; the sender gets one answer."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except OSError:
            raise  # whoever sent it is gone, which Werkzeug knows how to say
        except Exception as error:
            raise Malformed("The body cannot be read.") from error


def init_app(app: Flask) -> None:
    """See that whatever reads a body reads it so: JSON, forms, and what providers sign."""
    serve = app.wsgi_app

    def reading(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"] = _Bytes(environ["wsgi.input"])
        return serve(environ, start_response)

    app.wsgi_app = reading  # type: ignore[method-assign]
