"""Agreement with the reference values, where the measuring data lies beside the checkout."""

import csv
from pathlib import Path

import pytest

from rmbg_service.evaluation.dataset import load_matte, read_dataset
from rmbg_service.evaluation.measures import measure

DATA = Path(__file__).parents[3] / "shared" / "quality"
VALUES = DATA / "reference" / "values.csv"
RELATIVE = {"iou": 0.001, "soft_iou": 0.001, "mae": 0.001, "mse": 0.001, "sad": 0.001} | {
    "grad": 0.02,
    "bf": 0.02,
    "bf2": 0.02,
    "biou": 0.02,
}
UEA_ABSOLUTE = 0.03
TOLERANCE_PX = {"ecssd_0083": 3}
"""Truths that are drawn more coarsely than their kind says."""


def reference_rows() -> list[dict[str, str]]:
    if not VALUES.exists():
        return []
    with VALUES.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.skipif(not VALUES.exists(), reason="the measuring data is not here")
@pytest.mark.parametrize("row", reference_rows(), ids=lambda row: row["id"])
def test_agrees_with_the_reference(row: dict[str, str]) -> None:
    sample = next(s for s in read_dataset(DATA) if s.id == row["id"])
    values = measure(
        load_matte(DATA / "reference" / f"{sample.id}.png"),
        load_matte(sample.alpha),
        tolerance_px=TOLERANCE_PX.get(sample.id, sample.tolerance_px),
        edge_level=sample.edge_level,
    )
    for name, tolerance in RELATIVE.items():
        assert values[name] == pytest.approx(float(row[name]), rel=tolerance), name
    for name in ("uea", "uea_hair", "uea_solid"):
        if row[name]:  # a hard truth says nothing about hair
            assert values[name] == pytest.approx(float(row[name]), abs=UEA_ABSOLUTE), name
