"""The result of one evaluation: the content of `summary.json` and of the report."""

import hashlib
import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rmbg_service.evaluation.dataset import Sample, sample_digest
from rmbg_service.evaluation.run import Outcome
from rmbg_service.evaluation.summary import (
    ALL,
    CONFIDENCE,
    RESAMPLES,
    SEED,
    Difference,
    Estimate,
    Group,
    compare,
    summarise,
)
from rmbg_service.system.atomic import atomic_write

DISTRIBUTIONS = (
    "rmbg-service",
    "numpy",
    "opencv-python-headless",
    "opencv-python",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "torch",
)
"""What the numbers depend on, as far as it is installed."""


@dataclass(frozen=True)
class Result:
    """One evaluation with all its candidates.

    `groups` has, by candidate, the estimates of each tag; `differences` compares the first
    candidate with every other one. `options` are those of the command.
    """

    dataset: str
    samples: Sequence[Sample]
    options: Mapping[str, object]
    outcomes: Sequence[Outcome]
    groups: Mapping[str, Mapping[str, Group]]
    differences: Mapping[str, list[Difference]]

    @classmethod
    def of(
        cls,
        dataset: str,
        samples: Sequence[Sample],
        options: Mapping[str, object],
        outcomes: Sequence[Outcome],
    ) -> "Result":
        """Summarise and compare `outcomes`, at least one."""
        first, *others = outcomes
        return cls(
            dataset,
            samples,
            options,
            outcomes,
            groups={o.candidate: summarise(o.records) for o in outcomes},
            differences={o.candidate: compare(first.records, o.records) for o in others},
        )

    @property
    def versions(self) -> dict[str, str]:
        """The versions of Python and the installed `DISTRIBUTIONS`."""
        versions = {"python": platform.python_version()}
        for name in DISTRIBUTIONS:
            with suppress(importlib.metadata.PackageNotFoundError):
                versions[name] = importlib.metadata.version(name)
        return versions

    def as_dict(self) -> dict[str, object]:
        """The content of `summary.json`; None stands for NaN."""
        digests = "".join(sample_digest(sample) for sample in self.samples)
        return {
            "dataset": {
                "name": self.dataset,
                "images": len(self.samples),
                "sha256": hashlib.sha256(digests.encode()).hexdigest(),
            },
            "options": dict(self.options),
            "versions": self.versions,
            "bootstrap": {"resamples": RESAMPLES, "confidence": CONFIDENCE, "seed": SEED},
            "models": [self._model(outcome) for outcome in self.outcomes],
            "comparisons": [self._comparison(name) for name in self.differences],
        }

    def write_json(self, path: Path) -> None:
        """Write `summary.json` atomically."""
        text = json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"
        atomic_write(path, text.encode())

    def _model(self, outcome: Outcome) -> dict[str, object]:
        groups = self.groups[outcome.candidate]
        return {
            "name": outcome.candidate,
            "source": outcome.source,
            "images": len(outcome.records),
            "failures": {failure.id: failure.error for failure in outcome.failures},
            "mean_seconds": _number(groups[ALL]["seconds"].mean),
            "tags": {
                tag: {measure: _estimate(value) for measure, value in group.items()}
                for tag, group in groups.items()
            },
        }

    def _comparison(self, other: str) -> dict[str, object]:
        return {
            "model": self.outcomes[0].candidate,
            "against": other,
            "measures": {row.measure: _difference(row) for row in self.differences[other]},
        }


def _difference(row: Difference) -> dict[str, object]:
    """Shares differ in percentage points, times in seconds."""
    scale, unit = (1, "seconds") if row.measure == "seconds" else (100, "percentage points")
    mean, low, high, n = row.difference
    return {
        "model": row.first,
        "against": row.second,
        "difference": _number(scale * mean),
        "low": _number(scale * low),
        "high": _number(scale * high),
        "unit": unit,
        "n": n,
    }


def _estimate(value: Estimate) -> dict[str, float | None]:
    return {
        "mean": _number(value.mean),
        "low": _number(value.low),
        "high": _number(value.high),
        "n": value.n,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
