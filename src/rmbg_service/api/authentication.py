"""API keys: who sent a request."""

import hmac
from collections.abc import Sequence

from pydantic import SecretStr
from starlette.datastructures import Headers

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
        if not any(matches):
            raise Unauthorized(
                "an API key is required: X-API-Key: KEY or Authorization: Bearer KEY"
            )
        return matches.index(True)
