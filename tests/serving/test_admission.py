import asyncio
from collections.abc import Callable

import pytest

from rmbg_service.errors import ImageTooLarge, Overloaded
from rmbg_service.serving.admission import Budget, ServiceTime

LONG = 1e9


def budget(
    max_jobs: int = 2,
    max_pixels: int = 100,
    job_s: float = 0.0,
    is_ahead: Callable[[str], bool] = lambda _: False,
) -> Budget:
    service_time = ServiceTime(codec_threads=2)
    service_time.observe_predict(job_s)
    return Budget(max_jobs, max_pixels, service_time, is_ahead)


def test_takes_jobs_up_to_the_bound_and_not_one_more() -> None:
    bounds = budget(max_jobs=2)
    first = bounds.reserve(LONG)
    bounds.reserve(LONG)
    with pytest.raises(Overloaded) as refused:
        bounds.reserve(LONG)
    assert refused.value.reason == "jobs"
    assert bounds.jobs == 2
    first.release()
    assert bounds.jobs == 1
    bounds.reserve(LONG)


def test_a_picture_that_does_not_fit_now_takes_nothing() -> None:
    bounds = budget(max_pixels=100)
    bounds.reserve(LONG).grow(70)
    second = bounds.reserve(LONG)
    with pytest.raises(Overloaded) as refused:
        second.grow(31)
    assert refused.value.reason == "pixels"
    assert bounds.pixels == 70
    second.grow(30)
    second.release()
    assert (bounds.jobs, bounds.pixels) == (1, 70)


def test_a_wait_longer_than_the_client_allows_is_refused() -> None:
    bounds = budget(max_jobs=9, job_s=4.0)
    bounds.reserve(1.0)  # nobody is there to wait for
    bounds.reserve(8.0)
    with pytest.raises(Overloaded) as refused:
        bounds.reserve(8.0)
    assert refused.value.reason == "deadline"
    bounds.reserve(12.0)


def test_pixels_that_never_fit_are_no_matter_of_waiting() -> None:
    bounds = budget(max_jobs=9)
    reservation = bounds.reserve(LONG)
    reservation.grow(bounds.max_pixels - 1)
    with pytest.raises(ImageTooLarge):
        reservation.grow(2)
    assert bounds.pixels == bounds.max_pixels - 1
    reservation.release()
    assert (bounds.jobs, bounds.pixels) == (0, 0)


@pytest.mark.parametrize(
    ("jobs", "job_s", "least", "most"), [(1, 0.1, 1, 1), (6, 2.0, 6, 8), (9, 100.0, 60, 72)]
)
def test_retry_after_is_the_measured_wait_clamped_and_jittered(
    jobs: int, job_s: float, least: int, most: int
) -> None:
    bounds = budget(max_jobs=jobs, job_s=job_s)
    for _ in range(jobs):
        bounds.reserve(LONG)
    seen = {bounds.retry_after_s for _ in range(300)}
    assert min(seen) >= least
    assert max(seen) <= most


async def test_what_is_released_after_a_job_is_held_until_the_job_has_ended() -> None:
    bounds, end = budget(), asyncio.Event()
    job = asyncio.create_task(end.wait())
    reservation = bounds.reserve(LONG)
    reservation.grow(50)
    reservation.release(after=job)
    assert (bounds.jobs, bounds.pixels) == (1, 50)
    end.set()
    await job
    await asyncio.sleep(0)
    assert (bounds.jobs, bounds.pixels) == (0, 0)
    ended = bounds.reserve(LONG)
    ended.release(after=job)
    assert bounds.jobs == 0


def test_the_slower_station_sets_the_pace() -> None:
    pace = ServiceTime(codec_threads=2)
    pace.observe_predict(0.5)
    pace.observe_codec(0.6)
    assert pace.job_s == pytest.approx(0.5)
    for _ in range(60):
        pace.observe_predict(0.1)
        pace.observe_codec(3.0)
    assert pace.job_s == pytest.approx(1.5, rel=1e-3)
    assert pace.predict_s == pytest.approx(0.1, rel=1e-3)


def test_a_client_waits_for_as_many_jobs_of_each_other_client_as_it_has() -> None:
    bounds = budget(max_jobs=99, job_s=1.0)
    for _ in range(8):
        bounds.reserve(LONG, "flood")
    bounds.reserve(2.0, "photo")  # after one of the flood's
    with pytest.raises(Overloaded):
        bounds.reserve(3.0, "photo")
    bounds.reserve(4.0, "photo")
    with pytest.raises(Overloaded):
        bounds.reserve(9.0, "flood")


def test_a_client_that_is_ahead_leaves_a_quarter_to_others() -> None:
    bounds = budget(max_jobs=8, is_ahead=lambda client: client == "flood")
    for _ in range(6):
        bounds.reserve(LONG, "flood").grow(10)
    with pytest.raises(Overloaded) as refused:
        bounds.reserve(LONG, "flood")
    assert refused.value.reason == "jobs"
    bounds.jobs -= 1  # room for one more, but not for its pixels
    with pytest.raises(Overloaded, match=r"60 pixels .*; 16 more .* the 75 allowed"):
        bounds.reserve(LONG, "flood").grow(16)
    other = bounds.reserve(LONG, "photo")
    other.grow(40)
    with pytest.raises(Overloaded):
        other.grow(1)
    other.release()
    assert (bounds.jobs, bounds.pixels) == (6, 60)


def test_an_image_of_any_size_fits_an_idle_service() -> None:
    bounds = budget(is_ahead=lambda _: True)
    bounds.reserve(LONG, "flood").grow(bounds.max_pixels)


def test_the_client_with_the_most_gives_up_a_place_whose_body_is_still_to_come() -> None:
    bounds = budget(max_jobs=4)
    held = [bounds.reserve(LONG, client) for client in ("slow", "slow", "slow", "other")]
    told: list[Overloaded] = []
    with pytest.raises(Overloaded):
        bounds.reserve(LONG, "photo")  # all bodies are complete
    held[1].on_revoked = held[3].on_revoked = told.append
    taken = bounds.reserve(LONG, "photo")
    assert [error.reason for error in told] == ["jobs"]
    assert bounds.jobs == 4
    held[1].release()  # by its owner, who is told too late
    assert bounds.jobs == 4
    held[0].on_revoked = held[3].on_revoked = told.append
    with pytest.raises(Overloaded):
        bounds.reserve(LONG, "photo")  # the largest has only one more than this client
    for reservation in (*held, taken):
        reservation.release()
    assert bounds.jobs == 0
    assert not bounds._reservations


def test_who_is_refused_for_its_own_impatience_takes_no_place_from_another() -> None:
    bounds = budget(max_jobs=3, job_s=10.0)
    told: list[Overloaded] = []
    for _ in range(3):
        bounds.reserve(LONG, "slow").on_revoked = told.append
    with pytest.raises(Overloaded) as refused:
        bounds.reserve(1.0, "hasty")
    assert refused.value.reason == "deadline"
    assert (bounds.jobs, told) == (3, [])
    bounds.reserve(20.0, "patient")
    assert (bounds.jobs, [error.reason for error in told]) == (3, ["jobs"])
