"""How an answer appears in a terminal: finished parts stay, the part that is being written moves."""

from __future__ import annotations

import re
import sys
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from kira.local import terminal

FRAMES_A_SECOND = 12
FENCE = re.compile(r" {0,3}(```+|~~~+)")


class Screen(Protocol):
    """Where one answer appears."""

    def state(self, text: str) -> None:
        """Say why there is no text yet, or what happens now; an empty text takes that back."""

    def reason(self, text: str) -> None:
        """Say why it waits or what was done, in Kira's own words."""

    def add(self, text: str) -> None:
        """Add a piece of the answer."""

    def again(self) -> None:
        """Drop the text so far: the answer begins again."""

    def close(self, *, whole: bool) -> None:
        """End; `whole` when the text is all there will be."""


class Drawn:
    """On a terminal: finished paragraphs as they should look, the last one as it comes, a line of state below."""

    def __init__(self, console: Console) -> None:
        """Draw on `console`."""
        self._console = console
        self._written = False
        self._part = ""
        self._state = ""
        self._live = Live(console=console, transient=True, refresh_per_second=FRAMES_A_SECOND)
        self._live.start()

    def state(self, text: str) -> None:
        """Show `text` below the answer."""
        self._state = terminal.harmless(text)
        self._show()

    def reason(self, text: str) -> None:
        """Show `text` below the answer."""
        self.state(text)

    def add(self, text: str) -> None:
        """Show a piece; whole paragraphs are drawn for good."""
        self._state = ""
        self._part += terminal.harmless(text)
        done, self._part = split(self._part)
        self._show()
        if done:
            self._written = True
            self._live.console.print(_drawn(done))
            self._live.console.print()

    def again(self) -> None:
        """Say that what stands above is no longer the answer, if anything does."""
        self._part = ""
        if self._written:
            self._live.console.print(Text("The answer begins again.", style="yellow"))
        self._show()

    def close(self, *, whole: bool) -> None:
        """Draw the rest; what was written of an answer that was stopped is kept."""
        del whole
        self._state = ""
        rest, self._part = self._part, ""
        self._live.update(Text(""), refresh=True)
        self._live.stop()
        if rest.strip():
            self._console.print(_drawn(rest))

    def _show(self) -> None:
        # Only the end fits when a part is taller than the window.
        lines = self._part.strip("\n").splitlines()[-max(3, self._console.height - 4) :]
        shown = [Text("\n".join(lines))] if lines else []
        if self._state:
            shown.append(Text(self._state, style="dim"))
        self._live.update(Group(*shown))


class Piped:
    """Into a file or another program: the answer when it is whole and nothing else."""

    def __init__(self, notes: Console) -> None:
        """Write the answer to standard output and states to `notes`, if that is a terminal."""
        self._parts: list[str] = []
        self._told = ""
        self._status = notes.status("", spinner="dots") if notes.is_terminal else None
        if self._status:
            self._status.start()

    def state(self, text: str) -> None:
        """Show `text` while it lasts."""
        if self._status:
            self._status.update(terminal.harmless(text))

    def reason(self, text: str) -> None:
        """Show `text`; where standard error is kept, in a line of it."""
        self.state(text)
        if not self._status and text != self._told:
            self._told = text
            print(terminal.harmless(text), file=sys.stderr, flush=True)

    def add(self, text: str) -> None:
        """Keep a piece."""
        self._parts.append(text)

    def again(self) -> None:
        """Drop the text so far."""
        self._parts.clear()

    def close(self, *, whole: bool) -> None:
        """Write the answer, if it is whole."""
        if self._status:
            self._status.stop()
        if whole:
            text = "".join(self._parts)
            sys.stdout.write(text if text.endswith("\n") else text + "\n")
            sys.stdout.flush()


def _drawn(markdown: str) -> Markdown:
    # A link says where it goes: a model's words must not hide that.
    return Markdown(markdown, hyperlinks=False)


def screen() -> Screen:
    """Return the screen that fits standard output."""
    console = terminal.out()
    return Drawn(console) if console.is_terminal else Piped(terminal.aside())


def split(text: str) -> tuple[str, str]:
    """Return the finished paragraphs of `text` (Markdown) and the rest; a code block is one part with its fences."""
    end, start, fence = 0, 0, ""
    for line in text.splitlines(keepends=True):
        start += len(line)
        if not line.endswith("\n"):
            break
        mark = FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence, end = "", start
        elif mark:
            fence = mark[1]
        elif not line.strip():
            end = start
    return text[:end], text[end:]
