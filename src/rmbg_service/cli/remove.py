"""`rmbg-service remove`: files, folders and patterns, here or through a running service."""

import asyncio
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rmbg_service.batch.names import DEFAULT_NAME, SEVERAL_NAME, check_name
from rmbg_service.batch.outputs import (
    is_one_file,
    object_target,
    target_of,
)
from rmbg_service.batch.stores import is_url
from rmbg_service.cli.help import HelpAllOption
from rmbg_service.cli.option_help import FILES, MODEL
from rmbg_service.cli.options import (
    LicenseOption,
    ModelOption,
    preset_options,
    removal_options,
    with_removal_options,
)
from rmbg_service.cli.video import check_video, is_video, remove_video, video_target
from rmbg_service.errors import ConfigurationError
from rmbg_service.removal.attachments import AttachmentName, Files
from rmbg_service.settings import load_settings
from rmbg_service.system.exit import exit_now, second_interrupt_exits
from rmbg_service.system.files import is_folder

_STDIO = "-"


@with_removal_options
def remove(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUTS...",
            help="Files, folders, patterns, s3:// URLs, a video; - is stdin.",
            rich_help_panel=FILES,
        ),
    ],
    destination: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            help="A folder, its URL, or a file for one input [cutouts/].",
            rich_help_panel=FILES,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="Of file names: '{stem}-{preset}.{ext}', '{preset}/{stem}.{ext}'.",
            rich_help_panel=FILES,
        ),
    ] = None,
    background_image: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Put the cutouts on this image.", rich_help_panel=FILES),
    ] = None,
    matte: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For one image: a mask or matte in place of the model's.",
            rich_help_panel=FILES,
        ),
    ] = None,
    strokes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For one image: light strokes keep, dark ones erase.",
            rich_help_panel=FILES,
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Keep processing new and changed files, until Ctrl+C.",
            rich_help_panel=FILES,
        ),
    ] = False,
    poll: Annotated[
        bool,
        typer.Option(
            "--poll",
            help="With --watch: list the folders every second, for network shares.",
            rich_help_panel=FILES,
            hidden=True,
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Process finished files again; replace existing frames.",
            rich_help_panel=FILES,
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print a line of JSON for each file.",
            rich_help_panel=FILES,
            hidden=True,
        ),
    ] = False,
    model: ModelOption = None,
    accept_license: LicenseOption = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Use the service at this URL; its key: RMBG_SERVER_KEY.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    parallel: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Requests at once [half of what the service admits].",
            rich_help_panel=MODEL,
            hidden=True,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run on this Ray cluster; local: on one of its own.",
            rich_help_panel=MODEL,
            hidden=True,
        ),
    ] = None,
    actors: Annotated[
        str | None,
        typer.Option(
            metavar="N|MIN:MAX",
            help="With --ray [as many as fit].",
            rich_help_panel=MODEL,
            hidden=True,
        ),
    ] = None,
    actor_cpus: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="With --ray: CPUs of an actor [1].",
            rich_help_panel=MODEL,
            hidden=True,
        ),
    ] = 1,
    actor_gpus: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="With --ray: GPUs of an actor [0].",
            rich_help_panel=MODEL,
            hidden=True,
        ),
    ] = 0,
    help_all: HelpAllOption = False,
    *,
    given: dict[str, Any],
) -> None:
    """Remove the backgrounds of images and videos. Run again, it continues where it ended."""
    del help_all
    from rmbg_service.batch.batch import Batch, run_batch  # httpx and the engine: 0.2 s

    if server is not None and (model or accept_license):
        raise typer.BadParameter("--model and --accept-license cannot be set with --server")
    if server is None and parallel is not None:
        raise typer.BadParameter("--parallel is for --server; use RMBG_CODEC_THREADS here")
    out = None if destination is None else Path(destination)
    objects = ray is not None or any(map(is_url, [*inputs, destination or ""]))
    overrides = {"model": model, "accept_license": accept_license}
    if not objects and any(is_video(path, out) for path in inputs):
        others = {
            "--server": server,
            "--watch": watch,
            "--background-image": background_image,
            "--name": name,
            "--matte": matte,
            "--strokes": strokes,
        }
        check_video(inputs, others, given)
        source = Path(inputs[0])
        path, kind = video_target(source, out)
        options, settings = removal_options(given), load_settings(**overrides)
        with second_interrupt_exits():
            status = remove_video(
                source, path, kind, options, settings, force=force, as_json=as_json
            )
        raise typer.Exit(status)
    if (matte or strokes) and (objects or not is_one_file(inputs)):
        raise typer.BadParameter("--matte and --strokes are for one image")
    named = removal_options({"format": given["format"]}).format if "format" in given else None
    if objects:
        if watch or _STDIO in inputs:
            raise typer.BadParameter("--watch and - are not for object stores and --ray")
        target = object_target(destination, named)
    else:
        target = target_of(inputs, out, named, given.get("output"))
    if target.format is not None:
        given = given | {"format": target.format}
    attached: dict[AttachmentName, Path | None] = {
        "background_image": background_image,
        "matte": matte,
        "strokes": strokes,
    }
    files = _read_files(given, attached)
    if background_image is not None and "preset" in given:
        given = given | {"background": None}  # the image replaces the preset's colour
    options, *further = preset_options(given)
    if further and (objects or target.is_file or _STDIO in inputs):
        raise typer.BadParameter("several presets need files or folders, and -o a folder")
    if name is not None and (target.is_file or _STDIO in inputs):
        raise typer.BadParameter("--name is for the files in an output folder")
    name = name or (SEVERAL_NAME if further else DEFAULT_NAME)
    check_name(name, 1 + len(further))
    batch = Batch(
        inputs=inputs,
        target=target,
        options=options,
        files=files,
        further=further,
        name=name,
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
    if ray is None and (actors is not None or actor_cpus != 1 or actor_gpus != 0):
        raise typer.BadParameter("--actors, --actor-cpus and --actor-gpus are for --ray")
    if ray is not None:
        if server is not None:
            raise typer.BadParameter("--ray cannot be combined with --server")
        from rmbg_service.cluster.removal import Pool, remove_on_ray

        raise typer.Exit(remove_on_ray(batch, ray, Pool.parse(actors, actor_cpus, actor_gpus)))
    if _STDIO in inputs:
        from rmbg_service.cli.pipe import remove_piped

        raise typer.Exit(remove_piped(batch, to_stdout=out is None))
    if watch and not all(is_folder(path) for path in inputs):
        raise typer.BadParameter("--watch is for folders")
    if poll and not watch:
        raise typer.BadParameter("--poll is for --watch")
    ending = asyncio.run(run_batch(batch))
    if ending.work_left:
        exit_now(ending.status)
    raise typer.Exit(ending.status)


def _read_files(given: dict[str, Any], paths: Mapping[AttachmentName, Path | None]) -> Files:
    """The images that come with the inputs, by their names in the API."""
    files = {name: path for name, path in paths.items() if path is not None}
    if "background_image" in files and ("background" in given or given.get("output") == "matte"):
        raise typer.BadParameter(
            "--background-image cannot be used with --background or --output matte"
        )
    if "strokes_mode" in given and "strokes" not in files:
        raise typer.BadParameter("--strokes-mode needs --strokes")
    try:
        return {name: path.read_bytes() for name, path in files.items()}
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror or error}") from None
