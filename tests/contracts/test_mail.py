"""Every mail hands a letter over as it was written, to a real server, and tells what goes wrong in a sentence."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from io import StringIO

import pytest
from tests.aws import Aws, aws_server

from kira.adapters.mail.console import ConsoleMail
from kira.adapters.mail.ses import SesMail
from kira.adapters.mail.smtp import SmtpConfig, SmtpMail
from kira.cloud.aws import Aws as CloudAws
from kira.cloud.aws import Client
from kira.cloud.settings import read
from kira.cloud.world import MAIL
from kira.domain.errors import Invalid, KiraError, Unavailable
from kira.local.mail import open_mail
from kira.ports.mail import Letter, Mail
from kira.services.letters import Letters

SENDER = "kira@example.org"
LETTER = Letter("bob@example.org", "Your invitation", "Grüezi Bob,\n\nhttps://kira.example.org/?invitation=abc\n")


@dataclass
class Post:
    """A mail, and what arrived of it: reader, subject and text."""

    mail: Mail
    arrived: Callable[[], list[tuple[str, str, str]]]


def told(raw: bytes) -> tuple[str, str, str]:
    """Return reader, subject and text of a message."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return str(message["To"]), str(message["Subject"]), message.get_content()


@dataclass
class SmtpServer:
    """As much of RFC 5321 as a letter needs; it takes nothing for `refused@example.org`."""

    letters: list[bytes] = field(default_factory=list)
    port: int = 0

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk with one client."""
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode().strip():
            word = line.upper()
            if word.startswith("EHLO"):
                answer = "250-here\r\n250 8BITMIME"
            elif word == "DATA":
                writer.write(b"354 go on\r\n")
                self.letters.append((await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n", b"\n"))
                answer = "250 taken"
            else:
                answer = "550 no" if "REFUSED@" in word else "221 bye" if word == "QUIT" else "250 yes"
            writer.write(f"{answer}\r\n".encode())
            if word == "QUIT":
                break
        writer.close()


@asynccontextmanager
async def smtp_server() -> AsyncIterator[SmtpServer]:
    made = SmtpServer()
    listening = await asyncio.start_server(made.meet, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with aws_server() as server:
        server.client("sesv2").create_email_identity(EmailIdentity=SENDER)
        yield server


def ses_of(aws: Aws, sender: str = SENDER) -> SesMail:
    ours = CloudAws(read(aws.settings))
    return SesMail(sender, lambda: Client(ours, "email", MAIL))


@pytest.fixture(params=["console", "smtp", "ses"])
async def post(request: pytest.FixtureRequest) -> AsyncIterator[Post]:
    if request.param == "console":
        target = StringIO()

        def printed() -> list[tuple[str, str, str]]:
            head, _, text = target.getvalue().strip("\n").partition("\n\n")
            named = dict(line.split(": ", 1) for line in head.splitlines())
            return [(named["To"], named["Subject"], f"{text}\n")]

        yield Post(ConsoleMail(SENDER, target), printed)
    elif request.param == "smtp":
        async with smtp_server() as server:
            mail = open_mail(f"smtp://127.0.0.1:{server.port}?from={SENDER}")
            yield Post(mail, lambda: [told(each) for each in server.letters])
    else:
        aws: Aws = request.getfixturevalue("aws")

        def arrived() -> list[tuple[str, str, str]]:
            with urllib.request.urlopen(f"{aws.endpoint}/moto-api/data.json") as answer:
                found = json.load(answer)["ses"]["Message"]
            return [(each["destinations"]["ToAddresses"][0], each["subject"], each["body"]) for each in found[-1:]]

        yield Post(ses_of(aws), arrived)


async def test_a_letter_arrives_as_it_was_written(post: Post) -> None:
    await post.mail.send(LETTER)
    (found,) = post.arrived()
    assert found == (LETTER.to, LETTER.subject, LETTER.text)


@pytest.mark.parametrize(
    "letter", [Letter("bob@example.org\nBcc: eve@example.org", "x", "x"), Letter("bob@example.org", "x\r\nBcc: e", "x")]
)
async def test_nobody_smuggles_in_another_reader(post: Post, letter: Letter) -> None:
    with pytest.raises(Invalid):
        await post.mail.send(letter)


async def test_what_cannot_be_sent_is_told(aws: Aws) -> None:
    with pytest.raises(Unavailable, match="Try again later"):
        await SmtpMail(SmtpConfig("smtp://127.0.0.1:9", SENDER)).send(LETTER)
    async with smtp_server() as server:
        mail = SmtpMail(SmtpConfig(f"smtp://127.0.0.1:{server.port}", SENDER))
        with pytest.raises(Invalid, match="does not take letters"):
            await mail.send(Letter("refused@example.org", "x", "x"))
        with pytest.raises(Unavailable):  # a password never goes out in clear
            await SmtpMail(SmtpConfig(f"smtp://me:secret@127.0.0.1:{server.port}", SENDER)).send(LETTER)
    with pytest.raises(KiraError):
        await ses_of(aws, "stranger@example.org").send(LETTER)


async def test_an_invitation_is_mailed_where_it_can_be_and_never_fails_for_it() -> None:
    target = StringIO()
    await Letters(ConsoleMail(SENDER, target)).invite("bob@example.org", "https://kira.example.org/?invitation=abc")
    assert "https://kira.example.org/?invitation=abc" in target.getvalue()
    before = target.getvalue()
    await Letters(ConsoleMail(SENDER, target)).invite(None, "https://kira.example.org/")
    await Letters(SmtpMail(SmtpConfig("smtp://127.0.0.1:9", SENDER))).invite("bob@example.org", "https://x")
    assert target.getvalue() == before
