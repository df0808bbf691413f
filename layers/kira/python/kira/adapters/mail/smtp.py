"""Letters over SMTP, with the standard library in a thread."""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from kira.adapters.mail.written import written
from kira.domain.errors import Invalid, Unavailable
from kira.domain.limits import MAIL_SECONDS_MAX
from kira.ports.mail import Letter

log = logging.getLogger("kira.mail")


@dataclass(frozen=True, slots=True)
class SmtpConfig:
    """`address` is smtp://user:password@host:587 (TLS where it is offered, and always before a password) or smtps://."""

    address: str
    sender: str


class SmtpMail:
    """Keeps the Mail promise with one connection for each letter."""

    def __init__(self, config: SmtpConfig) -> None:
        """Connect with the first letter."""
        self._config = config

    async def send(self, letter: Letter) -> None:
        """Hand `letter` to the server; raises Unavailable and Invalid."""
        await asyncio.to_thread(self._send, letter)

    def _send(self, letter: Letter) -> None:
        message = written(letter, self._config.sender)
        try:
            with self._connected() as server:
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            raise Invalid("The mail server does not take letters for this address.") from error
        except (OSError, smtplib.SMTPException) as error:
            log.warning("a letter could not be sent: %s", type(error).__name__)
            raise Unavailable("The letter could not be sent just now. Try again later.", retry_after_s=60) from error

    def _connected(self) -> smtplib.SMTP:
        parts = urlsplit(self._config.address)
        host, context = parts.hostname or "localhost", ssl.create_default_context()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=MAIL_SECONDS_MAX, context=context)
        else:
            server = smtplib.SMTP(host, parts.port or 25, timeout=MAIL_SECONDS_MAX)
        try:
            server.ehlo()
            if parts.scheme == "smtp" and (parts.password or server.has_extn("starttls")):
                server.starttls(context=context)
            if parts.password:
                server.login(unquote(parts.username or ""), unquote(parts.password))
        except BaseException:
            server.close()
            raise
        return server
