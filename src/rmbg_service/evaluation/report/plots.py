"""The report's plots as inline SVG, in the colours `--c0` to `--c5` of the page's CSS."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup, escape

WIDTH = 340
ROW = 84
BINS = 20
SCATTER_HEIGHT = 300
COLOURS = 6
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 14, 34

Series = Mapping[str, Sequence[float]]
"""Values by candidate; NaN where a photo has none."""


def distribution(measure: str, series: Series) -> Markup:
    """Histograms above one another, one for each candidate; a line marks the mean."""
    known = {name: _numbers(values) for name, values in series.items()}
    top = _upper_end([value for values in known.values() for value in values])
    edges = np.linspace(0, top, BINS + 1)
    counts = {name: np.histogram(np.clip(v, 0, top), edges)[0] for name, v in known.items()}
    tallest = max((int(count.max()) for count in counts.values()), default=0) or 1
    wide = (WIDTH - 2 * _RIGHT) / BINS
    parts = []
    for index, (name, values) in enumerate(known.items()):
        base = (index + 1) * ROW
        for place, count in enumerate(counts[name]):
            if count:
                height = 50 * count / tallest
                title = f"{edges[place]:.3g} to {edges[place + 1]:.3g}: {count} photos"
                parts.append(
                    f'<rect x="{_RIGHT + place * wide + 1:.1f}" y="{base - height:.1f}" '
                    f'width="{wide - 2:.1f}" height="{height:.1f}" rx="2" '
                    f'fill="var(--c{index % COLOURS})"><title>{title}</title></rect>'
                )
        parts.append(f'<path class="axis" d="M{_RIGHT} {base}H{WIDTH - _RIGHT}"/>')
        mean = float(np.mean(values)) if values else math.nan
        if values:
            x = _RIGHT + (WIDTH - 2 * _RIGHT) * min(mean / top, 1)
            parts.append(f'<path class="mean" d="M{x:.1f} {base - 54}V{base}"/>')
        label = f"{escape(name)}: mean {mean:.3g} of {len(values)}"
        parts.append(f'<text x="{_RIGHT}" y="{base - 60}">{label}</text>')
    height = len(known) * ROW + 18
    parts.append(_ticks(top, height - 4, _RIGHT, WIDTH - _RIGHT))
    return _svg(height, f"Distribution of {measure} over the photos", parts)


def time_against_quality(
    measure: str, points: Mapping[str, Sequence[tuple[float, float]]]
) -> Markup:
    """Seconds to the right, the measure in [0, 1] upwards; rings are the candidates' means."""
    known = {
        name: [(x, y) for x, y in pairs if not math.isnan(x + y)] for name, pairs in points.items()
    }
    longest = _upper_end([x for pairs in known.values() for x, _ in pairs], at_least=0.0)
    right, bottom = WIDTH - _RIGHT, SCATTER_HEIGHT - _BOTTOM

    def place(x: float, y: float) -> str:
        across = _LEFT + (right - _LEFT) * min(x / longest, 1)
        return f'cx="{across:.1f}" cy="{bottom - (bottom - _TOP) * y:.1f}"'

    parts = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - (bottom - _TOP) * value
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text class="end" x="{_LEFT - 6}" y="{y + 4:.1f}">{value:g}</text>')
    for index, pairs in enumerate(known.values()):
        parts += [
            f'<circle {place(x, y)} r="3" fill="var(--c{index % COLOURS})"/>' for x, y in pairs
        ]
    for index, (name, pairs) in enumerate(known.items()):
        if pairs:
            x, y = np.mean(pairs, axis=0)
            parts.append(
                f'<circle class="ring" {place(x, y)} r="8" stroke="var(--c{index % COLOURS})">'
                f"<title>{escape(name)}: {x:.3g} s, {measure} {y:.3f}</title></circle>"
            )
    parts.append(_ticks(longest, SCATTER_HEIGHT - 16, _LEFT, right))
    parts.append(f'<text class="end" x="{right}" y="{SCATTER_HEIGHT - 2}">seconds</text>')
    return _svg(SCATTER_HEIGHT, f"Seconds a photo against {measure}", parts)


def _numbers(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _upper_end(values: Sequence[float], at_least: float = 1.0) -> float:
    """1 for shares; for other figures a round one that all but the largest hundredth stay below."""
    end = float(np.quantile(values, 0.99)) if values and max(values) > at_least else 0.0
    if end <= 0:
        return 1.0
    step = 10.0 ** math.floor(math.log10(end)) / 5
    return math.ceil(end / step) * step


def _ticks(top: float, y: float, left: float, right: float) -> str:
    places = ((left, 0.0, ""), ((left + right) / 2, top / 2, "middle"), (right, top, "end"))
    return "".join(
        f'<text class="{anchor}" x="{x:.1f}" y="{y}">{value:.3g}</text>'
        for x, value, anchor in places
    )


def _svg(height: int, label: str, parts: Sequence[str]) -> Markup:
    name = escape(label)
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{name}">'
        f"<title>{name}</title>{''.join(parts)}</svg>"
    )
