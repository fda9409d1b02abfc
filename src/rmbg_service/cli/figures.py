"""The figures of an evaluation on the terminal: tables that can be pasted into Markdown."""

from rich import box
from rich.console import Console
from rich.table import Table

from rmbg_service.evaluation.report.labels import LABELS, figure, gain
from rmbg_service.evaluation.result import Result

COLUMNS = ("iou", "mae", "sad", "grad", "biou", "uea", "uea_hair", "uea_shadow", "seconds")


LEAST_WIDTH = 120
"""Narrower terminals wrap lines, rather than that figures are cut off."""


def print_figures(result: Result) -> None:
    """Print means by tag and model, then each comparison."""
    console = Console(width=max(LEAST_WIDTH, Console().width), soft_wrap=True)
    names = [outcome.candidate for outcome in result.outcomes]
    table = _table("tag", "model", "n", *COLUMNS)
    for tag in result.groups[names[0]]:
        for name in names:
            group = result.groups[name].get(tag)
            if group is not None:
                cells = [figure(group[measure].mean, measure) for measure in COLUMNS]
                table.add_row(tag, name, str(group["iou"].n), *cells)
    console.print(table)
    for other, rows in result.differences.items():
        table = _table("measure", names[0], other, "difference (95 % interval)", "n")
        for row in rows:
            table.add_row(
                LABELS[row.measure].title,
                figure(row.first, row.measure),
                figure(row.second, row.measure),
                gain(row),
                str(row.difference.n),
            )
        console.print(table)


def _table(*headings: str) -> Table:
    table = Table(box=box.MARKDOWN)
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table
