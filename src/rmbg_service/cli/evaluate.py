"""`rmbg-service evaluate`: how good the cutouts are, on photos whose mattes are known."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.console import Console
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
from rmbg_service.cli.figures import print_figures
from rmbg_service.cli.words import ModelOption
from rmbg_service.errors import ConfigurationError
from rmbg_service.evaluation.candidates import Candidate
from rmbg_service.evaluation.dataset import Sample, read_dataset
from rmbg_service.evaluation.places import places
from rmbg_service.evaluation.result import Result
from rmbg_service.evaluation.run import Outcome, run
from rmbg_service.evaluation.scenes import make_scenes
from rmbg_service.evaluation.synthetic import write_scenes
from rmbg_service.matting.plan import Detail

INTERRUPTED = 130
"""Exit status of a command that Ctrl+C ended."""


def evaluate(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATASET",
            help="A folder with manifest.csv, or with images/ and alphas/ of equal names.",
        ),
    ] = None,
    synthetic: Annotated[
        int | None, typer.Option(min=1, help="Judge on this many made-up scenes, not on DATASET.")
    ] = None,
    model: ModelOption = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL...", help="Models to judge on the same photos as well."),
    ] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]DIR",
            help="Judge files of any other tool, <id>.png, mattes or RGBA; may be repeated.",
        ),
    ] = None,
    detail: Annotated[
        list[str] | None,
        typer.Option(
            metavar="|".join(get_args(Detail)),
            help="How mattes become full size; repeated, each is judged. Default: auto.",
        ),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only photos with this tag; repeated, any of them.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many photos.")] = None,
    keep_ambiguous: Annotated[
        bool,
        typer.Option(
            "--keep-ambiguous", help="Count photos without one clear subject in the figures, too."
        ),
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("evaluation"),
) -> None:
    """Judge cutouts against known mattes: per_image.csv, summary.json and report.html in --out.

    Run again, only what is missing or has changed is judged. Exits with 1 when a photo failed.
    """
    from rmbg_service.evaluation.report.html import write_report  # Jinja2 costs 50 ms to import

    rest = list(words or ())
    folder = _scenes(synthetic, out) if synthetic else _dataset(rest)
    if rest and not compare:
        raise typer.BadParameter(f"one DATASET, please; {rest[0]!r} is one too many")
    details = _details(detail or ["auto"])
    judged = candidates(model, [*(compare or ()), *rest], predictions or (), details)
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
    name = f"{synthetic} made-up scenes" if synthetic else folder.resolve().name
    result = Result.of(name, samples, options, outcomes)
    result.write_json(out / "summary.json")
    write_report(result, out / "report.html")
    print_figures(result)
    typer.echo(f"report: {out / 'report.html'}")
    for outcome in outcomes:
        for failure in outcome.failures:
            typer.echo(f"failed: {outcome.candidate} on {failure.id}: {failure.error}", err=True)
    if any(outcome.failures for outcome in outcomes):
        raise typer.Exit(1)


def _scenes(count: int, out: Path) -> Path:
    folder = out / "scenes"
    scenes = track(make_scenes(count), "scenes", count, console=Console(stderr=True))
    write_scenes(scenes, folder)
    return folder


def _details(words: list[str]) -> list[Detail]:
    """Typer takes no list of literals."""
    for word in words:
        if word not in get_args(Detail):
            raise typer.BadParameter(f"no detail {word!r}", param_hint="--detail")
    return cast("list[Detail]", words)


def _dataset(words: list[str]) -> Path:
    """The first word, taken away from `words`; those after it belong to --compare."""
    if not words:
        raise typer.BadParameter("name a DATASET, or ask for --synthetic N")
    return Path(words.pop(0))


def _chosen(
    folder: Path, dataset: Sequence[Sample], tags: set[str], limit: int | None
) -> Sequence[Sample]:
    samples = [sample for sample in dataset if not tags or tags & sample.tags]
    if not samples:
        raise ConfigurationError(f"{folder} has no photo of that kind")
    return samples[:limit]


def _run(
    judged: Sequence[Candidate], samples: Sequence[Sample], dataset: Sequence[Sample], out: Path
) -> list[Outcome]:
    """Judge one candidate after the other on `samples`, which were chosen from `dataset`."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    outcomes = []
    with bar:
        for candidate, folder in zip(judged, places(judged, dataset, out), strict=True):
            task = bar.add_task(candidate.name, total=len(samples))
            try:
                advance = partial(bar.advance, task)
                outcomes.append(run(candidate, samples, folder, advance, dataset))
            except KeyboardInterrupt:
                bar.stop()
                typer.echo("interrupted; the same command goes on from here", err=True)
                raise typer.Exit(INTERRUPTED) from None
    return outcomes
