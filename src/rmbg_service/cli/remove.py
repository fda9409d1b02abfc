"""`rmbg-service remove`: files, folders and patterns, here or through a running service."""

import asyncio
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rmbg_service.batch.outputs import target_of
from rmbg_service.batch.removers.remover import Hopeless
from rmbg_service.cli.fields import removal_options, with_removal_options
from rmbg_service.cli.video import check_video, is_video, remove_video, video_target
from rmbg_service.cli.words import LicenseOption, ModelOption
from rmbg_service.errors import ConfigurationError, ImageTooLarge
from rmbg_service.settings import load_settings
from rmbg_service.system.atomic import write
from rmbg_service.system.files import is_folder

if TYPE_CHECKING:
    from rmbg_service.batch.task import Task

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
        Path | None, typer.Option(help="Put the cutouts on this picture.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with what is new or changed, until Ctrl+C.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Do again what is done; replace frames that exist.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON on stdout for each file.")
    ] = False,
    *,
    given: dict[str, Any],
) -> None:
    """Remove the backgrounds of many pictures; run again, it goes on where it ended."""
    from rmbg_service.batch.task import Task, perform  # httpx and the engine cost 0.2 s

    if server is not None and (model or accept_license):
        raise typer.BadParameter("--model and --accept-license are the server's to choose")
    if server is None and parallel is not None:
        raise typer.BadParameter("--parallel is for --server; RMBG_CODEC_THREADS rules here")
    overrides = {"model": model, "accept_license": accept_license}
    if any(map(is_video, inputs)):
        others = {"--server": server, "--watch": watch, "--background-image": background_image}
        check_video(inputs, others, given)
        source = Path(inputs[0])
        path, kind = video_target(source, out)
        options, settings = removal_options(given), load_settings(**overrides)
        raise typer.Exit(
            remove_video(source, path, kind, options, settings, force=force, as_json=as_json)
        )
    target = target_of(inputs, out, given.get("format"), given.get("output"))
    if target.format is not None:
        given = given | {"format": target.format}
    task = Task(
        inputs=inputs,
        target=target,
        options=removal_options(given),
        background=_read_background(background_image, given),
        server=server,
        parallel=parallel,
        settings=overrides,
        watch=watch,
        force=force,
        as_json=as_json,
    )
    # Pillow warns about every odd tag of a file; what matters becomes an error anyway.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    if _STDIO in inputs:
        raise typer.Exit(_pipe(task, to_stdout=out is None))
    if watch and not all(is_folder(path) for path in inputs):
        raise typer.BadParameter("--watch is for folders")
    ending = asyncio.run(perform(task))
    if ending.stuck:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ending.status)
    raise typer.Exit(ending.status)


def _read_background(path: Path | None, given: dict[str, Any]) -> bytes | None:
    if path is None:
        return None
    if "background" in given or given.get("output") == "matte":
        raise typer.BadParameter("--background-image excludes --background and --output matte")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from None


def _pipe(task: "Task", *, to_stdout: bool) -> int:
    """One picture from stdin to stdout or the output file."""
    if len(task.inputs) > 1 or task.watch or task.as_json:
        raise typer.BadParameter("- stands alone, without --watch and --json")
    if to_stdout and sys.stdout.isatty():
        raise typer.BadParameter("stdout is a terminal; redirect it, or name a file with -o")
    if not to_stdout and not task.target.is_file:
        raise typer.BadParameter("the output of - is a file: give -o a name with a suffix")
    data = sys.stdin.buffer.read(load_settings(**task.settings).max_body_bytes + 1)

    async def removed() -> bytes:
        stop = asyncio.Event()
        async with task.remover(stop) as remover:
            if len(data) > remover.max_bytes:
                raise ImageTooLarge(f"more than the {remover.max_bytes} bytes that are accepted")
            return (await remover.remove(data)).data

    try:
        result = asyncio.run(removed())
    except Hopeless as error:
        raise ConfigurationError(str(error)) from None
    if to_stdout:
        sys.stdout.buffer.write(result)
        sys.stdout.buffer.flush()
    else:
        write(task.target.path, result)
    return 0
