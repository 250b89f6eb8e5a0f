"""From a provider's request to what it tells: refused when it is not signed, before anything of it is believed."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.core.errors import Fault, Invalid, NotFound, Unauthorized
from scheduler.messaging.incoming import PROVIDERS, NotSigned, Posted, Told, Unreadable

__all__ = ["Told", "opened", "said", "spoken"]

_LONGEST_ID = 150


def opened(provider: str, secret: str, *, url: str, headers: Mapping[str, str], body: bytes) -> Told:
    """What the provider tells. `url` is the address that it called; a provider without a secret is not set up.

    Raises NotFound for a provider that is none, Unauthorized for what it has not signed, Invalid.
    """
    if provider not in PROVIDERS or not secret:
        raise NotFound("No such provider is set up.")
    posted = Posted(url, {key.lower(): value for key, value in headers.items()}, body)
    try:
        told = PROVIDERS[provider].read(secret, posted)
    except NotSigned:
        raise Unauthorized("The provider has not signed this.") from None
    except Unreadable:
        raise Invalid([Fault("", "malformed", "This is not what the provider posts.")]) from None
    if not (0 < len(told.provider_id) <= _LONGEST_ID and told.provider_id.isprintable()):
        raise Invalid([Fault("/id", "required", "The provider's own id of the message is missing or too long.")])
    return told


def said(provider: str, answer: str) -> tuple[str, str]:
    """(content type, body): how that provider is told to text back, or that there is nothing to say."""
    return PROVIDERS[provider].say(answer)


def spoken(provider: str, words: str, locale: str, action: str) -> tuple[str, str]:
    """(content type, body): how that provider is told to say it in a call."""
    return PROVIDERS[provider].speak(words, locale, action)
