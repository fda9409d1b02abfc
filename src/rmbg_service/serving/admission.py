"""What may be in flight at once, and what a refused client is told.

`Budget.reserve()` is synchronous and takes all or nothing, so that a burst is counted exactly.
"""

import asyncio
import math
import random
from collections.abc import Callable
from typing import Any

from rmbg_service.errors import ImageTooLarge, Overloaded

_SMOOTHING = 0.2  # weight of the newest observation in the moving average
_RETRY_AFTER_S = (1, 60)
_JITTER = 0.2
_KEPT_FOR_OTHERS = 4


class ServiceTime:
    """Exponentially weighted moving averages of what one job costs.

    The slower of the two stations bounds the throughput (the bottleneck law of queueing networks,
    Denning and Buzen, ACM Computing Surveys 1978): the predictor serves one job at a time, the
    codec pool as many as it has threads.
    """

    def __init__(self, codec_threads: int) -> None:
        self._codec_threads = codec_threads
        self.predict_s = 0.0
        self._codec_s = 0.0

    @property
    def job_s(self) -> float:
        """Seconds between two finished jobs while the service is busy."""
        return max(self.predict_s, self._codec_s / self._codec_threads)

    def observe_predict(self, seconds: float) -> None:
        """Take the predictor's seconds for one job into the average; the first one starts it."""
        self.predict_s = _averaged(self.predict_s, seconds)

    def observe_codec(self, seconds: float) -> None:
        """The same for the codec pool's seconds."""
        self._codec_s = _averaged(self._codec_s, seconds)


