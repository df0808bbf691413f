"""A letter as it goes over the wire."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from kira.domain.errors import Invalid
from kira.ports.mail import Letter


def written(letter: Letter, sender: str) -> EmailMessage:
    """Return `letter` with its headers; raises Invalid when one of them would be two lines."""
    message = EmailMessage()
    try:
        message["From"], message["To"], message["Subject"] = sender, letter.to, letter.subject
    except ValueError as error:
        raise Invalid("A letter's address and subject are one line each.") from error
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or "localhost")
    message.set_content(letter.text, cte="8bit")
    return message
