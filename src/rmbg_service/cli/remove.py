"""`rmbg-service remove`: files, folders and patterns, here or through a running service."""

import asyncio
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rmbg_service.batch.outputs import target_of
from rmbg_service.batch.removers.remover import RemoverFailed
from rmbg_service.cli.options import (
    LicenseOption,
    ModelOption,
    removal_options,
    with_removal_options,
)
from rmbg_service.cli.video import check_video, is_video, remove_video, video_target
from rmbg_service.errors import ConfigurationError, ImageTooLarge
from rmbg_service.settings import load_settings
from rmbg_service.system.atomic import atomic_write
from rmbg_service.system.exit import exit_now, second_interrupt_exits
from rmbg_service.system.files import is_folder

if TYPE_CHECKING:
    from rmbg_service.batch.batch import Batch

_STDIO = "-"


@with_removal_options
def remove(
    inputs: Annotated[
        list[str],
        typer.Argument(help="Files, folders, patterns such as '**/*.jpg', a video; -: stdin."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A folder, or a file for one input. Default: cutouts/"),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(help="Use the service at this URL; its key: RMBG_SERVER_KEY."),
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Requests at once. Default: half of what it admits.")
    ] = None,
    model: ModelOption = None,
    accept_license: LicenseOption = None,
    background_image: Annotated[
        Path | None, typer.Option(help="Put the cutouts on this image.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep processing new and changed files, until Ctrl+C.")
    ] = False,
    poll: Annotated[
        bool,
        typer.Option(
            "--poll", help="With --watch: list the folders every second, for network shares."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Process finished files again; replace existing frames.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON on stdout for each file.")
    ] = False,
    *,
    given: dict[str, Any],
) -> None:
    """Remove the backgrounds of many images; run again, it continues where it ended."""
    from rmbg_service.batch.batch import Batch, run_batch  # httpx and the engine: 0.2 s

    if server is not None and (model or accept_license):
        raise typer.BadParameter("--model and --accept-license cannot be set with --server")
    if server is None and parallel is not None:
        raise typer.BadParameter("--parallel is for --server; use RMBG_CODEC_THREADS here")
    overrides = {"model": model, "accept_license": accept_license}
    if any(is_video(path, out) for path in inputs):
        others = {"--server": server, "--watch": watch, "--background-image": background_image}
        check_video(inputs, others, given)
        source = Path(inputs[0])
        path, kind = video_target(source, out)
        options, settings = removal_options(given), load_settings(**overrides)
        with second_interrupt_exits():
            status = remove_video(
                source, path, kind, options, settings, force=force, as_json=as_json
            )
        raise typer.Exit(status)
    named = removal_options(given).format if "format" in given else None
    target = target_of(inputs, out, named, given.get("output"))
    if target.format is not None:
        given = given | {"format": target.format}
    batch = Batch(
        inputs=inputs,
        target=target,
        options=removal_options(given),
        background=_read_background(background_image, given),
        server=server,
        parallel=parallel,
        settings=overrides,
        watch=watch,
        poll=poll,
        force=force,
        as_json=as_json,
    )
    # Pillow warns about every unusual tag of a file; a serious one is an error anyway.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    if _STDIO in inputs:
        raise typer.Exit(_pipe(batch, to_stdout=out is None))
    if watch and not all(is_folder(path) for path in inputs):
        raise typer.BadParameter("--watch is for folders")
    if poll and not watch:
        raise typer.BadParameter("--poll is for --watch")
    ending = asyncio.run(run_batch(batch))
    if ending.work_left:
        exit_now(ending.status)
    raise typer.Exit(ending.status)


def _read_background(path: Path | None, given: dict[str, Any]) -> bytes | None:
    if path is None:
        return None
    if "background" in given or given.get("output") == "matte":
        raise typer.BadParameter(
            "--background-image cannot be used with --background or --output matte"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from None


def _pipe(batch: "Batch", *, to_stdout: bool) -> int:
    """Process one image from stdin to stdout or the output file."""
    if len(batch.inputs) > 1 or batch.watch or batch.as_json:
        raise typer.BadParameter("- must be the only input, without --watch and --json")
    if to_stdout and sys.stdout.isatty():
        raise typer.BadParameter("stdout is a terminal; redirect it, or name a file with -o")
    if not to_stdout and not batch.target.is_file:
        raise typer.BadParameter("the output of - is one file: give -o a name with a suffix")
    data = sys.stdin.buffer.read(load_settings(**batch.settings).max_body_bytes + 1)

    async def removed() -> bytes:
        stop = asyncio.Event()
        async with batch.remover(stop) as remover:
            if len(data) > remover.max_bytes:
                raise ImageTooLarge(f"more than the {remover.max_bytes} bytes that are accepted")
            return (await remover.remove(data)).data

    try:
        result = asyncio.run(removed())
    except RemoverFailed as error:
        raise ConfigurationError(str(error)) from None
    except KeyboardInterrupt:
        exit_now(128 + signal.SIGINT)
    if to_stdout:
        sys.stdout.buffer.write(result)
        sys.stdout.buffer.flush()
    else:
        atomic_write(batch.target.path, result)
    return 0
