"""Independent parts of a prediction on the cores of a CPU: one part at a time on each.

OpenMP splits every operator among the cores and lets them wait for one another after each. Parts
that take many operators wait once, their data stays in the cache of one core, and a core that is
busy with other work takes fewer of them.
"""

import functools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

_T = TypeVar("_T")


def for_each(items: list[_T], work: Callable[[_T], None], device: torch.device) -> None:
    """Call `work` for every item, on a CPU in as many threads as PyTorch has.

    Raises what the first call that failed raised, after all threads have stopped.
    """
    alone = device.type != "cpu" or torch.compiler.is_compiling()
    threads = 1 if alone else min(torch.get_num_threads(), len(items))
    if threads == 1:
        for item in items:
            work(item)
        return
    rest = iter(items)
    mode = torch.is_inference_mode_enabled()
    team = _team(torch.get_num_threads())
    running = [team.submit(_drain, rest, work, mode) for _ in range(threads)]
    errors = [error for one in running if (error := one.exception())]
    if errors:
        raise errors[0]


def _drain(rest: Iterable[_T], work: Callable[[_T], None], inference_mode: bool) -> None:
    """Take items until there are none; modes of PyTorch are those of a thread."""
    with torch.inference_mode(inference_mode):
        for item in rest:
            work(item)


@functools.cache
def _team(threads: int) -> ThreadPoolExecutor:
    """`threads` threads in which every operator runs on one core."""
    team = ThreadPoolExecutor(threads, "predict")
    together = Barrier(threads)

    def start() -> None:
        torch.get_num_threads()  # which takes the number of the process when first asked
        torch.set_num_threads(1)
        together.wait()

    for one in [team.submit(start) for _ in range(threads)]:
        one.result()
    torch.set_num_threads(threads)  # what threads take that PyTorch has not seen yet
    return team
