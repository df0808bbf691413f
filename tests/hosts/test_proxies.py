"""Caddy and nginx with the very files of deploy/: what they pass on, what they add, and what they keep."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from tests.bench.rig import free_port
from tests.hosts import files
from tests.hosts.rig import Hosts, Program, roll
from tests.hosts.traffic import traffic
from tests.hosts.users import PASSWORD, visitor

from kira.domain.limits import BODY_BYTES_MAX, SIGN_IN_PER_ADDRESS, UNREADY_SECONDS

WORDS = " ".join(["word"] * 200)


@pytest.fixture(scope="module", params=["caddy", "nginx"])
def proxy(request: pytest.FixtureRequest, hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Run a proxy with a certificate in front of the hosts; one of its instances is not there."""
    folder = tmp_path_factory.mktemp(request.param)
    made = (caddy if request.param == "caddy" else nginx)(hosts, folder)
    made.start()
    asyncio.run(answers(made.address))
    yield made
    made.stop()  # with what it started: nginx leaves its workers behind when it is killed


def caddy(hosts: Hosts, folder: Path) -> Program:
    """Make Caddy with a certificate of its own making."""
    port, path = free_port(), folder / "Caddyfile"
    alone = "auto_https disable_redirects\n\tskip_install_trust\n\tlocal_certs\n\tadmin off"
    path.write_text(files.text_of("Caddyfile", **{"admin {$CADDY_ADMIN:localhost:2019}": alone}))
    places = [urlsplit(each).netloc for each in hosts.addresses[:3]]
    environment = {
        "SITE": f"https://localhost:{port}",
        "INSTANCES": " ".join([*places, f"127.0.0.1:{free_port()}"]),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    command = [files.tool("caddy"), "run", "--config", str(path), "--adapter", "caddyfile"]
    return hosts.program("caddy-tls", command, environment, f"https://localhost:{port}")


def nginx(hosts: Hosts, folder: Path) -> Program:
    """Make nginx with a certificate that nobody knows."""
    subject = ["-subj", "/CN=localhost", "-days", "2", "-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    command = [files.tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run(command, check=True, capture_output=True)
    port, path = free_port(), folder / "nginx.conf"
    places = [urlsplit(each).netloc for each in hosts.addresses[:2]]
    changes = {
        "10.0.0.11:8080": places[0],
        "10.0.0.12:8080": places[1],
        "10.0.0.13:8080": f"127.0.0.1:{free_port()}",
        "listen 80;": f"listen {free_port()};",
        "listen 443 ": f"listen {port} ",
        "kira.example.org;": "localhost;",
        "/etc/letsencrypt/live/kira.example.org/fullchain.pem": str(folder / "cert"),
        "/etc/letsencrypt/live/kira.example.org/privkey.pem": str(folder / "key"),
        "/run/nginx.pid": str(folder / "pid"),
        "/var/log/nginx/error.log": str(folder / "error.log"),
    }
    user = "user root;\n" if os.geteuid() == 0 else ""
    places_of_bodies = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = files.text_of("nginx.conf", **changes).replace("http {", f"http {{\n{places_of_bodies}", 1)
    path.write_text(f"daemon off;\n{user}{text}")
    return hosts.program(
        "nginx", [files.tool("nginx"), "-p", str(folder), "-c", str(path)], {}, f"https://localhost:{port}"
    )


async def answers(address: str) -> None:
    """Return when Kira answers through the proxy."""
    async with aiohttp.ClientSession() as session:
        for _ in range(600):
            try:
                async with session.get(f"{address}/api/health", ssl=False) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
    raise AssertionError(address)


def unverified() -> ssl.SSLContext:
    """Return a context that believes every certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def from_address(address: str) -> aiohttp.ClientSession:
    """Return a client at another address of loopback."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(local_addr=(address, 0), ssl=unverified(), limit=0, family=socket.AF_INET)
    )


async def test_words_come_one_by_one_and_uncompressed(proxy: Program, hosts: Hosts) -> None:
    async with visitor(hosts.proxy) as user, from_address("127.0.0.1") as session:
        run = (await user.ask(hosts.proxy, f"say:{WORDS}"))["run"]["id"]
        headers = {"Authorization": user.session.headers["Authorization"], "Accept-Encoding": "gzip, br"}
        async with session.get(f"{proxy.address}/api/runs/{run}/events", headers=headers) as response:
            assert "Content-Encoding" not in response.headers
            reads = [piece async for piece in response.content.iter_any()]
    assert len(reads) > 10
    assert b"event: done" in reads[-1] or b"event: done" in b"".join(reads[-2:])


def test_it_speaks_http_2(proxy: Program) -> None:
    context = unverified()
    context.set_alpn_protocols(["h2", "http/1.1"])
    parts = urlsplit(proxy.address)
    plain = socket.create_connection((parts.hostname or "", parts.port or 0))
    with plain, context.wrap_socket(plain, server_hostname="localhost") as secured:
        assert secured.selected_alpn_protocol() == "h2"


async def test_the_refresh_cookie_is_secure_and_the_limit_counts_each_client(proxy: Program, hosts: Hosts) -> None:
    url, number = f"{proxy.address}/api/auth/sign-in", SIGN_IN_PER_ADDRESS.count
    last = 1 if "caddy" in proxy.name else 2
    async with visitor(hosts.proxy) as user:
        async with from_address(f"127.2.0.{last}") as guesser:
            statuses = []
            for guess in range(number + 1):
                body = {"email": f"nobody{guess}@example.org", "password": "a wrong password"}
                forged = {"X-Forwarded-For": f"10.1.1.{guess}", "Forwarded": f"for=10.1.1.{guess}"}
                async with guesser.post(url, json=body, headers=forged) as response:
                    statuses.append(response.status)
        assert statuses == [401] * number + [429]
        async with from_address(f"127.3.0.{last}") as other:
            forged = {"X-Forwarded-For": f"127.2.0.{last}"}
            async with other.post(url, json={"email": user.email, "password": PASSWORD}, headers=forged) as response:
                assert response.status == 200
                assert "secure" in response.headers["Set-Cookie"].lower()


async def test_who_asks_an_instance_itself_is_not_believed(hosts: Hosts) -> None:
    url = f"{hosts.addresses[0]}/metrics"
    async with from_address("127.4.0.1") as session, session.get(url) as response:
        assert response.status == 200
    forged = {"X-Forwarded-For": "127.0.0.1"}
    async with from_address("127.4.0.1") as session, session.get(url, headers=forged) as response:
        assert response.status == 401


async def test_bodies_are_bounded(proxy: Program, hosts: Hosts) -> None:
    async with visitor(hosts.proxy) as user, from_address("127.0.0.1") as session:
        headers = {"Authorization": user.session.headers["Authorization"]}
        url = f"{proxy.address}/api/conversations"
        async with session.post(url, data=io.BytesIO(b"x" * (BODY_BYTES_MAX + 1)), headers=headers) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (413, "TOO_LARGE")


async def test_an_instance_that_is_not_there_costs_no_request(proxy: Program, hosts: Hosts) -> None:
    async with visitor(hosts.proxy) as user, from_address("127.0.0.1") as session:
        headers = {"Authorization": user.session.headers["Authorization"]}
        statuses = []
        for _ in range(12):
            async with session.post(f"{proxy.address}/api/conversations", json={}, headers=headers) as response:
                statuses.append(response.status)
        assert statuses == [201] * 12


async def test_restarts_one_by_one_cost_nothing_behind_it(proxy: Program, hosts: Hosts) -> None:
    async with traffic(hosts, 0.5, through=proxy.address) as load:
        await load.until_sent(4)
        await roll(*hosts.instances[:2])
        await load.until_sent(4)
    assert load.all_failures() == []


async def test_a_reader_who_leaves_is_noticed(proxy: Program, hosts: Hosts) -> None:
    async with visitor(hosts.proxy) as user, from_address("127.0.0.1") as session:
        run = (await user.ask(hosts.proxy, "say:" + " ".join(["long"] * 2500)))["run"]["id"]
        headers = {"Authorization": user.session.headers["Authorization"]}
        async with session.get(f"{proxy.address}/api/runs/{run}/events", headers=headers) as response:
            await response.content.readline()
            while await streams(hosts) != 1:  # those of the tests before may still be going
                await asyncio.sleep(0.05)
        response.close()
        while await streams(hosts):
            await asyncio.sleep(0.05)
        await user.call("POST", f"{hosts.proxy}/api/runs/{run}/cancel")


async def streams(hosts: Hosts) -> int:
    """Return how many event streams are open at all instances."""
    found = 0
    async with aiohttp.ClientSession() as session:
        for address in hosts.addresses:
            async with session.get(f"{address}/metrics") as response:
                lines = (await response.text()).splitlines()
                found += next(int(line.split()[1]) for line in lines if line.startswith("kira_streams_open "))
    return found


def test_the_health_check_is_quicker_than_an_instance_that_stops() -> None:
    text = (files.DEPLOY / "Caddyfile").read_text()
    assert "health_interval 1s" in text
    assert UNREADY_SECONDS > 2
