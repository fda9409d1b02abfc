import asyncio

import pytest

from rmbg_service.serving.fair_share import FairShare, Visit
from rmbg_service.serving.pacer import Pacer


class Sleep:
    """Notes how long it was asked to sleep; at most one request and one debt do so at a time."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.sleeping = 0

    async def __call__(self, seconds: float) -> None:
        assert self.sleeping <= 1
        self.sleeping += 1
        await asyncio.sleep(0)
        self.sleeping -= 1
        self.seconds.append(seconds)


async def test_a_client_that_is_alone_does_not_wait() -> None:
    share, sleep = FairShare(), Sleep()
    share.expect("a", 600)
    pacer, visit = Pacer(share, sleep), Visit(share, "a")
    await pacer.pace(visit, 0.5)
    await pacer.pace_refused(visit)
    assert sleep.seconds == []
    assert share.used_s("a") > 0.5


async def test_a_client_that_is_ahead_passes_at_the_rate_of_an_eighth_of_a_core() -> None:
    share, sleep = FairShare(), Sleep()
    share.expect("photo", 600)
    pacer = Pacer(share, sleep)
    share.charge("flood", 0.05)
    await asyncio.gather(*(pacer.pace(Visit(share, "flood"), 0.01) for _ in range(3)))
    assert sum(sleep.seconds) == pytest.approx(3 * 0.08)
    sleep.seconds.clear()
    await pacer.pace(Visit(share, "photo"), 0.01)
    assert sleep.seconds == []


async def test_a_client_that_has_used_little_recently_never_waits() -> None:
    share, sleep = FairShare(), Sleep()
    pacer = Pacer(share, sleep)
    for number in range(1000):
        share.expect(f"new {number}", 600)
    for _ in range(10):
        await pacer.pace(Visit(share, "probe"), 0.001)
    assert sleep.seconds == []


async def test_little_is_charged_without_a_wait() -> None:
    share, sleep = FairShare(), Sleep()
    share.expect("photo", 600)
    pacer, visit = Pacer(share, sleep), Visit(share, "flood")
    await pacer.pace(visit, 1e-6)
    assert sleep.seconds == []
    assert visit.used_s == visit.paced_s == 1e-6


async def test_a_refused_request_waits_for_what_threads_have_done_for_it() -> None:
    share, sleep = FairShare(), Sleep()
    share.expect("photo", 600)
    pacer, visit = Pacer(share, sleep), Visit(share, "flood")
    share.charge("flood", 0.05)
    await pacer.pace(visit, 0.01)
    visit.charge(0.05)
    await pacer.pace_refused(visit)
    assert sum(sleep.seconds) == pytest.approx(0.08 + 0.4)


async def test_a_probe_does_not_wait_behind_the_debt_of_another_client() -> None:
    share, sleep = FairShare(), Sleep()
    share.expect("photo", 600)
    pacer, flood, probe = Pacer(share, sleep), Visit(share, "flood"), Visit(share, "probe")
    flood.charge(10.0)
    debt = asyncio.create_task(pacer.pace_refused(flood))
    await asyncio.sleep(0)
    share.charge("probe", 0.05)
    await pacer.pace(probe, 0.001)
    assert sum(sleep.seconds) < 0.1
    assert not debt.done()
    await debt
    assert sum(sleep.seconds) == pytest.approx(80 + 0.008)


async def test_nobody_waits_any_longer_once_no_other_client_is_at_work() -> None:
    share, sleep = FairShare(), Sleep()
    pacer, flood = Pacer(share, sleep), Visit(share, "flood")
    flood.charge(10.0)
    with share.at_work("photo"):
        debt = asyncio.create_task(pacer.pace_refused(flood))
        await asyncio.sleep(0)
    share.expect("photo", -1)
    await debt
    assert sum(sleep.seconds) < 0.1


async def test_of_those_who_wait_the_one_that_has_used_the_least_of_the_loop_comes_first() -> None:
    share, sleep = FairShare(), Sleep()
    share.expect("photo", 600)
    pacer, order = Pacer(share, sleep), []

    async def pass_by(client: str, seconds: float) -> None:
        await pacer.pace(Visit(share, client), seconds)
        order.append(client)

    share.charge("uploads", 1.0)
    share.charge("images", 50.0)
    await asyncio.gather(pass_by("uploads", 0.1), pass_by("images", 0.001))
    assert order == ["images", "uploads"]
