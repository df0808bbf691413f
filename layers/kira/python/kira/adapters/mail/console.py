"""Letters on the terminal, for a Kira that has no mail server: whoever runs it passes them on."""

from __future__ import annotations

import sys
from typing import TextIO

from kira.adapters.mail.written import written
from kira.ports.mail import Letter


class ConsoleMail:
    """Writes every letter where Kira's own messages go."""

    def __init__(self, sender: str = "kira@localhost", target: TextIO | None = None) -> None:
        """Write to `target`, or to standard error."""
        self._sender, self._target = sender, target

    async def send(self, letter: Letter) -> None:
        """Write `letter`; raises Invalid."""
        message = written(letter, self._sender)
        target = self._target or sys.stderr
        target.write(f"\nFrom: {message['From']}\nTo: {letter.to}\nSubject: {letter.subject}\n\n{letter.text}\n")
        target.flush()
