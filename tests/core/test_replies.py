"""What patients text back, and what it is taken for: the degree of tolerance, word by word."""

from __future__ import annotations

import pytest

from scheduler.core.replies import meaning

STOPS = (
    "STOP", "stop", " Stop. ", "STOPALL", "Stop all", "unsubscribe", "END", "quit", "REVOKE", "optout",
    "Opt-out", "opt out!",
    "ALTO", "Parar", "pare", "BAJA", "salir", "detener", "terminar", "No más", "revocar", "stop please",
    "por favor, parar", "Stop, thank you \N{WAVING HAND SIGN}", "stpo", "stopp", "sstop", "tsop", "unsubscrbie",
    "unsuscribe", "S.T.O.P.", "s t o p", "stop stop STOP", "STOP " * 400, "S\u200bT\u200bO\u200bP",
    "\u202eSTOP", "\uff33\uff34\uff2f\uff30",
    "Para", "darme de baja", "Quiero darme de baja, por favor", "no quiero más mensajes", "Leave me alone!",
    "don't text me", "\u00a1Basta ya!", "Por favor, no me manden m\u00e1s mensajes",
)  # fmt: skip


@pytest.mark.parametrize("text", STOPS)
def test_what_ends_the_messages(text: str) -> None:
    assert meaning(text).intent == "stop"
    assert not meaning(text).ask


@pytest.mark.parametrize("text", ["cancel", "CANCEL", "Cancel please", "cancelar", "stop texting me", "STOP cancel it"])
def test_what_ends_them_and_is_read_by_a_person_too(text: str) -> None:
    found = meaning(text)
    assert (found.intent, found.ask) == ("stop", True)


@pytest.mark.parametrize(
    ("text", "intent", "language"),
    [
        ("YES", "yes", "en"),
        ("yes, thank you!", "yes", "en"),
        ("Sí", "yes", "es"),
        ("si gracias", "yes", "es"),
        ("SI\N{COMBINING ACUTE ACCENT}", "yes", "es"),
        ("c", "yes", "en"),
        ("C.", "yes", "en"),
        ("Confirmo", "yes", "es"),
        ("HELP", "help", "en"),
        ("info?", "help", "en"),
        ("Ayuda", "help", "es"),
        ("START", "start", "en"),
        ("unstop", "start", "en"),
        ("yes yes", "yes", "en"),
    ],
)
def test_the_other_words(text: str, intent: str, language: str) -> None:
    found = meaning(text)
    assert (found.intent, found.language, found.ask) == (intent, language, False)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\N{THUMBS UP SIGN}", "no", "R", "yes but can I come later", "yess", "eys", "cc", "ok", "maybe",
        "cancel my appointment", "please do not stop the treatment", "don't stop", "step", "shop",
        "top", "send", "quite",
        "stop by the desk on my way in?", "I will stop by", "can't", "\N{CYRILLIC SMALL LETTER ES}", "1",
        "si\0no", "x" * 5000, "para mañana", "stoo", "sto", "s t", "<b>stop</b>",
    ],
)  # fmt: skip
def test_what_a_person_must_read(text: str) -> None:
    found = meaning(text)
    assert (found.intent, found.ask) == ("other", True)
