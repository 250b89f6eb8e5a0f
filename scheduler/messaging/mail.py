"""An envelope as an e-mail message (RFC 5322). How it is carried lives in the channels."""

from __future__ import annotations

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from scheduler.messaging.base import DeliveryError, Envelope

#: Longer names and subjects are cut: no reader shows more.
LONGEST_HEADER = 200


def as_mail(envelope: Envelope, *, sender: str, to: str) -> EmailMessage:
    """The e-mail, from the address `sender` under the envelope's name. Raises DeliveryError for unusable headers.

    The Message-ID is made from the message id alone, so that a repeat can be told from a new message.
    """
    domain = sender.rpartition("@")[2] or "localhost"
    mail = EmailMessage(policy=SMTP)
    try:
        mail["Message-ID"] = f"<{envelope.message_id}@{domain}>"
        mail["From"] = Address(_one_line(envelope.sender_name), addr_spec=sender)
        mail["To"] = to
        mail["Subject"] = _one_line(envelope.subject)
        mail["Auto-Submitted"] = "auto-generated"  # so that an absence notice does not answer
        mail["X-Message-Channel"] = envelope.channel
        for name, value in envelope.headers.items():
            mail[name] = _one_line(value)
        mail.set_content(envelope.body)
        mail["Content-Language"] = envelope.locale.replace("_", "-")  # after the content, which drops its like
    except (ValueError, IndexError, MessageError) as error:
        raise DeliveryError("The message cannot be written as an e-mail.", permanent=True) from error
    return mail


def _one_line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_HEADER]
