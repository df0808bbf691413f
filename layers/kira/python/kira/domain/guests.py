"""Guests: whoever asks before they are signed in, known by an address and a device only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from kira.domain.limits import DEVICE_CHARACTERS_MAX

UNKNOWN_DEVICE = "Unknown device"
IPV6_NETWORK_BITS = 64  # what one customer of a provider gets: whoever has one address has them all

# The first that is found counts: most browsers also carry the names of those they descend from.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9 ._-]*")


@dataclass(frozen=True, slots=True)
class Guest:
    """Where a request comes from: the network address of the client, and the device's name for people."""

    address: str
    device: str = UNKNOWN_DEVICE

    @property
    def network(self) -> str:
        """The part of the address that one guest cannot change at will; limits count by it."""
        try:
            address = ip_address(self.address.partition("%")[0])
        except ValueError:
            return self.address[:64]
        if not isinstance(address, IPv6Address):
            return str(address)
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> IPV6_NETWORK_BITS << IPV6_NETWORK_BITS)}/{IPV6_NETWORK_BITS}"


def device_name(user_agent: str | None) -> str:
    """Name the device of a User-Agent header as its user would: `Firefox on Linux`, `curl`."""
    agent = user_agent or ""
    browser = next((name for mark, name in _BROWSERS if mark in agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    if browser and system:
        return f"{browser} on {system}"
    product = _PRODUCT.match(agent)
    name = browser or system or (product and product[0].strip())
    return (name or UNKNOWN_DEVICE)[:DEVICE_CHARACTERS_MAX]
