"""`rmbg-service models`: what there is, what is on this disk, and how to get the rest."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rmbg_service.cli.doctor import JsonOption, doctor
from rmbg_service.errors import ConfigurationError
from rmbg_service.models import catalog, hub
from rmbg_service.models.catalog import ModelSpec
from rmbg_service.settings import load_settings

models = typer.Typer(no_args_is_help=True, help="List, fetch and describe the known models.")

Name = Annotated[str, typer.Argument(help="A name from the list, or a hub id.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")]


@models.command("list")
def list_models() -> None:
    """The catalogue, and what of it is on this disk."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "input", "licence", "on disk", "good for"):
        table.add_column(heading)
    for spec in catalog.CATALOG:
        table.add_row(spec.name, _size(spec), spec.licence, _on_disk(spec), spec.good_for)
    Console().print(table)


@models.command()
def show(name: Name) -> None:
    """Everything the catalogue says about one model."""
    spec = _find(name)
    gate = f" (gated: accept the terms at https://huggingface.co/{spec.source}, then set HF_TOKEN)"
    for label, value in {
        "name": spec.name,
        "good for": spec.good_for,
        "source": spec.source + (gate if spec.gated else ""),
        "revision": spec.revision,
        "licence": f"{spec.licence}, {spec.licence_url}",
        "commercial use": "no" if spec.non_commercial else "as its licence says",
        "input": _size(spec) + (", or any multiples of 32" if spec.dynamic else ""),
        "normalisation": f"mean {spec.mean}, standard deviation {spec.std}",
        "on disk": _on_disk(spec),
        **_patch_order(spec),
    }.items():
        typer.echo(f"{label:15s} {value}")


@models.command()
def pull(name: Name, revision: Revision = None) -> None:
    """Fetch a model's weights into the local cache, with a progress bar."""
    row = catalog.find(name)
    if row is not None and row.runtime == "onnx":
        typer.echo(f"{row.name} is part of the package")
        return
    settings = load_settings()
    source = row.source if row else name
    wanted = revision or settings.model_revision or (row.revision if row else "main")
    if row is not None:
        catalog.check_licence(row, frozenset(settings.accept_license))
    folder = hub.pull(source, wanted)
    megabytes = hub.size_on_disk_bytes(folder) / 1e6
    typer.echo(f"{source} at {wanted}: {megabytes:.0f} MB in {folder}")


@models.command()
def check(name: Name, as_json: JsonOption = False) -> None:
    """Examine one model as `rmbg-service doctor` does the configured one."""
    doctor(model=name, as_json=as_json)


def _find(name: str) -> ModelSpec:
    row = catalog.find(name)
    if row is None:
        raise ConfigurationError(f"no model {name!r}; `rmbg-service models list` shows them")
    return row


def _patch_order(spec: ModelSpec) -> dict[str, str]:
    """What is known of the patch order; the weights are looked at if they are on this disk."""
    if spec.patch_order is None:
        return {}
    settings = load_settings()
    folder = hub.cached(spec.source, settings.model_revision or spec.revision)
    choice = None
    if folder is not None:
        from rmbg_service.models.birefnet.patch_order import inspect  # torch costs seconds

        try:
            choice = inspect(folder, spec.source, settings.patch_order)
        except ConfigurationError as error:
            return {"patch order": str(error)}
    return {"patch order": str(choice) if choice else f"{spec.patch_order}, by the catalogue"}


def _size(spec: ModelSpec) -> str:
    height, width = spec.input_size
    return f"{width} x {height}"


def _on_disk(spec: ModelSpec) -> str:
    if spec.runtime == "onnx":
        return "embedded"
    folder = hub.cached(spec.source, spec.revision)
    return f"{hub.size_on_disk_bytes(folder) / 1e6:.0f} MB" if folder else "no"
