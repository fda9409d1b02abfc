"""`rmbg-service remove`: files, folders and patterns, here or through a running service."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rmbg_service.batch.names import DEFAULT_NAME, SEVERAL_NAME, check_name
from rmbg_service.batch.outputs import object_target, target_of
from rmbg_service.cli.checks import Arguments, require_consistent
from rmbg_service.cli.help import HelpAllOption
from rmbg_service.cli.option_help import FILES, MODEL
from rmbg_service.cli.options import (
    LicenseOption,
    ModelOption,
    preset_options,
    removal_options,
    with_removal_options,
)
from rmbg_service.cli.video import check_video, remove_video, video_target
from rmbg_service.errors import ConfigurationError
from rmbg_service.removal.attachments import AttachmentName, Files
from rmbg_service.settings import load_settings
from rmbg_service.system.exit import exit_now, second_interrupt_exits

if TYPE_CHECKING:
    from rmbg_service.batch.batch import Batch


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
            help="A folder, its URL, or for one input a file or - [cutouts/].",
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
    arguments = Arguments(
        inputs=inputs,
        destination=destination,
        name=name,
        attachments={"background_image": background_image, "matte": matte, "strokes": strokes},
        watch=watch,
        poll=poll,
        force=force,
        as_json=as_json,
        model=model,
        accept_license=accept_license,
        server=server,
        parallel=parallel,
        ray=ray,
        actors=actors,
        actor_cpus=actor_cpus,
        actor_gpus=actor_gpus,
        given=given,
    )
    require_consistent(arguments)
    raise typer.Exit(_remove_clip(arguments) if arguments.is_clip else _remove_images(arguments))


def _remove_clip(arguments: Arguments) -> int:
    """Process the video; the exit status."""
    others: dict[str, object] = {
        f"--{name.replace('_', '-')}": path for name, path in arguments.attachments.items()
    }
    others |= {
        "--server": arguments.server,
        "--watch": arguments.watch,
        "--name": arguments.name,
    }
    check_video(arguments.inputs, others, arguments.given)
    source = Path(arguments.inputs[0])
    path, kind = video_target(source, arguments.out)
    options, settings = removal_options(arguments.given), load_settings(**arguments.settings)
    force, as_json = arguments.force, arguments.as_json
    with second_interrupt_exits():
        return remove_video(source, path, kind, options, settings, force=force, as_json=as_json)


def _remove_images(arguments: Arguments) -> int:
    """Process the images here, through a service or on a cluster; the exit status."""
    from rmbg_service.batch.batch import run_batch  # httpx and the engine: 0.2 s

    with _refused():
        batch = _batch(arguments)
    if arguments.ray is not None:
        from rmbg_service.cluster.removal import Pool, remove_on_ray

        with _refused():
            pool = Pool.parse(arguments.actors, arguments.actor_cpus, arguments.actor_gpus)
        return remove_on_ray(batch, arguments.ray, pool)
    if arguments.is_piped:
        from rmbg_service.cli.pipe import remove_piped

        return remove_piped(batch, to_stdout=arguments.out is None)
    ending = asyncio.run(run_batch(batch))
    if ending.work_left:
        exit_now(ending.status)
    return ending.status


@contextmanager
def _refused() -> Iterator[None]:
    """Turns a `ConfigurationError` into that of a command line, with its exit status."""
    try:
        yield
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


def _batch(arguments: Arguments) -> "Batch":
    """The batch that the arguments ask for; reads the images that come with the inputs."""
    from rmbg_service.batch.batch import Batch

    given = arguments.given
    format_ = removal_options({"format": given["format"]}).format if "format" in given else None
    if arguments.has_objects:
        target = object_target(arguments.destination, format_)
    else:
        target = target_of(arguments.inputs, arguments.out, format_, given.get("output"))
    if target.format is not None:
        given = given | {"format": target.format}
    files = _read_files(arguments.attachments)
    if "background_image" in files and "preset" in given:
        given = given | {"background": None}  # the image replaces the preset's colour
    options, *further = preset_options(given)
    one_file = target.is_file or arguments.is_piped
    if further and (one_file or arguments.has_objects):
        raise typer.BadParameter("several presets need files or folders, and -o a folder")
    if arguments.name is not None and one_file:
        raise typer.BadParameter("--name is for the files in an output folder")
    name = arguments.name or (SEVERAL_NAME if further else DEFAULT_NAME)
    check_name(name, sum(each.preset is not None for each in (options, *further)))
    return Batch(
        inputs=arguments.inputs,
        target=target,
        options=options,
        files=files,
        further=further,
        name=name,
        server=arguments.server,
        parallel=arguments.parallel,
        settings=arguments.settings,
        watch=arguments.watch,
        poll=arguments.poll,
        force=arguments.force,
        as_json=arguments.as_json,
    )


def _read_files(paths: Mapping[AttachmentName, Path | None]) -> Files:
    """The images that come with the inputs, by their names in the API."""
    try:
        return {name: path.read_bytes() for name, path in paths.items() if path is not None}
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror or error}") from None