class Budget:
    """Jobs and pixels in flight, and how long a newcomer would wait.

    No client takes all of it from others: one that `is_ahead` of them leaves a quarter free, and
    when every place is taken, the client with the most gives one up whose body is still to come.
    """

    def __init__(
        self,
        max_jobs: int,
        max_pixels: int,
        service_time: ServiceTime,
        is_ahead: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.max_jobs = max_jobs
        self.max_pixels = max_pixels
        self.jobs = 0
        self.pixels = 0
        self._reservations: dict[str, list[Reservation]] = {}  # of each client
        self._is_ahead = is_ahead
        self._service_time = service_time

    @property
    def estimated_wait_s(self) -> float:
        """Seconds until the jobs in flight are finished, and a new one's turn comes."""
        return self.jobs * self._service_time.job_s

    @property
    def retry_after_s(self) -> int:
        """Whole seconds a refused client should stay away; jittered, so that they spread.

        Half the estimated wait: who comes back then finds room, and the other half of the jobs
        still keeps the predictor busy. After the whole wait, it would have run idle.
        """
        least, most = _RETRY_AFTER_S
        wait = min(max(math.ceil(self.estimated_wait_s / 2), least), most)
        return math.ceil(wait * random.uniform(1.0, 1.0 + _JITTER)) if wait > least else wait

    def reserve(self, wait_limit_s: float, client: str = "") -> "Reservation":
        """Take one place for `client`, or raise `Overloaded` without having taken anything.

        A full service takes it from the client that has the most, see `Budget`.

        `wait_limit_s` is how long the client is willing to wait, its own job included; an idle
        service takes every one. Clients take turns (see `fair_share`), so it does not wait for all
        jobs of the others, only for as many of each as it has itself.
        """
        to_revoke = None
        if self.jobs >= self._limit(self.max_jobs, client):
            to_revoke = self._revocable(client)
            if to_revoke is None:
                raise Overloaded(
                    "{jobs} jobs are in flight, as many as allowed",
                    self.retry_after_s,
                    "jobs",
                    jobs=self.jobs,
                )
        wait_s = (self._jobs_before_next(client) + 1) * self._service_time.job_s
        if self.jobs and wait_s > wait_limit_s:
            raise Overloaded(
                "the wait would be about {wait:.0f} s, more than the {limit:g} s allowed",
                self.retry_after_s,
                "deadline",
                wait=wait_s,
                limit=wait_limit_s,
            )
        if to_revoke is not None:
            self._revoke(to_revoke)
        self.jobs += 1
        reservation = Reservation(self, client)
        self._reservations.setdefault(client, []).append(reservation)
        return reservation

    def _jobs_before_next(self, client: str) -> int:
        """Jobs that come before a further one of `client`: its own, and as many of each other."""
        own = len(self._reservations.get(client, []))
        others = [held for other, held in self._reservations.items() if other != client]
        return own + sum(min(len(held), own + 1) for held in others)

    def _limit(self, most: int, client: str) -> int:
        return most - most // _KEPT_FOR_OTHERS if self._is_ahead(client) else most

    def _revocable(self, client: str) -> "Reservation | None":
        """A reservation of the client with the most, if it has two more than `client`."""
        own = len(self._reservations.get(client, []))
        revocable = {
            other: reservation
            for other, held in self._reservations.items()
            for reservation in held
            if len(held) > own + 1 and reservation.on_revoked is not None
        }
        largest = max(revocable, key=lambda other: len(self._reservations[other]), default=None)
        return None if largest is None else revocable[largest]

    def _revoke(self, reservation: "Reservation") -> None:
        error = Overloaded(
            "dropped in favour of a client with fewer requests in flight",
            self.retry_after_s,
            "jobs",
        )
        reservation._revoke(error)

    def hold_pixels(self, pixels: int, until: "asyncio.Future[Any]") -> None:
        """Count `pixels` until a future is done: a thread still uses them that nobody waits for."""

        def give_back(_: object) -> None:
            self.pixels -= pixels

        self.pixels += pixels
        until.add_done_callback(give_back)

    def _take_pixels(self, pixels: int, client: str) -> None:
        limit = self._limit(self.max_pixels, client)
        if self.pixels and self.pixels + pixels > limit:
            raise Overloaded(
                "{taken:,} pixels are in flight; {more:,} more would exceed the {most:,} allowed "
                "to this client",
                self.retry_after_s,
                "pixels",
                taken=self.pixels,
                more=pixels,
                most=limit,
            )
        self.pixels += pixels

    def _give_back(self, reservation: "Reservation") -> None:
        self.jobs -= 1
        self.pixels -= reservation.pixels
        held = self._reservations[reservation.client]
        held.remove(reservation)
        if not held:
            del self._reservations[reservation.client]


class Reservation:
    """A request's share of the budget: one job, and the `pixels` of its images.

    It has one owner, who releases it. While `on_revoked` is set, the budget may take it back: it
    calls `on_revoked` with the error that the owner's client is to be told.
    """

    def __init__(self, budget: Budget, client: str) -> None:
        self._budget = budget
        self._released = False
        self.client = client
        self.pixels = 0
        self.on_revoked: Callable[[Overloaded], None] | None = None

    def grow(self, pixels: int) -> None:
        """Add the pixels of an image.

        Raises `Overloaded`, or `ImageTooLarge` when they would not fit into an idle service either.
        """
        if self.pixels + pixels > self._budget.max_pixels:
            raise ImageTooLarge(
                "this request needs memory for {needed:,} pixels; the limit for all requests "
                "together is {most:,}",
                needed=self.pixels + pixels,
                most=self._budget.max_pixels,
            )
        self._budget._take_pixels(pixels, self.client)
        self.pixels += pixels

    def release(self, after: "asyncio.Task[Any] | None" = None) -> None:
        """Give everything back: now, or when the task `after`, which still uses it, has ended."""
        if after is not None and not after.done():
            after.add_done_callback(lambda _: self.release())
            return
        if not self._released:
            self._released = True
            self._budget._give_back(self)

    def _revoke(self, error: Overloaded) -> None:
        assert self.on_revoked is not None
        self.release()
        self.on_revoked(error)


def _averaged(average_s: float, seconds: float) -> float:
    """The moving average after one more observation; 0 is an average of none."""
    return average_s + (seconds - average_s) * (_SMOOTHING if average_s else 1.0)
