"""Host names to addresses, and which of those are public."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from rmbg_service.errors import Overloaded

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host, for a port; raises `OSError` if it has none."""

_MAX_LOOKUPS = 8
_LOOKUP_RETRY_S = 5
_MAX_ADDRESSES = 4
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_SPECIAL_V4 = [
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv4Network("168.63.129.16/32"),  # the host of a virtual machine on Azure
]
_SPECIAL_V6 = [
    IPv6Network("2001::/23"),  # IETF protocol assignments: Teredo, ORCHID, benchmarking
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4, which embeds an IPv4 address
    IPv6Network("3fff::/20"),  # documentation
]


def is_public(address: str) -> bool:
    """Whether `address` is one of the public internet's, and not another one in disguise.

    Of IPv6, only global unicast without the blocks that embed or tunnel other addresses; so
    IPv4-mapped, NAT64, 6to4 and Teredo addresses are not (IANA's special-purpose registries).
    """
    try:
        ip: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        return ip in _GLOBAL_UNICAST and not any(ip in block for block in _SPECIAL_V6)
    return ip.is_global and not ip.is_multicast and not any(ip in block for block in _SPECIAL_V4)


class Resolver:
    """The system's resolver, in threads of its own: one that hangs holds up nobody else.

    A look-up cannot be ended: its thread is free when the system gives up.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_MAX_LOOKUPS, "dns")
        self._left = threading.Semaphore(_MAX_LOOKUPS)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of `host`.

        Raises `OSError` when it has none, `Overloaded` while every thread waits for a name server.
        """
        if not self._left.acquire(blocking=False):
            raise Overloaded("too many host names are being looked up", _LOOKUP_RETRY_S, "jobs")
        looking_up = self._threads.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        looking_up.add_done_callback(lambda _: self._left.release())
        found = await asyncio.wrap_future(looking_up)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))[:_MAX_ADDRESSES]
