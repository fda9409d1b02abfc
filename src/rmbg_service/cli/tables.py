"""The results of an evaluation on the terminal: tables that can be pasted into Markdown."""

from rich import box
from rich.console import Console
from rich.table import Table

from rmbg_service.evaluation.report.labels import LABELS, format_difference, format_value
from rmbg_service.evaluation.result import Result

COLUMNS = ("iou", "mae", "sad", "grad", "biou", "uea", "uea_hair", "uea_shadow", "seconds")

MIN_WIDTH = 120
"""Narrower terminals wrap lines; no number is cut off."""


def print_tables(result: Result) -> None:
    """Print means by tag and model, then each comparison."""
    console = Console(width=max(MIN_WIDTH, Console().width), soft_wrap=True)
    names = [outcome.candidate for outcome in result.outcomes]
    table = _table("tag", "model", "n", *COLUMNS)
    for tag in result.groups[names[0]]:
        for name in names:
            group = result.groups[name].get(tag)
            if group is not None:
                cells = [format_value(group[measure].mean, measure) for measure in COLUMNS]
                table.add_row(tag, name, str(group["iou"].n), *cells)
    console.print(table)
    for other, rows in result.differences.items():
        table = _table("measure", names[0], other, "difference (95% interval)", "n")
        for row in rows:
            table.add_row(
                LABELS[row.measure].title,
                format_value(row.first, row.measure),
                format_value(row.second, row.measure),
                format_difference(row),
                str(row.difference.n),
            )
        console.print(table)


def _table(*headings: str) -> Table:
    table = Table(box=box.MARKDOWN)
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table
