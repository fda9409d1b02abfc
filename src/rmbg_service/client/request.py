"""From an image and its options to a request that can be sent several times."""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, TypedDict

PATH = "/api/remove-bg"

ImageFile: TypeAlias = bytes | str | os.PathLike[str] | BinaryIO
"""An encoded image: its bytes, the path of its file, or a file that is open for reading bytes."""


class Options(TypedDict, total=False):
    """The options of one removal; `docs/api.md` describes them, and the service checks them."""

    output: Literal["cutout", "matte", "layers"]
    format: Literal["png", "webp", "webp-lossy", "jpeg", "jpg", "avif", "zip", "psd", "auto"]
    quality: int
    color_profile: Literal["srgb", "keep"]
    detail: Literal["off", "guided", "crop", "auto", "best", "matting"]
    decontaminate: bool
    shadow: Literal["off", "keep", "drop", "auto"]
    shadow_opacity: float
    shadow_angle: float
    shadow_softness: float
    background: str
    crop: bool
    margin: str
    preset: str
    canvas: str
    scale: str
    position: str
    upscale: bool
    min_side: int
    roi: str
    semitransparency: bool
    max_side: int
    max_pixels: int
    max_bytes: int
    strokes_mode: Literal["smart", "exact"]
    on_empty: Literal["return", "error"]


class RemovalRequest:
    """One removal. All attempts have the same id: it names one request in the service's log.

    A removal changes nothing in the service, so an attempt whose response was lost may be repeated.
    With attachments, all files are read at once: they are sent as a form, from memory. A file alone
    is streamed.
    """

    def __init__(
        self,
        image: ImageFile,
        attachments: Mapping[str, ImageFile | None],
        request_id: str | None,
        options: Options,
    ) -> None:
        self.id = request_id or uuid.uuid4().hex
        self._form = {name: _read(file) for name, file in attachments.items() if file is not None}
        if self._form:
            image = self._form["image"] = _read(image)
        self._image = _rewindable(image)
        default = {} if "preset" in options else {"format": "png"}
        self._query = default | {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in options.items()
            if value is not None
        }

    @contextmanager
    def attempt(self) -> Iterator[dict[str, Any]]:
        """The arguments of `httpx.Client.post` for one attempt; a file begins where it was."""
        headers = {"Accept": "image/*, application/zip", "X-Request-ID": self.id}
        arguments: dict[str, Any] = {"url": PATH, "params": self._query, "headers": headers}
        if self._form:
            yield arguments | {"files": self._form}
            return
        headers["Content-Type"] = "application/octet-stream"
        if isinstance(self._image, bytes):
            yield arguments | {"content": self._image}
            return
        with _opened(self._image) as file:
            headers["Content-Length"] = str(_remaining(file))  # so that 413 comes before the body
            yield arguments | {"content": file}


def _read(image: ImageFile) -> bytes:
    if isinstance(image, bytes):
        return image
    return Path(image).read_bytes() if isinstance(image, str | os.PathLike) else image.read()


def _rewindable(image: ImageFile) -> "bytes | Path | _Rewound":
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | os.PathLike):
        return Path(image)
    return _Rewound(image) if image.seekable() else image.read()


class _Rewound:
    """A file that every attempt reads from where it was at first."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.start = file.tell()


@contextmanager
def _opened(image: "Path | _Rewound") -> Iterator[BinaryIO]:
    if isinstance(image, _Rewound):
        image.file.seek(image.start)
        yield image.file
        return
    with image.open("rb") as file:
        yield file


def _remaining(file: BinaryIO) -> int:
    start = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(start)
    return end - start
