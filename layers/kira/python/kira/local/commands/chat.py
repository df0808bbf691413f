"""`kira chat`: a conversation in the terminal, or one answer for another program."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kira.adapters.clock.system import SystemClock
from kira.adapters.vault.keyfile import FILE_NAME as KEY_FILE
from kira.adapters.vault.keyfile import open_vault
from kira.domain.errors import Invalid, KiraError
from kira.domain.events import Event
from kira.local import terminal
from kira.local.client import Client, Lost
from kira.local.lock import address_of
from kira.local.screen import Screen, screen
from kira.local.settings import LocalSettings, read
from kira.services.tokens import Tokens

with contextlib.suppress(ImportError):
    import readline  # noqa: F401 - gives input() editing and a history

STOPPED = 130
"""What a program ends with when Ctrl+C stopped it."""

_LOST = "The connection is lost; trying again."

HELP = """\
/new           begin a new conversation
/model         list the models; /model NAME chooses one
/help          this
/quit          leave (or Ctrl+D)
Ctrl+C stops an answer; twice leaves."""


def talk(message: str | None, *, url: str | None, model: str | None, data: Path | None) -> None:
    """Ask `message` and leave ("-" reads it from standard input), or hold a conversation."""
    settings = read(data=data)
    if message == "-":
        message = sys.stdin.read()
        if not message.strip():
            raise Invalid("Standard input is empty: there is nothing to ask.")
    with asyncio.Runner() as runner:
        client = runner.run(_signed_in(settings, url))
        talking = Talking(client, model)
        try:
            code = runner.run(talking.ask(message)) if message is not None else _converse(runner, talking)
        finally:
            runner.run(client.close())
    if code:
        sys.exit(code)


def _converse(runner: asyncio.Runner, talking: Talking) -> int:
    """Ask what is typed until there is no more."""
    if sys.stdin.isatty():
        print(f"Kira at {talking.client.address}. Write a message; /help says what else there is.")
    code = 0
    while (line := _line()) is not None:
        if line.strip().startswith("/"):
            if line.strip() in ("/quit", "/exit"):
                break
            runner.run(talking.command(*line.strip()[1:].split(maxsplit=1)))
        elif line.strip():
            code = runner.run(talking.ask(line))
            if talking.leaves:
                break
    return code if talking.leaves or not sys.stdin.isatty() else 0


def _line() -> str | None:
    """Return the next line, or None when there is none."""
    try:
        return input("\n> " if sys.stdin.isatty() and sys.stdout.isatty() else "")
    except (EOFError, KeyboardInterrupt):
        if sys.stdin.isatty():
            print()
        return None


@dataclass(slots=True)
class Talking:
    """One conversation; its `model` is the user's own default until they choose one."""

    client: Client
    model: str | None = None
    conversation_id: str | None = None
    leaves: bool = field(default=False, init=False)

    async def ask(self, text: str) -> int:
        """Ask and show the answer; returns what the program should end with."""
        shown = screen()
        try:
            return await self._show(await self._send(text, shown), shown)
        except KiraError as error:
            shown.close(whole=False)
            _note(error.message, "red")
            return 1
        except asyncio.CancelledError:
            shown.close(whole=False)
            raise

    async def command(self, name: str = "", argument: str = "") -> None:
        """Do what a line that begins with / asks for."""
        if name == "new":
            self.conversation_id = None
            _note("A new conversation begins with your next message.")
        elif name == "model":
            await self._choose(argument)
        else:
            _note(HELP if name in ("help", "") else f"There is no /{name}.\n{HELP}")

    async def _send(self, text: str, shown: Screen) -> dict[str, Any]:
        if self.conversation_id is None:
            self.conversation_id = str((await self.client.call("POST", "/api/conversations"))["id"])
        body = {"content": text} | ({"model": self.model} if self.model else {})
        path = f"/api/conversations/{self.conversation_id}/messages"
        asked = await self.client.ask(path, body, lambda: shown.state(_LOST))
        run: dict[str, Any] = asked["run"]
        return run

    async def _show(self, run: dict[str, Any], shown: Screen) -> int:
        stopping = Stopping(self.client, run["id"])
        shown.state(_place(run))
        with _on_interrupt(stopping.interrupt):
            following = asyncio.ensure_future(self._follow(run["id"], shown))
            leaving = asyncio.ensure_future(stopping.left.wait())
            await asyncio.wait((following, leaving), return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
        if not following.done():
            following.cancel()
            self.leaves = True
            shown.close(whole=False)
            return STOPPED
        return following.result()

    async def _follow(self, run_id: str, shown: Screen) -> int:
        async for said in self.client.follow(run_id):
            if isinstance(said, Lost):
                shown.state(_LOST)
            elif said.kind in ("done", "failed", "cancelled"):
                shown.close(whole=said.kind == "done")
                return _ended(said)
            else:
                _tell(said, shown)
        return 1

    async def _choose(self, name: str) -> None:
        try:
            models = await self.client.call("GET", "/api/models")
        except KiraError as error:
            _note(error.message, "red")
            return
        names = [each["name"] for each in models["items"]]
        if name in names:
            self.model = name
            _note(f"{name} answers from now on.")
            return
        if name:
            _note(f"There is no model {name}.", "red")
        chosen = self.model or models["default"]
        for each in models["items"]:
            _note(f"{'*' if each['name'] == chosen else ' '} {each['name']}" + (" (demo)" if each["demo"] else ""))


@dataclass(slots=True)
class Stopping:
    """What Ctrl+C does while an answer comes: the first time it stops the run, the second time it leaves."""

    client: Client
    run_id: str
    left: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _cancelling: asyncio.Task[None] | None = field(default=None, init=False)

    def interrupt(self) -> None:
        """Stop the run, or leave."""
        if self._cancelling is not None:
            self.left.set()
            return
        self._cancelling = asyncio.ensure_future(self._cancel())

    async def _cancel(self) -> None:
        with contextlib.suppress(KiraError):
            await self.client.call("POST", f"/api/runs/{self.run_id}/cancel")


async def _signed_in(settings: LocalSettings, url: str | None) -> Client:
    """Return a client that is signed in: with the local token of KIRA_DATA, or with e-mail and password."""
    address = url or address_of(settings.data) or _address(settings)
    client = Client(address)
    try:
        if (await client.options())["accounts"] == "off":
            if not settings.master_key and not (settings.data / KEY_FILE).exists():
                raise Invalid(f"This Kira keeps its data elsewhere than in {settings.data}: say where with --data.")
            vault = open_vault(settings.data, settings.master_key)
            await client.sign_in_locally(Tokens(vault, SystemClock()).local())
        else:
            await client.sign_in(settings.email or _asked("E-mail: "), settings.password or _secret())
    except BaseException:
        await client.close()
        raise
    return client


def _address(settings: LocalSettings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - what was asked for
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _asked(question: str) -> str:
    if not sys.stdin.isatty():
        raise Invalid("There is no terminal to ask who you are. Give KIRA_EMAIL and KIRA_PASSWORD.")
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _secret() -> str:
    if not sys.stdin.isatty():
        raise Invalid("There is no terminal to ask for your password. Give it in KIRA_PASSWORD.")
    return getpass.getpass("Password: ")


def _tell(said: Event, shown: Screen) -> None:
    data = said.data
    if said.kind == "delta":
        shown.add(data["text"])
    elif said.kind == "restart":
        shown.again()
    elif said.kind == "queued":
        shown.state(_place(data))
    elif said.kind == "reason":
        shown.reason(data["text"])
    elif said.kind == "started":
        shown.state("Reading your question.")
    elif said.kind == "thinking":
        shown.state("Thinking.")


def _ended(said: Event) -> int:
    if said.kind == "failed":
        _note(f"Failed: {said.data['message']}", "red")
        return 1
    if said.kind == "cancelled":
        _note("Stopped; what was written so far is kept.")
        return STOPPED
    return 0


def _place(told: dict[str, Any]) -> str:
    """Say where a waiting run stands: `3rd in line, about 20 s`, without seconds while nobody knows them."""
    position, wait_s = told.get("position"), told.get("wait_s")
    if not position:
        return "Waiting."
    ending = "th" if 10 <= position % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(position % 10, "th")
    place = "Next in line" if position == 1 else f"{position}{ending} in line"
    return f"{place}, about {max(1, round(wait_s))} s" if wait_s else f"{place}."


def _note(text: str, style: str = "dim") -> None:
    terminal.aside().print(terminal.harmless(text), style=style, markup=False)


@contextlib.contextmanager
def _on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, act)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
