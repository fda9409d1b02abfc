"""Who may fetch when every slot is taken."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from rmbg_service.errors import Overloaded
from rmbg_service.url_fetch.slots import FetchSlots

Take = Callable[[str], Awaitable["asyncio.Task[None]"]]
SLOTS = 4


@pytest.fixture
async def slots() -> FetchSlots:
    return FetchSlots(SLOTS, 5)


@pytest.fixture
async def take(slots: FetchSlots) -> AsyncIterator[Take]:
    """Takes a slot for a client, until the test has ended."""
    holders: list[asyncio.Task[None]] = []

    async def take(client: str) -> "asyncio.Task[None]":
        taken = asyncio.Event()

        async def hold() -> None:
            async with slots.slot(client):
                taken.set()
                await asyncio.Event().wait()

        holder, waiting = asyncio.create_task(hold()), asyncio.create_task(taken.wait())
        await asyncio.wait({holder, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            await holder
        holders.append(holder)
        return holder

    yield take
    for holder in holders:
        holder.cancel()
        with suppress(asyncio.CancelledError, Overloaded):
            await holder


async def test_one_client_alone_has_all(take: Take) -> None:
    for _ in range(SLOTS):
        await take("a")
    with pytest.raises(Overloaded, match="too many images") as refused:
        await take("a")
    assert (refused.value.reason, refused.value.retry_after_s) == ("jobs", 5)


async def test_another_client_takes_the_oldest_until_both_have_as_many(take: Take) -> None:
    first, second, *rest = [await take("a") for _ in range(SLOTS)]
    others = [await take("b")]
    with pytest.raises(Overloaded, match="a client with fewer"):
        await first
    others.append(await take("b"))
    with pytest.raises(Overloaded, match="a client with fewer"):
        await second
    for client in ("a", "b"):
        with pytest.raises(Overloaded, match="too many images"):
            await take(client)
    assert not any(holder.done() for holder in [*rest, *others])


async def test_the_client_with_the_most_gives_up(take: Take) -> None:
    kept = await take("b")
    first, *_ = [await take("a") for _ in range(SLOTS - 1)]
    await take("c")
    with pytest.raises(Overloaded, match="a client with fewer"):
        await first
    assert not kept.done()


async def test_clients_with_one_each_keep_it(take: Take) -> None:
    for number in range(SLOTS):
        await take(str(number))
    with pytest.raises(Overloaded, match="too many images"):
        await take("another")


async def test_every_slot_comes_back(slots: FetchSlots, take: Take) -> None:
    lost, ended, *_ = [await take("a") for _ in range(SLOTS)]
    await take("b")
    with pytest.raises(Overloaded):
        await lost
    ended.cancel()
    await asyncio.wait({ended})
    with pytest.raises(KeyError):
        async with slots.slot("b"):
            raise KeyError
    await take("b")
    with pytest.raises(Overloaded):
        await take("b")


async def test_a_time_limit_of_the_block_is_its_own(slots: FetchSlots) -> None:
    with pytest.raises(TimeoutError):
        async with slots.slot("a"), asyncio.timeout(0):
            await asyncio.Event().wait()
