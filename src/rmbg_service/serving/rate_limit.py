"""How much each client may send: megapixels a minute."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from rmbg_service.errors import Overloaded


class Allowance(NamedTuple):
    """Megapixels a client may send in a minute, those left, and seconds until all are there."""

    limit: int
    remaining: int
    reset_s: float


class RateLimit:
    """A token bucket for each client: a full one is a minute's worth, and it refills steadily.

    Source: Turner, New Directions in Communications, IEEE Communications Magazine 24(10), 1986.
    Clients are numbered by the key they use, so that there are never more buckets than keys.
    """

    def __init__(
        self, megapixels_per_minute: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = megapixels_per_minute
        self._clock = clock
        self._buckets: dict[int, tuple[float, float]] = {}  # tokens, and when there were so many

    def require(self, client: int) -> None:
        """Raise `Overloaded` when `client` may not send even the smallest image."""
        self._check(client, 1.0)

    def take(self, client: int, pixels: int) -> None:
        """Count an image, or raise `Overloaded` without having counted it."""
        if self._limit is None:
            return
        cost = min(cost_megapixels(pixels), self._limit)
        self._buckets[client] = self._check(client, cost) - cost, self._clock()

    def give_back(self, client: int, pixels: int) -> None:
        """Undo `take` for an image that the service failed on."""
        if self._limit is None:
            return
        cost = min(cost_megapixels(pixels), self._limit)
        tokens = min(float(self._limit), self._tokens(client) + cost)
        self._buckets[client] = tokens, self._clock()

    def allowance(self, client: int) -> Allowance | None:
        """What `client` has left; None when nothing is limited."""
        if self._limit is None:
            return None
        tokens = self._tokens(client)
        return Allowance(self._limit, math.floor(tokens), self._seconds(self._limit - tokens))

    def _check(self, client: int, cost: float) -> float:
        if self._limit is None:
            return 0.0
        tokens = self._tokens(client)
        if tokens < cost:
            wait = max(1, math.ceil(self._seconds(cost - tokens)))
            raise Overloaded(
                "this key may send {limit} megapixels per minute; this image counts as {cost:g} "
                "and {left} are left",
                wait,
                "rate",
                limit=self._limit,
                cost=cost,
                left=math.floor(tokens),
            )
        return tokens

    def _tokens(self, client: int) -> float:
        assert self._limit is not None
        now = self._clock()
        tokens, since = self._buckets.get(client, (float(self._limit), now))
        return min(float(self._limit), tokens + (now - since) * self._limit / 60.0)

    def _seconds(self, tokens: float) -> float:
        assert self._limit is not None
        return tokens * 60.0 / self._limit


def cost_megapixels(pixels: int) -> int:
    """What an image counts: its megapixels, rounded up."""
    return max(1, math.ceil(pixels / 1e6))
