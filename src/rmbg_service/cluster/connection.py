"""Connections to a Ray cluster, or to one of this machine's own."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from rmbg_service.errors import ConfigurationError
from rmbg_service.system.extras import missing_extra

LOCAL = "local"


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A connection to the cluster at `address`; `local` starts one on the loopback interface.

    Ray's usage statistics are off. Raises `ConfigurationError` if there is no such cluster or
    Ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ModuleNotFoundError:
        raise missing_extra("ray", "--ray") from None
    here = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(here if address == LOCAL else {}),
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"no Ray cluster at {address}: {error}") from None
    try:
        yield
    finally:
        ray.shutdown()
