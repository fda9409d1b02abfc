"""A real S3 protocol server in this process, on a free port of the loopback interface."""

from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
import httpx
import pytest
from moto.server import ThreadedMotoServer


@contextmanager
def running_s3(*buckets: str) -> Iterator["fsspec.AbstractFileSystem"]:
    """The file system of a new server with these buckets; `AWS_*` name it in the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        httpx.post(f"http://{host}:{port}/moto-api/reset")  # its state belongs to the process
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
            environment.setenv("AWS_ACCESS_KEY_ID", "testing")
            environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
            environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
            fsspec.get_filesystem_class("s3").clear_instance_cache()
            files = fsspec.filesystem("s3", use_listings_cache=False)
            for bucket in buckets:
                files.mkdir(bucket)
            yield files
            fsspec.get_filesystem_class("s3").clear_instance_cache()
    finally:
        server.stop()
