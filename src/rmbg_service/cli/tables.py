"""Tables on the terminal; those of an evaluation can be pasted into Markdown."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from rmbg_service.evaluation.report.labels import LABELS, format_difference, format_value
from rmbg_service.evaluation.result import Result

COLUMNS = ("iou", "mae", "sad", "grad", "biou", "uea", "uea_hair", "uea_shadow", "seconds")

MIN_WIDTH = 120
"""Narrower terminals wrap lines; no number is cut off."""


def table_lines(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: int | None
) -> list[str]:
    """A line for each row, or where `width` columns do not hold it, the last cell below the rest.

    Without a `width` every row is one line, for `grep` and `awk`.
    """
    *sizes, _ = (max(map(len, column)) for column in zip(headings, *rows, strict=True))
    lines = []
    for row in (headings, *rows):
        *first, last = row
        lines.append(("  ".join(map(str.ljust, first, sizes)), last))
    whole = [f"{first}  {last}".rstrip() for first, last in lines]
    if width is None or max(map(len, whole)) <= width:
        return whole
    return [part for first, last in lines for part in (first.rstrip(), f"    {last}")]


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
