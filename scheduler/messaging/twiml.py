"""What a Twilio-shaped provider is told to say in a call, or to text back: small markup in which nothing escapes."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

#: How long whoever hears it has for pressing a key, in seconds.
_PATIENCE = 10
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def texted(answer: str) -> str:
    """The answer to a text; none for nothing."""
    return f"{_HEAD}<Response>{f'<Message>{escape(answer)}</Message>' if answer else ''}</Response>"


def said(words: str, locale: str, *, action: str = "") -> str:
    """These words aloud, once; with an `action` a key that is pressed meanwhile or soon after is told there."""
    aloud = f"<Say language={quoteattr(locale.replace('_', '-'))}>{escape(words)}</Say>"
    if action:
        about = f'input="dtmf" numDigits="1" timeout="{_PATIENCE}" method="POST"'
        aloud = f"<Gather {about} action={quoteattr(action)}>{aloud}</Gather>"
    return f"{_HEAD}<Response>{aloud}</Response>"
