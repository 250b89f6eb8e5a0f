"""What is texted back to a patient who texted: one SMS each, in the language of their word. Sees no row."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.messaging.disclosure import disclosures
from scheduler.messaging.gsm7 import LIMIT, septets, to_gsm7
from scheduler.messaging.render import locale_chain, shipped_locales, words_of

#: Every answer there is; each is `answer_<kind>` among a language's words.
KINDS = ("stopped", "stopped_visit", "stopped_class", "started", "help", "confirmed", "which", "read")
_SENDER_AT = (40, 20, 11)


def answer(kind: str, sender_name: str, phone: str, locales: Sequence[str]) -> str:
    """The answer in one SMS, under the clinic's neutral name."""
    language = next(tag for tag in locale_chain(locales) if tag in shipped_locales())
    words = words_of(language)
    quiet = " ".join(sender_name.split())
    name = words["sender"] if disclosures(quiet) or not to_gsm7(quiet) else quiet
    call = words["answer_call"].format(phone=phone) if phone else ""
    text = ""
    for length in _SENDER_AT:
        text = to_gsm7(words[f"answer_{kind}"].format(sender=to_gsm7(name)[:length].rstrip(" -,&"), call=call))
        if septets(text) <= LIMIT:
            break
    return text
