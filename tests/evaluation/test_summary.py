import math

import numpy as np
import pytest

from rmbg_service.evaluation.records import MEASURES, Record
from rmbg_service.evaluation.summary import compare, estimate, summarise


def record(name: str, tags: str = "", gt_kind: str = "alpha", **values: float) -> Record:
    return Record(
        name, dict.fromkeys(MEASURES, math.nan) | values, frozenset(tags.split()), gt_kind, "key"
    )


def test_the_mean_and_its_interval_are_those_of_an_independent_computation() -> None:
    values = np.random.default_rng(3).normal(10, 2, 400)
    found = estimate(values)
    error = values.std() / math.sqrt(400)
    assert found.n == 400
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_the_interval_is_the_same_every_time() -> None:
    assert estimate([1, 2, 5, 9]) == estimate([1, 2, 5, 9])


def test_what_does_not_apply_is_left_out_of_a_mean() -> None:
    assert estimate([1, math.nan, 3])[::3] == (2, 2)


def test_there_is_no_interval_of_fewer_than_two() -> None:
    one, none = estimate([4.0]), estimate([math.nan])
    assert (one.mean, one.n, none.n) == (4, 1, 0)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert math.isnan(none.mean)


def test_every_tag_is_a_group_and_so_are_all_and_those_with_exact_truth() -> None:
    groups = summarise(
        [
            record("a", "hair toy", iou=0.5),
            record("b", "hair", "binary", iou=0.7),
            record("c", "", "composite-exact", iou=0.9),
        ]
    )
    assert {name: (g["iou"].n, round(g["iou"].mean, 6)) for name, g in groups.items()} == {
        "all": (3, 0.7),
        "exact truth": (2, 0.7),
        "hair": (2, 0.6),
        "toy": (1, 0.5),
    }
    assert groups["all"]["grad"].n == 0


def test_exact_truth_is_no_group_where_all_of_it_is() -> None:
    assert list(summarise([record("a", iou=1), record("b", iou=1)])) == ["all"]


def test_a_difference_is_taken_photo_by_photo() -> None:
    first = [record(str(i), iou=0.1 * i + 0.02, seconds=1) for i in range(9)]
    second = [record(str(i), iou=0.1 * i, seconds=3) for i in reversed(range(1, 10))]
    iou, seconds = compare(first, second)
    assert (iou.measure, iou.difference.n) == ("iou", 8)
    assert iou.first == pytest.approx(0.47)
    assert iou.second == pytest.approx(0.45)
    assert iou.difference[:3] == pytest.approx((0.02, 0.02, 0.02))
    assert seconds.difference[:3] == pytest.approx((-2, -2, -2))


def test_a_measure_that_one_side_lacks_is_not_compared() -> None:
    rows = compare([record("a", iou=0.5, uea=0.5)], [record("a", iou=0.5)])
    assert [row.measure for row in rows] == ["iou"]
