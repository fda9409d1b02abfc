"""Where PyTorch computes, and its failures there as this service's errors."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import torch

from rmbg_service.errors import ConfigurationError, DeviceFailure, OutOfDeviceMemory
from rmbg_service.models.predictor import first_line

_T = TypeVar("_T")

_NO_MEMORY = ("can't allocate memory", "out of memory", "STATUS_ALLOC_FAILED")
_LOST = ("CUDA error", "HIP error")


def choose_device(name: str) -> torch.device:
    """`auto` is the first of cuda, mps and cpu; a named device must be there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigurationError(
            f"RMBG_DEVICE={name} is not a device (auto, cpu, cuda:0)"
        ) from None
    present = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if (device.index or 0) >= present.get(device.type, 0):
        raise ConfigurationError(f"RMBG_DEVICE={name} is not present on this machine")
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def open_device(name: str) -> torch.device:
    """The device that `choose_device` finds, the current one of this thread from now on.

    Raises `ConfigurationError` also for one that is there and cannot be used: of a driver that does
    not fit, or that another process has to itself.
    """
    try:
        device = choose_device(name)
        make_current(device)
    except RuntimeError as error:
        raise ConfigurationError(
            f"RMBG_DEVICE={name} cannot be used: {first_line(error)}"
        ) from None
    return device


def held_bytes(device: torch.device) -> int:
    """What PyTorch holds on an accelerator, its cache included; 0 on the CPU."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    return 0


def make_current(device: torch.device) -> None:
    """Let the kernels of this thread run on `device`: Triton launches on the current GPU."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


def run_on(device: torch.device, work: Callable[[], _T], shape: tuple[int, int, int]) -> _T:
    """The result of `work`, for a batch of `shape`: count, height and width.

    Raises `OutOfDeviceMemory`, which holds no tensor of the failed run, and `DeviceFailure`.
    """
    try:
        make_current(device)  # every thread has its own
        return work()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            if not any(text in str(error) for text in _LOST):
                raise
            raise DeviceFailure(
                "{device} is lost: {reason}", device=str(device), reason=first_line(error)
            ) from None
    # Outside of the block: the exception holds the frames with the tensors.
    raise OutOfDeviceMemory(
        "{device} has no memory left for {count} x {shape}",
        device=str(device),
        count=shape[0],
        shape=shape[1:],
    )


def release_cache(device: torch.device) -> None:
    """Give the memory that PyTorch keeps for later back to the device; a lost one has none."""
    if device.type == "cuda":
        with suppress(RuntimeError):
            torch.cuda.empty_cache()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether there was no memory.

    Only the allocator of CUDA has an exception of its own for that; its driver and its libraries,
    which take memory beside it, have not. The device is as good as before.
    """
    return isinstance(error, torch.OutOfMemoryError) or any(
        text in str(error) for text in _NO_MEMORY
    )
