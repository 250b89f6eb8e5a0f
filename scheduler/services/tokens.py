"""Secrets that say whose they are: `<kind>_<organization>_<row>_<secret>`. Only a digest of the secret is ever stored.

The organization in them lets every look-up begin with it. What a token opens is decided by who stores it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

#: The digest of no secret: compared with when there is no row, so that both answers take as long.
NO_DIGEST = "0" * 64
# The lengths are fixed, since the alphabet itself has an underscore.
_FORM = re.compile(r"([a-z]+)_([A-Za-z0-9_-]{22})_([A-Za-z0-9_-]{22})_([A-Za-z0-9_-]{43})")


#: A token that fits into a text message: the organization's code and 101 bits, found by the digest itself. Letters and
#: digits only: what makes links of a text leaves out a dash at its end.
_SHORT = re.compile(r"([A-Za-z0-9]{5})([A-Za-z0-9]{17})")
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Token:
    """A token taken apart."""

    organization_id: UUID
    row_id: UUID
    secret: str

    def opens(self, known: str | None) -> bool:
        """Whether this is the secret with that stored digest; as slow for None as for a wrong one."""
        return hmac.compare_digest(digest(self.secret), known or NO_DIGEST)


def issue(kind: str, organization_id: UUID, row_id: UUID) -> tuple[str, str]:
    """(token, digest): a new secret of 256 random bits, to be shown once, and what to store of it."""
    secret = secrets.token_urlsafe(32)
    return f"{kind}_{_short(organization_id)}_{_short(row_id)}_{secret}", digest(secret)


def read(kind: str, text: str) -> Token | None:
    """The parts of a token of that kind; None when it is none."""
    match = _FORM.fullmatch(text)
    if match is None or match[1] != kind:
        return None
    organization_id, row_id = _long(match[2]), _long(match[3])
    if organization_id is None or row_id is None:
        return None
    return Token(organization_id, row_id, match[4])


def derive_short(code: str, key: bytes, about: str) -> tuple[str, str]:
    """(token, digest) for links in messages: of one key and matter always the same, unguessable without the key.

    `code` is the organization's. The digest must be unique in the organization.
    """
    number = int.from_bytes(hmac.new(key, about.encode(), hashlib.sha256).digest())
    secret = ""
    for _ in range(17):
        number, place = divmod(number, len(_ALPHABET))
        secret += _ALPHABET[place]
    return f"{code}{secret}", digest(secret)


def read_short(text: str) -> tuple[str, str] | None:
    """(code of the organization, digest) of a short token; None when it is none."""
    match = _SHORT.fullmatch(text)
    return (match[1], digest(match[2])) if match else None


def digest(secret: str) -> str:
    """SHA-256: nobody guesses a hundred random bits, so a slow password hash would only slow down every request."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _short(value: UUID) -> str:
    return base64.urlsafe_b64encode(value.bytes).decode().rstrip("=")


@lru_cache(maxsize=4096)
def _long(text: str) -> UUID | None:
    """An id, which is no secret: the few who ask are known by theirs."""
    found = UUID(bytes=base64.urlsafe_b64decode(f"{text}=="))
    return found if _short(found) == text else None  # one spelling per id
