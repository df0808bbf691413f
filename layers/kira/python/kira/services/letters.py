"""Letters: what Kira tells people by mail, where it can send any."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from kira.domain.errors import KiraError
from kira.ports.mail import Letter, Mail

log = logging.getLogger("kira.mail")

INVITED = """\
You are invited to use Kira, an assistant. Open this address within seven days to choose a password:

{address}

It works once. If you do not know who sent it, do nothing.
"""


@dataclass(frozen=True, slots=True)
class Letters:
    """Sends letters with `mail`."""

    mail: Mail

    async def invite(self, email: str | None, address: str) -> None:
        """Send the `address` of an invitation to the one it is for; what fails is no harm, since it is also shown."""
        if email is None:
            return
        try:
            await self.mail.send(Letter(email, "Your invitation to Kira", INVITED.format(address=address)))
        except KiraError as error:
            log.warning("an invitation could not be mailed: %s", error.message)
