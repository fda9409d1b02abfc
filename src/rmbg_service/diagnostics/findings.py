"""What `rmbg-service doctor` found, as values, as text and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from rmbg_service.diagnostics.quality import MIN_IOU, Quality
from rmbg_service.models.predictor import PatchOrderChoice
from rmbg_service.settings import PatchOrder

UNKNOWN_LICENCE = "unknown"


@dataclass(frozen=True)
class WeightFile:
    """A file of the model and the SHA-256 of its content."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class OtherOrder:
    """The quality with the patch order that was not chosen."""

    order: PatchOrder
    quality: Quality


@dataclass(frozen=True)
class OtherFormat:
    """Another number format on the reference image, against the one in use.

    `mean` and `worst` are absolute differences of the two mattes; `predict_s` is its time.
    """

    dtype: str
    mean: float
    worst: float
    predict_s: float


@dataclass(frozen=True)
class Matting:
    """The matting network: `tile_s` is its time for a tile of the largest size."""

    name: str
    licence: str
    dtype: str | None
    tile_s: float


@dataclass
class Findings:
    """Everything that was measured; what could not be measured is None.

    `problems` are reasons not to serve, `hints` are possible improvements: one line each, with what
    to change.
    """

    model: str
    licence: str
    accelerators: list[str]
    threads: int
    files: list[WeightFile] = field(default_factory=list)
    device: str | None = None
    dtype: str | None = None
    dtype_reason: str | None = None
    load_s: float | None = None
    predict_s: float | None = None
    resident_bytes: int | None = None
    device_memory_bytes: int = 0
    quality: Quality | None = None
    patch_order: PatchOrderChoice | None = None
    other_order: OtherOrder | None = None
    matting: Matting | None = None
    other_formats: list[OtherFormat] = field(default_factory=list)
    needed_bytes: int | None = None
    limit_bytes: int | None = None
    problems: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether no problem was found that keeps the service from serving."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """The fields by name, `healthy` first; qualities become objects."""
        values = asdict(self)
        for holder in (values, values["other_order"] or {}):
            quality = holder.get("quality")
            if quality is not None:
                holder["quality"] = quality._asdict()
        return {"healthy": self.healthy, **values}

    def as_text(self) -> str:
        """A table of what was measured, then what to change."""
        lines = [f"{label:14s} {value}" for label, value in self._rows()]
        lines += ["", *(f"problem: {line}" for line in self.problems)]
        lines += [f"hint: {line}" for line in self.hints]
        return "\n".join([*lines, "all is well" if self.healthy else "not fit to serve"])

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "model", self.model
        known = self.licence != UNKNOWN_LICENCE
        yield "licence", self.licence if known else "unknown: these bytes are not in the catalogue"
        for file in self.files:
            yield "weights", f"{file.path} ({file.bytes / 1e6:.1f} MB)"
            yield "", f"sha256 {file.sha256}"
        seen = ", ".join(self.accelerators) or "none seen"
        if self.device is not None:
            yield "device", f"{self.device}; accelerators: {seen}"
        if self.dtype is not None:
            yield "number format", f"{self.dtype} ({self.dtype_reason})"
        yield "threads", str(self.threads)
        if self.load_s is not None:
            yield "load", f"{self.load_s:.2f} s"
        if self.predict_s is not None:
            yield "prediction", f"{self.predict_s * 1000:.0f} ms an image (median of 3)"
        if self.resident_bytes is not None:
            device = self.device_memory_bytes
            more = f", {device / 1e6:.0f} MB on the device" if device else ""
            yield "memory", f"{self.resident_bytes / 1e6:.0f} MB resident{more}"
        if self.needed_bytes is not None:
            limit = "unknown" if self.limit_bytes is None else f"{self.limit_bytes / 1e9:.1f} GB"
            yield "", f"{self.needed_bytes / 1e9:.1f} GB with all admitted jobs, of {limit}"
        if self.quality is not None:
            yield "quality", f"{self.quality} (at least {MIN_IOU} expected)"
        if self.patch_order is not None:
            yield "patch order", str(self.patch_order)
        if self.other_order is not None:
            yield "", f"with {self.other_order.order}: {self.other_order.quality}"
        if self.matting is not None:
            matting = self.matting
            yield (
                "matting",
                f"{matting.name} ({matting.licence}) in {matting.dtype};"
                f" {matting.tile_s * 1000:.0f} ms a tile",
            )
        for other in self.other_formats:
            yield (
                f"in {other.dtype}",
                f"matte differs by {other.mean:.4f} on average, {other.worst:.3f} at worst; "
                f"{other.predict_s * 1000:.0f} ms",
            )
