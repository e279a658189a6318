"""Which addresses belong to the public internet; pure.

IPv4 is public unless a table says otherwise, IPv6 only where the registry gives it out. Whatever carries an
IPv4 address inside (mapped, compatible, NAT64, 6to4, Teredo, ISATAP) is refused: others say where it leads.
Source: the IANA registries of special-purpose addresses (RFC 6890 and its successors).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NOT_PUBLIC_4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' own; Alibaba's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's platform address
        "169.254.0.0/16",  # link-local; the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_PUBLIC_6: Final = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, with Teredo and benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
"""The upper half of an interface identifier that has an IPv4 address as its lower half (RFC 5214)."""
_NUMBER: Final = re.compile(r"\d+|0[xX][0-9a-fA-F]*")


def is_public(address: Address) -> bool:
    """Tell whether anyone on the internet may be found at `address`."""
    if isinstance(address, ipaddress.IPv4Address):
        return not _within(address, _NOT_PUBLIC_4)
    carries_ipv4 = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    return address in _PUBLIC_6 and not carries_ipv4 and not _within(address, _NOT_PUBLIC_6)


def is_allowed(address: Address, networks: Iterable[Network]) -> bool:
    """Tell whether `address` is public, or in one of the networks that the operator opened."""
    return is_public(address) or _within(address, networks)


def read_literal(host: str) -> Address | None:
    """Return the address that `host` is; None for a name. `ValueError` for any other spelling of a number.

    Resolvers read `127.1`, `0177.0.0.1`, `0x7f000001` and `2130706433` as addresses, each in its own way.
    """
    last = host.rstrip(".").rpartition(".")[2]
    if ":" in host or _NUMBER.fullmatch(last):
        if "%" in host:
            raise ValueError("an address with a zone is this machine's own affair")
        return ipaddress.ip_address(host)
    return None


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
