"""Who sent a request: an API key, or an address."""

import hmac
import ipaddress
from collections.abc import Sequence

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import Scope

from rmbg_service.errors import Unauthorized


class ApiKeys:
    """The keys that are accepted; without any, every request is."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._keys = [key.get_secret_value().encode() for key in keys]

    def identify(self, headers: Headers) -> int:
        """Return the index of the key that was sent, 0 if no keys are set.

        Raises `Unauthorized` for a key that is missing or wrong.
        """
        if not self._keys:
            return 0
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        # Every key is compared, in constant time each, so that the time tells nothing.
        matches = [hmac.compare_digest(given.encode(), key) for key in self._keys]
        if any(matches):
            return matches.index(True)
        if given:
            raise Unauthorized(
                "the API key is unknown: check what is sent as X-API-Key: KEY or "
                "Authorization: Bearer KEY"
            )
        raise Unauthorized("an API key is required: X-API-Key: KEY or Authorization: Bearer KEY")


def client_address(scope: Scope) -> str:
    """The address that a request came from; of an IPv6 address the network, its first 64 bits.

    A host has a whole such network to choose addresses from (RFC 4291, section 2.5.4). What a
    proxy says of its client is used if `FORWARDED_ALLOW_IPS`, which uvicorn reads, trusts it.
    """
    host = (scope.get("client") or ("", 0))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)  # the name that a proxy gave, or none at a Unix socket
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return host
