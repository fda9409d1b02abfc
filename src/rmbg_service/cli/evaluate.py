"""`rmbg-service evaluate`: the quality of cutouts, measured on photos whose mattes are known."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    track,
)

from rmbg_service.cli.candidates import candidates
from rmbg_service.cli.options import ModelOption
from rmbg_service.cli.tables import print_tables
from rmbg_service.errors import ConfigurationError
from rmbg_service.evaluation.candidates import Candidate
from rmbg_service.evaluation.dataset import Sample, read_dataset
from rmbg_service.evaluation.result import Result
from rmbg_service.evaluation.run import Outcome, result_folders, run
from rmbg_service.evaluation.scenes import make_scenes
from rmbg_service.evaluation.synthetic import write_scenes
from rmbg_service.matting.plan import Detail
from rmbg_service.system.exit import INTERRUPTED, second_interrupt_exits
from rmbg_service.system.terminal import stderr_console


def evaluate(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATASET",
            help="A folder with manifest.csv, or with images/ and alphas/ of equal names.",
        ),
    ] = None,
    synthetic: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Use this many synthetic scenes instead of DATASET."),
    ] = None,
    model: ModelOption = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL...", help="Further models, evaluated on the same photos."),
    ] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]DIR",
            help="Evaluate files of another tool, <id>.png, mattes or RGBA; may be repeated.",
        ),
    ] = None,
    detail: Annotated[
        list[str] | None,
        typer.Option(
            metavar="|".join(get_args(Detail)),
            help="How mattes get their full size; repeated, each is evaluated [auto].",
        ),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only photos with this tag; repeated, any of them.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N photos.")
    ] = None,
    keep_ambiguous: Annotated[
        bool,
        typer.Option("--keep-ambiguous", help="Include photos without one clear subject."),
    ] = False,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder of the results [evaluation].")
    ] = Path("evaluation"),
) -> None:
    """Compare cutouts with known mattes: per_image.csv, summary.json and report.html in --out.

    Run again, it evaluates only what is missing or has changed. Exits with 1 if a photo failed.
    """
    from rmbg_service.evaluation.report.html import write_report  # Jinja2 costs 50 ms to import

    rest = list(arguments or ())
    folder = out / "scenes" if synthetic else _dataset(rest)
    if rest and not compare:
        text = "--synthetic needs no DATASET" if synthetic else "expected one DATASET"
        raise typer.BadParameter(f"{text}, got also {rest[0]!r}")
    details = _details(detail or ["auto"])
    judged = candidates(model, [*(compare or ()), *rest], predictions or (), details)
    if synthetic:
        _render(synthetic, folder)
    dataset = read_dataset(folder)
    chosen = _chosen(folder, dataset, set(tag or ()), limit)
    samples = [sample for sample in chosen if keep_ambiguous or sample.unambiguous] or chosen
    outcomes = [outcome.on(samples) for outcome in _run(judged, chosen, dataset, out)]
    options = {
        "detail": details,
        "tag": tag or [],
        "limit": limit,
        "keep_ambiguous": keep_ambiguous,
    }
    name = f"{synthetic} synthetic scenes" if synthetic else folder.resolve().name
    result = Result.of(name, samples, options, outcomes)
    result.write_json(out / "summary.json")
    write_report(result, out / "report.html")
    print_tables(result)
    typer.echo(f"report: {out / 'report.html'}")
    for outcome in outcomes:
        for failure in outcome.failures:
            typer.echo(f"failed: {outcome.candidate} on {failure.id}: {failure.error}", err=True)
    if any(outcome.failures for outcome in outcomes):
        raise typer.Exit(1)


def _render(count: int, folder: Path) -> None:
    scenes = track(make_scenes(count), "scenes", count, console=stderr_console())
    write_scenes(scenes, folder)


def _details(names: list[str]) -> list[Detail]:
    """Checked here: Typer does not support lists of literals."""
    for name in names:
        if name not in get_args(Detail):
            known = ", ".join(get_args(Detail))
            raise typer.BadParameter(f"no {name!r}; expected {known}", param_hint="--detail")
    return cast("list[Detail]", names)


def _dataset(arguments: list[str]) -> Path:
    """Remove and return the first argument; those after it belong to `--compare`."""
    if not arguments:
        raise typer.BadParameter("name a DATASET, or add --synthetic N")
    return Path(arguments.pop(0))


def _chosen(
    folder: Path, dataset: Sequence[Sample], tags: set[str], limit: int | None
) -> Sequence[Sample]:
    samples = [sample for sample in dataset if not tags or tags & sample.tags]
    if not samples:
        known = ", ".join(sorted({tag for sample in dataset for tag in sample.tags})) or "none"
        raise ConfigurationError(f"{folder} has no photo with these tags; its tags are: {known}")
    return samples[:limit]


def _run(
    judged: Sequence[Candidate], samples: Sequence[Sample], dataset: Sequence[Sample], out: Path
) -> list[Outcome]:
    """Evaluate the candidates one by one on `samples`, which were chosen from `dataset`."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr_console(),
    )
    outcomes = []
    with bar, second_interrupt_exits():
        for candidate, folder in zip(judged, result_folders(judged, dataset, out), strict=True):
            task = bar.add_task(candidate.name, total=len(samples))
            try:
                advance = partial(bar.advance, task)
                outcomes.append(run(candidate, samples, folder, advance, dataset))
            except KeyboardInterrupt:
                bar.stop()
                typer.echo("interrupted; run the same command again to continue", err=True)
                raise typer.Exit(INTERRUPTED) from None
    return outcomes
