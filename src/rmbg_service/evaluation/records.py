"""`per_image.csv`: one row for each evaluated photo, written as soon as it is known."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rmbg_service.system.atomic import atomic_replace

MEASURES = (
    "iou",
    "soft_iou",
    "mae",
    "mse",
    "sad",
    "grad",
    "bf",
    "bf2",
    "biou",
    "uea",
    "uea_hair",
    "uea_solid",
    "uea_shadow",
    "far_bad_px",
    "shadow_leak",
    "seconds",
)
"""The columns with numbers: the measures by their short names, and the time of the removal."""

COLUMNS = ("id", *MEASURES, "tags", "gt_kind", "key")


@dataclass(frozen=True)
class Record:
    """One evaluated photo: `values` by the names in `MEASURES`, NaN if one does not apply.

    `key` is a digest of everything the values depend on.
    """

    id: str
    values: Mapping[str, float]
    tags: frozenset[str]
    gt_kind: str
    key: str


def read_records(path: Path) -> list[Record]:
    """The rows of a file; none if there is no file.

    Rows that are incomplete or that another program has saved in its own way are left out.
    """
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        records = map(_record, csv.DictReader(file))
        return [record for record in records if record is not None]


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Replace the file atomically by these rows."""
    with (
        atomic_replace(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows([COLUMNS, *map(_cells, records)])


def append_record(path: Path, record: Record) -> None:
    """Append one row to a file that `write_records` wrote."""
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(_cells(record))


def _record(row: Mapping[str, str]) -> Record | None:
    if not all(row.get(name) for name in ("id", "gt_kind", "key")):
        return None
    try:
        values = {name: float(row[name]) if row.get(name) else math.nan for name in MEASURES}
    except ValueError:
        return None
    return Record(
        row["id"], values, frozenset((row.get("tags") or "").split()), row["gt_kind"], row["key"]
    )


def _cells(record: Record) -> list[str]:
    values = [record.values[name] for name in MEASURES]
    numbers = ["" if math.isnan(value) else f"{value:.6g}" for value in values]
    return [record.id, *numbers, " ".join(sorted(record.tags)), record.gt_kind, record.key]
