"""`rmbg-service remove` of one image from stdin, to stdout, or both."""

import asyncio
import sys
from pathlib import Path

import typer

from rmbg_service.batch.batch import Batch
from rmbg_service.batch.removers.remover import RemoverFailed
from rmbg_service.cli.checks import STDIO
from rmbg_service.errors import ConfigurationError, ImageTooLarge, InvalidImage
from rmbg_service.system.atomic import atomic_write
from rmbg_service.system.exit import INTERRUPTED, exit_now


def remove_piped(batch: Batch, *, to_stdout: bool) -> int:
    """Process one image from stdin or a file to stdout or the output file."""
    (source,) = batch.inputs
    if to_stdout and sys.stdout.isatty():
        raise typer.BadParameter("stdout is a terminal; redirect it, or name a file with -o")
    if not to_stdout and not batch.target.is_file:
        raise typer.BadParameter("the output of - is one file: give -o a name with a suffix")

    async def removed() -> bytes:
        stop = asyncio.Event()
        async with batch.remover(stop) as remover:
            data = await asyncio.to_thread(_read, source, remover.max_bytes + 1)
            if not data:
                raise InvalidImage("expected an image, got nothing")
            if len(data) > remover.max_bytes:
                raise ImageTooLarge(f"more than the {remover.max_bytes:,} bytes that are accepted")
            return (await remover.remove(data)).data

    try:
        result = asyncio.run(removed())
    except RemoverFailed as error:
        raise ConfigurationError(str(error)) from None
    except KeyboardInterrupt:
        exit_now(INTERRUPTED)
    if to_stdout:
        sys.stdout.buffer.write(result)
        sys.stdout.buffer.flush()
    else:
        atomic_write(batch.target.path, result)
    return 0


def _read(source: str, size: int) -> bytes:
    if source == STDIO:
        return sys.stdin.buffer.read(size)
    with Path(source).open("rb") as file:
        return file.read(size)
