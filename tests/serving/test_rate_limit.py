import pytest

from rmbg_service.errors import Overloaded
from rmbg_service.serving.rate_limit import RateLimit, cost_megapixels

MP = 1_000_000


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("pixels", "cost"), [(1, 1), (625 * 400, 1), (1600 * 1200, 2), (4000 * 2500, 10)]
)
def test_a_picture_counts_its_megapixels_rounded_up(pixels: int, cost: int) -> None:
    assert cost_megapixels(pixels) == cost


def test_what_is_left_and_when_all_of_it_is_there_again() -> None:
    clock = Clock()
    limit = RateLimit(60, clock)
    assert limit.allowance(0) == (60, 60, 0.0)
    limit.take(0, 12 * MP)
    assert limit.allowance(0) == (60, 48, 12.0)
    clock.now += 5
    assert limit.allowance(0) == (60, 53, 7.0)
    clock.now += 60
    assert limit.allowance(0) == (60, 60, 0.0)


def test_beyond_the_limit_it_says_when_the_picture_will_fit() -> None:
    clock = Clock()
    limit = RateLimit(60, clock)
    limit.take(0, 55 * MP)
    with pytest.raises(Overloaded) as caught:
        limit.take(0, 12 * MP)
    assert (caught.value.reason, caught.value.retry_after_s) == ("rate", 7)
    assert limit.allowance(0) == (60, 5, 55.0), "a refused picture counts nothing"
    clock.now += 7
    limit.take(0, 12 * MP)
    with pytest.raises(Overloaded):
        limit.require(0)


def test_a_failed_picture_is_given_back_but_never_more_than_there_was() -> None:
    clock = Clock()
    limit = RateLimit(60, clock)
    limit.take(0, 12 * MP)
    clock.now += 5
    limit.give_back(0, 12 * MP)
    assert limit.allowance(0) == (60, 60, 0.0)
    limit.take(0, 60 * MP)
    limit.give_back(0, 12 * MP)
    assert limit.allowance(0) == (60, 12, 48.0)


def test_each_client_has_its_own() -> None:
    limit = RateLimit(10, Clock())
    limit.take(0, 10 * MP)
    limit.require(1)
    with pytest.raises(Overloaded):
        limit.require(0)


def test_a_picture_above_the_limit_takes_a_whole_minute() -> None:
    clock = Clock()
    limit = RateLimit(10, clock)
    limit.take(0, 50 * MP)
    assert limit.allowance(0) == (10, 0, 60.0)
    clock.now += 60
    limit.take(0, 50 * MP)


def test_without_a_limit_nothing_is_counted() -> None:
    limit = RateLimit(None)
    limit.take(0, 10**9)
    limit.give_back(0, 10**9)
    limit.require(0)
    assert limit.allowance(0) is None
