"""Mail at home: a server, or the terminal."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from kira.adapters.mail.console import ConsoleMail
from kira.adapters.mail.smtp import SmtpConfig, SmtpMail
from kira.ports.mail import Mail
from kira.services.letters import Letters


def open_letters(address: str) -> Letters:
    """Return what tells people by KIRA_MAIL."""
    return Letters(open_mail(address))


def open_mail(address: str) -> Mail:
    """Return what sends letters by KIRA_MAIL."""
    if address == "console":
        return ConsoleMail()
    parts = urlsplit(address)
    (sender,) = parse_qs(parts.query).get("from", [f"kira@{parts.hostname}"])
    return SmtpMail(SmtpConfig(parts._replace(query="").geturl(), sender))
