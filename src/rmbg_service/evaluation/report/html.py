"""`report.html`: one self-contained file."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from rmbg_service.evaluation.dataset import Sample, load_matte
from rmbg_service.evaluation.records import MEASURES, Record
from rmbg_service.evaluation.report import plots
from rmbg_service.evaluation.report.crops import SampleCrops, sample_crops, sheet_cutout
from rmbg_service.evaluation.report.labels import (
    LABELS,
    format_difference,
    format_interval,
    format_value,
)
from rmbg_service.evaluation.result import Result
from rmbg_service.evaluation.run import matte_path
from rmbg_service.evaluation.summary import ALL
from rmbg_service.system.atomic import atomic_replace

WORST = 20
SHEET = 120
"""The most photos on the contact sheet: about 8 kB each."""

GROUNDS = {
    "white": "#fff",
    "black": "#000",
    "grey": "#808080",
    "red": "#d23b3b",
    "green": "#2f9e5a",
    "blue": "#2f62c9",
    "yellow": "#f2c230",
}
"""The backgrounds of the contact sheet."""

PLOTTED = ("iou", "uea", "uea_hair", "uea_shadow", "biou", "mae", "grad", "seconds")
OVERVIEW = ("iou", "uea", "uea_shadow", "uea_hair", "mae", "seconds")


class Worst(NamedTuple):
    """One of the worst photos of the first candidate, with all candidates' records of it."""

    sample: Sample
    records: dict[str, Record]
    crops: SampleCrops


def write_report(result: Result, path: Path) -> None:
    """Render the report of `result` and replace `path` atomically."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rmbg_service.evaluation.report", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        function.__name__: function
        for function in (format_value, format_interval, format_difference)
    }
    page = environment.get_template("report.html.j2").stream(
        result=result,
        names=[outcome.candidate for outcome in result.outcomes],
        labels=LABELS,
        measures=[m for m in MEASURES if _is_known(result, m)],
        overview=[m for m in OVERVIEW if _is_known(result, m)],
        best=_best(result),
        plots=[_distributions(result), _scatter_plots(result)],
        worst=_worst(result),
        grounds=GROUNDS,
        sheet=_sheet(result),
        sheet_left_out=max(0, len(result.outcomes[0].records) - SHEET),
        all=ALL,
        colours=plots.COLOURS,
    )
    with atomic_replace(path) as temporary:
        page.dump(str(temporary), encoding="utf-8")


def _is_known(result: Result, measure: str) -> bool:
    return any(groups[ALL][measure].n for groups in result.groups.values())


def _best(result: Result) -> dict[tuple[str, str], set[str]]:
    """The candidates with the best mean, by tag and measure; empty if there is one candidate."""
    best: dict[tuple[str, str], set[str]] = {}
    if len(result.outcomes) < 2:
        return best
    for tag in result.groups[result.outcomes[0].candidate]:
        for measure, label in LABELS.items():
            means = {
                name: label.better * groups[tag][measure].mean
                for name, groups in result.groups.items()
                if tag in groups and groups[tag][measure].n
            }
            best[tag, measure] = {n for n, mean in means.items() if mean == max(means.values())}
    return best


def _distributions(result: Result) -> Iterator[tuple[str, Markup]]:
    """Titles and histograms."""
    for measure in filter(partial(_is_known, result), PLOTTED):
        title = LABELS[measure].title
        values = {o.candidate: [r.values[measure] for r in o.records] for o in result.outcomes}
        yield title, plots.distribution(title, values)


def _scatter_plots(result: Result) -> Iterator[tuple[str, Markup]]:
    """Titles and plots of time against quality, if times are known."""
    if _is_known(result, "seconds"):
        for measure in ("uea", "iou"):
            title = LABELS[measure].title
            points = {
                o.candidate: [(r.values["seconds"], r.values[measure]) for r in o.records]
                for o in result.outcomes
            }
            yield f"{title} against time", plots.time_against_quality(title, points)


def _sheet(result: Result) -> Iterator[tuple[Sample, str]]:
    """The cutouts of the first candidate, one by one."""
    outcome = result.outcomes[0]
    known = {record.id for record in outcome.records[:SHEET]}
    for sample in result.samples:
        if sample.id in known:
            matte = load_matte(matte_path(outcome.folder, sample))
            yield sample, sheet_cutout(sample, matte)


def _worst(result: Result) -> Iterator[Worst]:
    """One by one, so that only one photo is in memory."""
    samples = {sample.id: sample for sample in result.samples}
    for record in sorted(result.outcomes[0].records, key=_rank)[:WORST]:
        sample = samples[record.id]
        records, mattes = {}, {}
        for outcome in result.outcomes:
            own = next((r for r in outcome.records if r.id == record.id), None)
            if own is not None:
                records[outcome.candidate] = own
                mattes[outcome.candidate] = load_matte(matte_path(outcome.folder, sample))
        yield Worst(sample, records, sample_crops(sample, mattes))


def _rank(record: Record) -> tuple[float, float]:
    """By usable edge, then by IoU; a photo without an edge by IoU alone."""
    uea, iou = record.values["uea"], record.values["iou"]
    return (iou if math.isnan(uea) else uea, iou)
