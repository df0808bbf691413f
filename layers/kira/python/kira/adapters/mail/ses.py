"""Letters over Amazon SES."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kira.adapters.mail.written import written
from kira.ports.mail import Letter


class SesMail:
    """Keeps the Mail promise with one call for each letter."""

    def __init__(self, sender: str, client: Callable[[], Any]) -> None:
        """Send as `sender`, whom SES has to know; `client` makes one whose `send_email` raises KiraError."""
        self._sender, self._client = sender, client

    async def send(self, letter: Letter) -> None:
        """Hand `letter` to SES; raises Unavailable and Invalid."""
        written(letter, self._sender)  # refuses what would be refused elsewhere
        content = {"Subject": {"Data": letter.subject}, "Body": {"Text": {"Data": letter.text}}}
        asked = {
            "FromEmailAddress": self._sender,
            "Destination": {"ToAddresses": [letter.to]},
            "Content": {"Simple": content},
        }
        await asyncio.to_thread(self._client().send_email, **asked)
