"""From rows to figures: means with confidence intervals per tag, and candidates side by side.

Intervals are percentile bootstrap intervals over the photos (Efron, "Bootstrap methods: another
look at the jackknife", Annals of Statistics 1979), drawn with a fixed seed. The difference of two
candidates is resampled in pairs, so that easy and hard photos do not widen its interval.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rmbg_service.evaluation.dataset import TOLERANCE_PX
from rmbg_service.evaluation.records import MEASURES, Record

RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 0

ALL = "all"
EXACT = "exact truth"
"""Group of the photos whose truth is a matte, not a hard mask or a rough one."""

COMPARED = ("iou", "uea", "uea_shadow", "uea_hair", "seconds")


class Estimate(NamedTuple):
    """A mean over `n` photos and its 95% interval.

    NaN: `mean` where `n` is 0, the bounds where `n` is below 2.
    """

    mean: float
    low: float
    high: float
    n: int


Group = dict[str, Estimate]
"""One estimate for each of `MEASURES`."""


@dataclass(frozen=True)
class Difference:
    """One measure of two candidates on the photos that have it in both.

    `difference` is `first` minus `second`.
    """

    measure: str
    first: float
    second: float
    difference: Estimate


def estimate(values: Iterable[float]) -> Estimate:
    """The mean of the values that are numbers, with its bootstrap interval."""
    known = np.array([value for value in values if not math.isnan(value)])
    n = len(known)
    if n < 2:
        return Estimate(float(known[0]) if n else math.nan, math.nan, math.nan, n)
    rng = np.random.default_rng(SEED)
    means = known[rng.integers(0, n, (RESAMPLES, n), np.int32)].mean(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(known.mean()), float(low), float(high), n)


def summarise(records: Sequence[Record]) -> dict[str, Group]:
    """Estimates of every measure for all photos and for each tag; `seconds` is one of them."""
    return {
        name: {measure: estimate(r.values[measure] for r in members) for measure in MEASURES}
        for name, members in _groups(records).items()
    }


def compare(first: Sequence[Record], second: Sequence[Record]) -> list[Difference]:
    """The measures `COMPARED` of two candidates, on the photos that both have."""
    others = {record.id: record for record in second}
    pairs = [(record.values, others[record.id].values) for record in first if record.id in others]
    rows = []
    for measure in COMPARED:
        both = [(a[measure], b[measure]) for a, b in pairs]
        both = [(a, b) for a, b in both if not math.isnan(a - b)]
        if both:
            means = np.mean(both, axis=0)
            difference = estimate(a - b for a, b in both)
            rows.append(Difference(measure, float(means[0]), float(means[1]), difference))
    return rows


def _groups(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by group: all of them, those with exact truth (where not all are), each tag."""
    groups = {ALL: list(records)}
    exact = [record for record in records if TOLERANCE_PX[record.gt_kind] == 1]
    if 0 < len(exact) < len(records):
        groups[EXACT] = exact
    for tag in sorted({tag for record in records for tag in record.tags}):
        groups[tag] = [record for record in records if tag in record.tags]
    return groups
