"""What a request says in its headers besides who asks: the revision a change is based on, and its key for replay."""

from __future__ import annotations

import re
from typing import Any

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from scheduler.api.auth import MalformedHeader
from scheduler.core.errors import PreconditionMissing, StaleRevision
from scheduler.services.records import Revision

#: A revision, and which answer of it was seen where that may differ; or a mark of the whole.
_ETAG = re.compile(r'"(?:([0-9]{1,9})(?:-[0-9a-f]{12})?|([0-9a-f]{32}))"', flags=re.ASCII)
_OTHER_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_KEY = re.compile(r"[!-~]{1,255}", flags=re.ASCII)


def based_on(*, required: bool) -> Revision | None:
    """The revision that If-Match names. One that is there and says nothing is no If-Match at all, but a mistake."""
    said = request.headers.get("If-Match")
    if said is None and not required:
        return None
    tag = "*" if said is None else said.strip()
    if tag == "*":  # `*` would say: whatever somebody else wrote meanwhile, overwrite it
        raise PreconditionMissing("Say in If-Match which revision this change is based on, as the ETag gave it.")
    match = _ETAG.fullmatch(tag)
    if match:
        return int(match[1]) if match[1] else match[2]
    if _OTHER_TAG.fullmatch(tag):
        raise StaleRevision("This If-Match names no revision of ours; send the ETag as it came.")
    raise MalformedHeader('If-Match holds one ETag, with its quotes: "7".')


class EncodedBody(UnsupportedMediaType):
    """The body is packed, and nobody here unpacks it."""

    problem_code = "unsupported_media_type"

    def __init__(self, encoding: str) -> None:
        super().__init__(f"The body is said to be '{encoding}' by its Content-Encoding: send it as it is.")

    def get_headers(self, *args: Any, **more: Any) -> list[tuple[str, str]]:
        """As RFC 9110 has it: which codings would have been understood."""
        return [*super().get_headers(*args, **more), ("Accept-Encoding", "identity")]


def expect_unpacked() -> None:
    """Raises EncodedBody where a Content-Encoding says more of the body than that it is as it is."""
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "").strip()
    if encoding and encoding.lower() != "identity":
        raise EncodedBody(encoding[:60])


def idempotency_key() -> str | None:
    """The key under which the answer is kept, if there is one."""
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not _KEY.fullmatch(key):
        raise MalformedHeader("Idempotency-Key is 1 to 255 visible ASCII characters.")
    return key
