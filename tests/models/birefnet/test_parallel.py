"""Parts of a prediction on the cores of a CPU."""

import threading
from collections.abc import Iterator

import pytest
import torch

from rmbg_service.models.birefnet.parallel import for_each

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_two_items_are_worked_on_at_once_each_on_one_core() -> None:
    together = threading.Barrier(2, timeout=30)
    seen = []

    def work(item: int) -> None:
        together.wait()
        torch.ones(2**20).sum()  # whose threads are counted when an operator runs
        seen.append((item, torch.get_num_threads(), threading.current_thread().name))

    for_each([1, 2, 3, 4], work, CPU)
    assert sorted(item for item, _, _ in seen) == [1, 2, 3, 4]
    assert {cores for _, cores, _ in seen} == {1}
    assert len({name for _, _, name in seen}) == 2


def test_other_threads_keep_their_number() -> None:
    for_each([1, 2], lambda _: None, CPU)
    found = []
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert (torch.get_num_threads(), found) == (2, [2])


@pytest.mark.parametrize("mode", [True, False])
def test_the_mode_of_the_caller_is_that_of_the_work(mode: bool) -> None:
    seen = []
    with torch.inference_mode(mode):
        for_each([1, 2], lambda _: seen.append(torch.is_inference_mode_enabled()), CPU)
    assert seen == [mode, mode]


def test_an_error_is_raised_when_all_have_stopped() -> None:
    failed = threading.Event()
    finished = []

    def work(item: int) -> None:
        if item == 0:
            failed.set()
            raise RuntimeError("no memory")
        assert failed.wait(30)
        finished.append(item)

    with pytest.raises(RuntimeError, match="no memory"):
        for_each([0, 1, 2], work, CPU)
    assert finished == [1, 2]


@pytest.mark.parametrize(("items", "device"), [([1], "cpu"), ([1, 2, 3], "meta")])
def test_a_single_item_and_another_device_need_no_threads(items: list[int], device: str) -> None:
    seen = []
    for_each(items, lambda _: seen.append(threading.current_thread()), torch.device(device))
    assert seen == [threading.current_thread()] * len(items)
