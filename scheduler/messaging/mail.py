"""An envelope as an e-mail message (RFC 5322): text, the same as HTML, and visits for a calendar. Carries nothing."""

from __future__ import annotations

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from scheduler.core.oneline import one_line
from scheduler.messaging.base import DeliveryError, Envelope
from scheduler.messaging.html import as_html

#: Longer names and subjects are cut: no reader shows more.
LONGEST_HEADER = 200
#: A header with an address in it must stay on one line: folded, it would be encoded, and no program would read it.
_POLICY = SMTP.clone(max_line_length=998)


def as_mail(envelope: Envelope, *, sender: str, to: str) -> EmailMessage:
    """The e-mail, from the address `sender` under the envelope's name. Raises DeliveryError for unusable headers.

    The Message-ID is made from the message id alone, so that a repeat can be told from a new message. A text message
    that is kept as a mail stays plain.
    """
    domain = sender.rpartition("@")[2] or "localhost"
    mail = EmailMessage(policy=_POLICY)
    language = envelope.locale.replace("_", "-")
    try:
        mail["Message-ID"] = f"<{envelope.message_id}@{domain}>"
        mail["From"] = Address(_plain(envelope.sender_name), addr_spec=sender)
        mail["To"] = to
        mail["Subject"] = _plain(envelope.subject)
        mail["Auto-Submitted"] = "auto-generated"  # so that an absence notice does not answer
        mail["X-Message-Channel"] = envelope.channel
        for name, value in envelope.headers.items():
            mail[name] = " ".join(value.split())
        mail.set_content(envelope.body)
        if envelope.channel == "email":
            mail.add_alternative(as_html(envelope.body, language), subtype="html")
            _add_calendar(mail, envelope, sender=sender, to=to)
        mail["Content-Language"] = language  # after the content, which drops its like
    except (ValueError, IndexError, MessageError) as error:
        raise DeliveryError("The message cannot be written as an e-mail.", permanent=True) from error
    return mail


def _add_calendar(mail: EmailMessage, envelope: Envelope, *, sender: str, to: str) -> None:
    """An invitation by RFC 6047: one more form of the same news, which calendars take by themselves."""
    if not envelope.calendar:
        return
    from scheduler import ics  # the library behind it takes long to load, and few messages need it

    attendee = None if envelope.method == "PUBLISH" else to
    text = ics.invitation(envelope.calendar, envelope.method, organizer=sender, attendee=attendee)
    mail.add_alternative(text.decode(), subtype="calendar", params={"method": envelope.method})


def _plain(text: str) -> str:
    """What stands in a header as written: what looks encoded would be decoded by its reader, line breaks and all."""
    return one_line(text, LONGEST_HEADER).replace("=?", "= ?")
