import math
import re

import pytest

from rmbg_service.evaluation.report.plots import (
    BINS,
    SCATTER_HEIGHT,
    WIDTH,
    distribution,
    time_against_quality,
)


def test_a_histogram_counts_every_value_once() -> None:
    svg = distribution("IoU", {"a": [0.0, 0.01, 0.99, 1.0, math.nan], "b": [0.5]})
    counts = [int(count) for count in re.findall(r": (\d+) photos", svg)]
    assert sorted(counts) == [1, 2, 2]
    assert "a: mean 0.5 of 4" in svg
    assert svg.count("<rect") == 3 <= 2 * BINS


def test_an_open_scale_keeps_the_largest_in_its_last_bar() -> None:
    svg = distribution("grad", {"a": [*range(1, 200), 1e6]})
    assert sum(int(count) for count in re.findall(r": (\d+) photos", svg)) == 200
    assert ">220<" not in svg  # the scale follows the many, not the one
    assert ">200<" in svg


def test_points_lie_within_the_plot() -> None:
    svg = time_against_quality("IoU", {"a": [(0.2, 0.0), (1.7, 1.0), (math.nan, 0.5)]})
    places = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="3"', svg)
    assert len(places) == 2
    assert all(0 < float(x) <= WIDTH and 0 < float(y) < SCATTER_HEIGHT for x, y in places)
    assert float(places[1][0]) > float(places[0][0])
    assert float(places[1][1]) < float(places[0][1])  # more is higher
    assert 'class="ring"' in svg


@pytest.mark.parametrize("series", [{"a": []}, {"a": [math.nan]}])
def test_no_values_make_an_empty_plot(series: dict[str, list[float]]) -> None:
    assert "<rect" not in distribution("IoU", series)


def test_names_are_escaped() -> None:
    assert "<i>" not in distribution("IoU", {"<i>": [0.5]})
    assert "<i>" not in time_against_quality("IoU", {"<i>": [(1, 0.5)]})
