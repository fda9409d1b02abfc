"""`rmbg-service remove` for a video clip."""

import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import typer

from rmbg_service.batch.report import Report
from rmbg_service.batch.run import Result, Status
from rmbg_service.errors import ConfigurationError, RmbgError
from rmbg_service.models.select import select_predictor
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings
from rmbg_service.system.atomic import atomic_replace
from rmbg_service.system.exit import INTERRUPTED
from rmbg_service.system.extras import missing_extra
from rmbg_service.system.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_folder, is_same_file
from rmbg_service.video.sequence import FrameNames, is_numbered

_SUPPORTED_OPTIONS = {"detail", "decontaminate", "background"}
_OUTPUT_SUFFIXES = {".webm", ".mov", ".mp4", ".webp", ".gif"}  # the keys of `video.writer.KINDS`
_ALWAYS_VIDEO = _OUTPUT_SUFFIXES - {".webp"}
_STILL_SUFFIXES = IMAGE_SUFFIXES - {".gif"}
_SEQUENCE = "frame-%05d.png"


def is_video(path: str, out: Path | None) -> bool:
    """Whether the input is processed as a video.

    That is so if it has the suffix of one. A GIF or a file with an unknown suffix is a video if
    the output can only be one.
    """
    suffix = Path(path).suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return True
    if suffix in _STILL_SUFFIXES or path == "-" or is_folder(path):
        return False
    return out is not None and out.suffix.lower() in _ALWAYS_VIDEO and not is_folder(out)


def check_video(inputs: list[str], others: Mapping[str, object], given: dict[str, Any]) -> None:
    """Raise `typer.BadParameter` for options that only images have; `others` by their names."""
    if len(inputs) > 1:
        first = next((path for path in inputs if is_video(path, None)), inputs[0])
        raise typer.BadParameter(f"{first} is a video, and a video must be the only input")
    wrong = [name for name, value in others.items() if value]
    wrong += [f"--{name.replace('_', '-')}" for name in given if name not in _SUPPORTED_OPTIONS]
    if wrong:
        raise typer.BadParameter(f"not available for a video: {', '.join(wrong)}")


def video_target(source: Path, out: Path | None) -> tuple[Path, str]:
    """The output's path (numbered for PNG files) and its kind: `.webm`, `.mp4`, `.png`, ..."""
    suffix = "" if out is None else out.suffix.lower()
    if out is None or (suffix == ".png" and not is_numbered(out.name)):
        raise typer.BadParameter("name the output with -o: clip.webm, clip.mp4 or a folder")
    if suffix in _OUTPUT_SUFFIXES:
        if is_folder(out):
            raise typer.BadParameter(f"{out} is a folder; expected the name of a {suffix} file")
        if is_same_file(out, source):
            raise typer.BadParameter("the output would replace its own input")
        return out, suffix
    if suffix == ".png":
        return out, suffix
    if suffix and not out.is_dir():
        known = ", ".join(sorted(_OUTPUT_SUFFIXES))
        raise typer.BadParameter(f"a video is written to {known} or .png frames, not {suffix}")
    return out / _SEQUENCE, ".png"


def remove_video(
    source: Path,
    out: Path,
    kind: str,
    options: RemovalOptions,
    settings: Settings,
    *,
    force: bool,
    as_json: bool,
) -> int:
    """Convert the clip, with a progress bar; return the exit status.

    Raises `ConfigurationError` if `out` names frames that exist, unless `force` replaces them.
    """
    if kind == ".png" and not force and FrameNames(out).existing():
        raise ConfigurationError(
            f"{out.parent} already contains frames: choose another folder or add --force"
        )
    try:
        from rmbg_service.video.convert import convert
        from rmbg_service.video.reader import open_clip
    except ModuleNotFoundError as error:
        if error.name != "av":
            raise
        raise missing_extra("video", "video") from None
    started = time.perf_counter()
    predictor = select_predictor(settings)
    with Report(None, as_json=as_json, unit="frames") as report:
        # A sequence consists of many files, each replaced atomically by itself.
        output = nullcontext(out) if kind == ".png" else atomic_replace(out)
        try:
            clip = open_clip(source)
            report.expect(clip.frames or None)
            predictor.load()
            with output as path:
                convert(
                    clip, path, kind, predictor, options, settings.codec_threads, report.advance
                )
        except KeyboardInterrupt:
            report.say(f"interrupted: {_left(kind)}")
            return INTERRUPTED
        except (RmbgError, OSError) as error:
            result = Result(source, (), Status.FAILED, error=_explain(error))
        else:
            result = Result(source, [out], Status.DONE, time.perf_counter() - started)
        report.add(result)
    report.summarise(out)
    return int(report.failed)


def _left(kind: str) -> str:
    return "the frames end early; --force replaces them" if kind == ".png" else "nothing is written"


def _explain(error: RmbgError | OSError) -> str:
    if isinstance(error, OSError):
        return f"cannot be written: {error.strerror or error}"
    return str(error)
