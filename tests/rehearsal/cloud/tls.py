"""TLS before a PostgreSQL that was built without it, with a certificate of an authority of one's own."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import random
import socket
import ssl
import struct
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
DAY = datetime.timedelta(days=1)
PIECE = 65536


class Authority:
    """A certificate authority whose certificate lies in `file`."""

    def __init__(self, folder: Path) -> None:
        """Make it in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = _named("Rehearsal")
        made = self._certificate(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.file = folder / "authority.pem"
        self.file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def context(self, address: str) -> ssl.SSLContext:
        """Return what a server at `address` needs."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        made = self._certificate(_named(address), key.public_key()).add_extension(names, critical=False)
        file = self._folder / f"{address}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
        )


class TlsFront:
    """Listens on `port` of an address of loopback that is nobody else's, and speaks plainly to `behind`."""

    def __init__(self, authority: Authority, behind: tuple[str, int], port: int) -> None:
        """Begin to listen."""
        self._behind = behind
        self._listening = _bound(port)
        self.address = str(self._listening.getsockname()[0])
        self._context = authority.context(self.address)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take nobody any more."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if client.recv(8, socket.MSG_WAITALL) != SSL_REQUEST:
                return  # Aurora is told to take nobody without TLS
            client.sendall(b"S")
            with (
                self._context.wrap_socket(client, server_side=True) as sealed,
                socket.create_connection(self._behind) as server,
            ):
                back = threading.Thread(target=_copy, args=(server, sealed), daemon=True)
                back.start()
                _copy(sealed, server)
                back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _bound(port: int) -> socket.socket:
    while True:
        address = "127." + ".".join(str(random.randint(1, 250)) for _ in range(3))
        made = socket.socket()
        try:
            made.bind((address, port))
        except OSError:
            made.close()
            continue
        made.listen(64)
        return made


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
