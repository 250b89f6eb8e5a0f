"""What providers post to us, by provider: who signed it, which text or which outcome it tells, how it is answered.

To add a provider, write its `read` and name it in PROVIDERS. No row is known here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from scheduler.messaging.twiml import said, texted

#: What a status of Twilio's means for a message; others are on the way.
_DELIVERED = frozenset({"delivered", "completed"})
_FAILED = frozenset({"failed", "undelivered", "canceled"})
_UNANSWERED = frozenset({"busy", "no-answer"})
#: What a gateway of one's own calls them.
_OUTCOMES = frozenset({"delivered", "failed", "unanswered"})


class NotSigned(Exception):
    """The provider did not sign this, or not lately."""


class Unreadable(Exception):
    """It is signed, and still not what a provider posts."""


@dataclass(frozen=True)
class Posted:
    """One request as it came: the address that the provider called, its headers in lower case, its body."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Told:
    """What it says: a text of `number`, or what became of a message: `delivered`, `failed`, `unanswered` (a call).

    Empty, it is on its way. `key` is what was pressed in a call that rang at `called`.
    """

    provider_id: str
    number: str = ""
    text: str = ""
    outcome: str = ""
    detail: str = ""
    key: str = ""
    called: str = ""


@dataclass(frozen=True)
class Provider:
    """How one provider speaks. `read` raises NotSigned and Unreadable; `say` is (content type, answer).

    `speak` is the same in a call: words, their locale, and where a further key is told, if any.
    """

    read: Callable[[str, Posted], Told]
    say: Callable[[str], tuple[str, str]]
    speak: Callable[[str, str, str], tuple[str, str]]


def _from_twilio(secret: str, posted: Posted) -> Told:
    try:
        pairs = parse_qsl(posted.body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(posted.body))
    except (UnicodeDecodeError, ValueError) as error:
        raise Unreadable from error
    form = dict(pairs)
    signed = posted.headers.get("x-twilio-signature", "")
    if len(form) != len(pairs) or not hmac.compare_digest(
        signature(secret, posted.url, form).encode(), signed.encode("utf-8", "replace")
    ):
        raise NotSigned
    status = form.get("MessageStatus") or form.get("CallStatus") or ""
    known = {"delivered": _DELIVERED, "failed": _FAILED, "unanswered": _UNANSWERED}
    outcome = next((name for name, those in known.items() if status in those), "")
    return Told(
        provider_id=form.get("MessageSid") or form.get("CallSid") or "",
        number=form.get("From", ""),
        text=form.get("Body", ""),
        outcome=outcome,
        detail=f"{status} {form.get('ErrorCode', '')}".strip(),
        key=form.get("Digits", ""),
        called=form.get("To", ""),
    )


def _from_gateway(secret: str, posted: Posted) -> Told:
    """JSON signed by Standard Webhooks: {id, from, body} for a text, {id, status, detail?} for an outcome.

    {id, to, key} for a key that was pressed in a call to that number. Signed are the header's id, the moment, which
    may be five minutes off, and the body; not the address, which is why the body repeats it as `url`: what was posted
    about one message says nothing about another.
    """
    reader = Webhook(secret)
    try:
        reader.verify(posted.body, dict(posted.headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:  # a signature that is none, too
        raise NotSigned from error
    try:
        document = json.loads(posted.body)
    except ValueError as error:
        raise Unreadable from error
    if not isinstance(document, dict):
        raise Unreadable
    if document.get("url") != posted.url:
        raise NotSigned
    told = {key: value for key, value in document.items() if isinstance(value, str)}
    return Told(
        provider_id=told.get("id", ""),
        number=told.get("from", ""),
        text=told.get("body", ""),
        outcome=told.get("status", "") if told.get("status") in _OUTCOMES else "",
        detail=told.get("detail", ""),
        key=told.get("key", ""),
        called=told.get("to", ""),
    )


def signature(token: str, url: str, form: Mapping[str, str]) -> str:
    """How Twilio signs what it posts to that address."""
    text = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


_JSON = "application/json"
#: By the name that stands in the address that a provider is given.
PROVIDERS: Mapping[str, Provider] = {
    "http": Provider(
        _from_gateway,
        lambda answer: (_JSON, json.dumps({"reply": answer or None})),
        lambda words, locale, action: (_JSON, json.dumps({"say": words, "locale": locale, "keys": action or None})),
    ),
    "twilio": Provider(
        _from_twilio,
        lambda answer: ("text/xml", texted(answer)),
        lambda words, locale, action: ("text/xml", said(words, locale, action=action)),
    ),
}
