"""`rmbg-service models`: what there is, what is on this disk, and how to get the rest."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from rmbg_service.cli.help import HelpCommand, HelpGroup
from rmbg_service.cli.tables import table_lines
from rmbg_service.errors import ConfigurationError
from rmbg_service.models import bundle, catalog, openvino
from rmbg_service.models.download import Progress as Report
from rmbg_service.models.files import size_bytes
from rmbg_service.models.pull import SOURCES
from rmbg_service.models.pull import pull as pull_weights
from rmbg_service.models.select import similar
from rmbg_service.models.spec import ModelSpec
from rmbg_service.models.store import Store
from rmbg_service.settings import Settings, load_settings
from rmbg_service.system.terminal import stderr_console

models = typer.Typer(
    cls=HelpGroup,
    no_args_is_help=True,
    help="List, fetch and describe the known models.",
    rich_markup_mode=None,
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A name from `models list`, or a hub id.")
]
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAMES...]", help="Models [all that are on this disk]."),
]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")]
Source = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help=f"{', '.join(SOURCES)}, a URL or a file; auto tries the known ones in turn [auto].",
    ),
]
Target = Annotated[
    Path, typer.Argument(metavar="TARGET", help="A folder, or a file that ends in .tar.")
]
Bundle = Annotated[
    Path,
    typer.Argument(metavar="SOURCE", help="The folder or file that `models export` wrote."),
]

_HEADINGS = ("name", "input", "licence", "on disk", "good for")


@models.command("list", cls=HelpCommand)
def list_models() -> None:
    """Show the catalogue, and which models are on this disk."""
    store = Store.of(load_settings())
    rows = [
        (spec.name, _size(spec), spec.licence, _on_disk(spec, store), spec.good_for)
        for spec in catalog.CATALOG
    ]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    typer.echo("\n".join(table_lines(_HEADINGS, rows, width)))
    for spec, path in store.elsewhere():
        setting = "RMBG_MATTING_MODEL" if spec.runtime == "vitmatte" else "RMBG_MODEL"
        typer.echo(f"{spec.name} is also at {path}: {setting}={path}")


@models.command(cls=HelpCommand)
def show(name: Name) -> None:
    """Show everything that the catalogue says about one model."""
    settings = load_settings()
    spec, store = _find(name), Store.of(settings)
    weights = spec.weights
    gate = f" (gated: accept the terms at https://huggingface.co/{spec.source}, then set HF_TOKEN)"
    for label, value in {
        "name": spec.name,
        "good for": spec.good_for,
        "source": spec.source + (gate if spec.gated else ""),
        "revision": spec.revision if weights and weights.hub else "",
        "available from": ", ".join(each for each in SOURCES if weights and getattr(weights, each)),
        "sha256": (weights and weights.sha256) or "",
        "md5": (weights and weights.md5) or "",
        "licence": f"{spec.licence}, {spec.licence_url}",
        "commercial use": "no" if spec.non_commercial else "as its licence says",
        "input": _size(spec) + (", or any multiples of 32" if spec.dynamic else ""),
        "normalisation": f"mean {spec.mean}, standard deviation {spec.std}",
        "on disk": _on_disk(spec, store),
        "patch order": _patch_order(spec, store),
        "number format": _number_format(spec, settings),
    }.items():
        if value:
            typer.echo(f"{label:15s} {value}")


@models.command(cls=HelpCommand)
def pull(name: Name, source: Source = "auto", revision: Revision = None) -> None:
    """Fetch a model's weights, check their digest and show where they are."""
    row = catalog.find(name)
    if row is catalog.EMBEDDED:
        typer.echo(f"{row.name} is part of the package")
        return
    if row is None and name.count("/") != 1:
        row = _find(name)
    settings = load_settings()
    spec, store = row or catalog.unlisted(name), Store.of(settings)
    catalog.check_licence(spec, frozenset(settings.accept_license))
    if spec.runtime != "vitmatte":  # the setting is that of the other model
        revision = revision or settings.model_revision
    with _progress_bar(spec.name) as report:
        path = pull_weights(spec, store, report, source, revision)
    known = store.identify(path)
    if known is not None and known.name != spec.name:
        typer.echo(f"{name} holds the weights of {known.name}, under {known.licence}")
    typer.echo(f"{spec.name}: {size_bytes(path) / 1e6:.0f} MB in {path}")


@models.command(cls=HelpCommand)
def export(target: Target, names: Names = None) -> None:
    """Write weights to a folder or tar file, for a machine without a network."""
    store = Store.of(load_settings())
    here = [s for s in catalog.CATALOG if s is not catalog.EMBEDDED and store.find(s)]
    for path in bundle.export([_find(name) for name in names or []] or here, target, store):
        typer.echo(f"{path} -> {target}")


@models.command("import", cls=HelpCommand)
def import_(source: Bundle) -> None:
    """Take in what `models export` wrote, after checking every digest."""
    if not source.exists():
        raise ConfigurationError(f"{source}: no such file or folder")
    store = Store.of(load_settings())
    for name in bundle.import_(source, store):
        typer.echo(f"{name}: in {store.folder}")


@contextmanager
def _progress_bar(name: str) -> Iterator[Report]:
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr_console()) as bar:
        task = bar.add_task(name, total=None, visible=False)

        def report(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        yield report


def _find(name: str) -> ModelSpec:
    row = catalog.find(name)
    if row is None:
        raise ConfigurationError(
            f"no model {name!r}{similar(name)}; `rmbg-service models list` shows them"
        )
    return row


def _number_format(spec: ModelSpec, settings: Settings) -> str:
    """What decides in which format the model computes on this machine."""
    if spec.runtime == "onnx":
        if not openvino.is_candidate(settings.onnx_provider):
            return "that of the file"
        settled = openvino.format_by_setting(settings.dtype)
        if settled is not None:
            return f"{settled.name} ({settled.reason})"
    elif settings.dtype != "auto":
        return f"{settings.dtype} (set by RMBG_DTYPE)"
    return "chosen when the model is loaded: `rmbg-service doctor` shows which, and why"


def _patch_order(spec: ModelSpec, store: Store) -> str:
    """What is known of the patch order; the weights are looked at if they are on this disk."""
    if spec.runtime != "birefnet":
        return ""
    settings = load_settings()
    path = store.find(spec, settings.model_revision)
    choice = None
    if path is not None:
        from rmbg_service.models.birefnet.patch_order import inspect  # torch costs seconds

        try:
            choice = inspect(path, spec.source, settings.patch_order)
        except ConfigurationError as error:
            return str(error)
    if choice is not None:
        return str(choice)
    if spec.patch_order is None:
        return "unknown until the weights are here"
    return f"{spec.patch_order}, by the catalogue" + (
        "" if spec.patch_order_proven else " (by date, not proven)"
    )


def _size(spec: ModelSpec) -> str:
    height, width = spec.input_size
    return f"{width} x {height}"


def _on_disk(spec: ModelSpec, store: Store) -> str:
    if spec is catalog.EMBEDDED:
        return "embedded"
    path = store.find(spec)
    return f"{size_bytes(path) / 1e6:.0f} MB" if path else "no"
