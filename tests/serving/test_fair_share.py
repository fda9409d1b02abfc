import asyncio
from contextlib import AsyncExitStack

import pytest

from rmbg_service.serving.fair_share import FairQueue, FairShare, FairSlots, Visit


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_a_client_has_used_counts_half_after_two_seconds() -> None:
    clock = Clock()
    share = FairShare(clock)
    assert share.used_s("a") == 0
    share.charge("a", 3.0)
    share.charge("a", 1.0)
    assert share.used_s("a") == 4
    clock.now += 2
    assert share.used_s("a") == pytest.approx(2)
    share.charge("a", 1.0)
    clock.now += 4
    assert share.used_s("a") == pytest.approx(0.75)
    assert share.used_s("b") == 0


def test_accounts_are_bounded_and_the_largest_are_kept() -> None:
    share = FairShare(Clock())
    for number in range(5_000):
        share.charge(f"client {number}", 1.0 + number)
    share.charge("another", 9_999.0)
    assert len(share._accounts) <= 1_001
    assert share.used_s("another") == 9_999
    assert share.used_s("client 4999") == 5_000


def test_a_client_is_ahead_of_others_that_have_a_job_or_will_soon_have_one() -> None:
    clock = Clock()
    share = FairShare(clock)
    share.charge("flood", 2.0)
    share.charge("photo", 1.0)
    assert not share.is_ahead("flood")  # nobody else has a job
    with share.at_work("photo"), share.at_work("flood"):
        clock.now += 60
        share.charge("flood", 2.0)
        assert share.is_ahead("flood")
        assert not share.is_ahead("photo")
        assert not share.is_ahead("newcomer")
    clock.now += 0.9
    assert share.is_ahead("flood")
    clock.now += 0.2
    assert not share.is_ahead("flood")
    share.expect("photo", 5)  # it was told to come back
    clock.now += 4.9
    assert share.is_ahead("flood")
    clock.now += 0.2
    assert not share.is_ahead("flood")


def test_a_refused_request_costs_many_times_what_it_has_used() -> None:
    share = FairShare(Clock())
    visit = Visit(share, "a")
    visit.charge(0.5)
    used_s = share.used_s("a")
    visit.refuse()
    assert share.used_s("a") > 10 * used_s
    small = Visit(share, "b")
    small.refuse()
    assert share.used_s("b") > 0.1  # also one that is refused at once


async def test_the_next_item_is_the_oldest_of_the_client_that_has_used_the_least() -> None:
    share = FairShare(Clock())
    queue: FairQueue[str] = FairQueue(share)
    for client, item in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("c", "c1"), ("b", "b2")]:
        queue.put_nowait(client, item)
    share.charge("a", 1.0)
    share.charge("c", 0.5)
    assert len(queue) == 5
    assert sorted(queue) == ["a1", "a2", "b1", "b2", "c1"]
    assert [queue.get_nowait() for _ in range(2)] == ["b1", "b2"]
    share.charge("c", 1.0)
    assert [queue.get_nowait() for _ in range(3)] == ["a1", "a2", "c1"]
    waiting = asyncio.create_task(queue.wait_until_filled())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.put_nowait("a", "a3")
    await waiting
    assert queue.get_nowait() == "a3"


async def hold(slots: FairSlots, client: str, order: list[str], leave: asyncio.Event) -> None:
    async with slots.slot(client):
        order.append(client)
        await leave.wait()


async def test_a_slot_goes_to_the_client_that_has_used_the_least() -> None:
    share = FairShare(Clock())
    share.charge("flood", 1.0)
    slots, leave = FairSlots(share, 1), asyncio.Event()
    order: list[str] = []
    async with slots.slot("flood"):
        names = ("flood", "flood", "photo", "flood")
        tasks = [asyncio.create_task(hold(slots, name, order, leave)) for name in names]
        await asyncio.sleep(0)
        assert order == []
    leave.set()
    await asyncio.gather(*tasks)
    assert order == ["photo", "flood", "flood", "flood"]


async def test_a_client_that_leaves_while_it_waits_takes_no_slot() -> None:
    slots, leave = FairSlots(FairShare(Clock()), 1), asyncio.Event()
    order: list[str] = []
    async with slots.slot("a"):
        waiting = [asyncio.create_task(hold(slots, name, order, leave)) for name in "bcd"]
        await asyncio.sleep(0)
        waiting[0].cancel()
    waiting[1].cancel()  # its turn has come, but it does not know yet
    leave.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == ["d"]
    async with asyncio.timeout(30), slots.slot("e"):
        pass


async def test_a_client_that_is_ahead_holds_at_most_half_of_the_slots() -> None:
    share = FairShare(Clock())
    share.charge("flood", 5.0)
    share.charge("second flood", 6.0)
    slots, leave = FairSlots(share, 4, at_most_half=True), asyncio.Event()
    order: list[str] = []
    with share.at_work("photo"):
        tasks = [asyncio.create_task(hold(slots, "flood", order, leave)) for _ in range(4)]
        await asyncio.sleep(0)
        assert order == ["flood"] * 2
        tasks.append(asyncio.create_task(hold(slots, "second flood", order, leave)))
        await asyncio.sleep(0)
        assert order == ["flood", "flood", "second flood"]
        async with asyncio.timeout(30), slots.slot("photo"):
            pass
    leave.set()
    await asyncio.gather(*tasks)
    assert len(order) == 5


async def test_a_client_that_is_alone_gets_every_slot() -> None:
    share = FairShare(Clock())
    share.charge("one", 5.0)
    slots = FairSlots(share, 3, at_most_half=True)
    async with asyncio.timeout(30), AsyncExitStack() as held:
        held.enter_context(share.at_work("one"))
        for _ in range(3):
            await held.enter_async_context(slots.slot("one"))


def test_only_so_many_clients_are_expected_and_those_the_soonest() -> None:
    share = FairShare(lambda: 0.0)
    share.expect("soon", 1.0)
    for number in range(5_000):
        share.expect(str(number), 60.0)
    assert len(share._expected) <= 1_000
    share.charge("busy", 1.0)
    assert share.is_ahead("busy")
    assert "soon" in share._expected
