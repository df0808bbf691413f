"""TLS in front of a PostgreSQL whose wheel was built without it: takes the wish for TLS, then passes everything on."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

WISH = struct.pack("!ii", 8, 80877103)  # SSLRequest of PostgreSQL's protocol
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Front:
    """Where it listens, and the certificate that vouches for it."""

    port: int
    authorities: Path


@contextmanager
def open_front(port: int, folder: Path) -> Iterator[Front]:
    """Listen in front of `port`, in a thread of its own, until the block ends; without TLS nobody is let in."""
    key, certificate = _certificate(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await _pass_on(reader, writer, port, context)
        finally:
            writer.transport.abort()

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(accept, HOST, 0)

    async def stop(server: asyncio.Server) -> None:
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.1)  # transports that were aborted close in the next rounds of the loop

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result()
    try:
        yield Front(server.sockets[0].getsockname()[1], certificate)
    finally:
        asyncio.run_coroutine_threadsafe(stop(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, context: ssl.SSLContext
) -> None:
    if await reader.readexactly(len(WISH)) != WISH:
        return
    writer.write(b"S")
    await writer.drain()
    await writer.start_tls(context)
    behind, to = await asyncio.open_connection(HOST, port)
    try:
        ways = [asyncio.create_task(_copy(reader, to)), asyncio.create_task(_copy(behind, writer))]
        _, open_ways = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in open_ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    finally:
        to.transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        target.write(data)
        await target.drain()


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "database of a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "database.key", folder / "database.pem"
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[0].write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    paths[1].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return paths
