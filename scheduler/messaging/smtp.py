"""The channel that hands each e-mail to an SMTP server. Only the server's own word about this message is final."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress

from scheduler.messaging.base import DeliveryError, Envelope, one_address
from scheduler.messaging.mail import as_mail

_PERMANENT = 500
#: "Service not available, closing transmission channel".
_CLOSING = 421


class Smtp:
    """One connection per message: a reminder service sends few enough, and a dead connection is never met twice.

    With `starttls` (the default) nothing is said before the connection is encrypted and the certificate checked; a
    server that cannot is refused. `context` replaces the system's trust.
    """

    #: Some mail programs show two mails of one Message-ID once, and no server promises to.
    drops_repeats = False

    def __init__(
        self,
        host: str,
        sender: str,
        *,
        port: int = 587,
        user: str = "",
        password: str = "",
        starttls: bool = True,
        timeout: float = 20,
        context: ssl.SSLContext | None = None,
    ) -> None:
        if not host or "@" not in sender:
            msg = "SMTP needs a host and the address it sends from"
            raise ValueError(msg)
        self._server, self._timeout = (host, port), timeout
        self._login = (user, password)
        self._sender, self._domain = sender, sender.rpartition("@")[2]
        self._context = (context or ssl.create_default_context()) if starttls else None

    def deliver(self, envelope: Envelope) -> None:
        """Deliver to the one recipient. The server's refusal of the recipient or the text is permanent."""
        to = one_address(envelope.to)
        mail = as_mail(envelope, sender=self._sender, to=to)
        try:
            # The name to greet with is given: smtplib would ask the network for it.
            connection = smtplib.SMTP(*self._server, local_hostname=self._domain, timeout=self._timeout)
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryError(
                f"The SMTP server cannot be reached: {_say(error)}.", permanent=False, down=True
            ) from error
        begun = False
        try:
            self._prepare(connection)
            begun = True
            connection.send_message(mail, self._sender, [to])
        except smtplib.SMTPRecipientsRefused as error:
            code = max(answer[0] for answer in error.recipients.values())
            said = f"The SMTP server refused the recipient: {code}."
            raise DeliveryError(said, permanent=_final(code), down=code == _CLOSING) from error
        except smtplib.SMTPDataError as error:
            code = error.smtp_code
            said = f"The SMTP server refused the message: {code}."
            raise DeliveryError(said, permanent=_final(code), down=code == _CLOSING) from error
        except (OSError, smtplib.SMTPException) as error:
            # Log-in, TLS, the sender's address: faults of the installation, which pass once somebody mends them.
            said = f"The SMTP server did not take it: {_say(error)}."
            unsure = begun and not isinstance(error, smtplib.SMTPResponseException)
            raise DeliveryError(said, permanent=False, down=True, unsure=unsure) from error
        finally:
            # The message is accepted or refused by now; how the goodbye goes must not change that.
            with suppress(OSError, smtplib.SMTPException):
                connection.quit()
            connection.close()

    def _prepare(self, connection: smtplib.SMTP) -> None:
        if self._context is not None:
            connection.starttls(context=self._context)
        if self._login[0]:
            connection.login(*self._login)


def _final(code: int) -> bool:
    return code >= _PERMANENT


def _say(error: Exception) -> str:
    code = getattr(error, "smtp_code", None)
    return type(error).__name__ if code is None else f"{type(error).__name__} {code}"
