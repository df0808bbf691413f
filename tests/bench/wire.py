"""A keep-alive connection that repeats one GET with next to no work of its own, so that the server is measured."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass
class Wire:
    """One connection and the request that it repeats."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    request: bytes

    @classmethod
    async def open(cls, address: str, path: str, token: str) -> Wire:
        """Connect to `address`."""
        host, _, port = address.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        return cls(reader, writer, request.encode())

    async def get(self) -> bytes:
        """Ask once and return the body; raises when the answer is not 200."""
        self.writer.write(self.request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise AssertionError(head)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return await self.reader.readexactly(length)

    def close(self) -> None:
        """Close the connection."""
        self.writer.close()
