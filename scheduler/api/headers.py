"""What a request says in its headers besides who asks: the revision a change is based on, and its key for replay."""

from __future__ import annotations

import re

from flask import request

from scheduler.api.auth import MalformedHeader
from scheduler.core.errors import PreconditionMissing, StaleRevision
from scheduler.services.records import Revision

#: A revision, and which answer of it was seen where that may differ; or a mark of the whole.
_ETAG = re.compile(r'"(?:([0-9]{1,9})(?:-[0-9a-f]{12})?|([0-9a-f]{32}))"', flags=re.ASCII)
_OTHER_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_KEY = re.compile(r"[!-~]{1,255}", flags=re.ASCII)


def based_on(*, required: bool) -> Revision | None:
    """The revision that If-Match names."""
    tag = request.headers.get("If-Match", "").strip()
    if not tag and not required:
        return None
    if tag in {"", "*"}:  # `*` would say: whatever somebody else wrote meanwhile, overwrite it
        raise PreconditionMissing("Say in If-Match which revision this change is based on, as the ETag gave it.")
    match = _ETAG.fullmatch(tag)
    if match:
        return int(match[1]) if match[1] else match[2]
    if _OTHER_TAG.fullmatch(tag):
        raise StaleRevision("This If-Match names no revision of ours; send the ETag as it came.")
    raise MalformedHeader('If-Match holds one ETag, with its quotes: "7".')


def idempotency_key() -> str | None:
    """The key under which the answer is kept, if there is one."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise MalformedHeader("Idempotency-Key is 1 to 255 visible ASCII characters.")
    return key
