"""The arguments of `rmbg-service remove`, and which of them contradict each other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from rmbg_service.batch.outputs import is_one_file
from rmbg_service.batch.stores import is_url
from rmbg_service.cli.video import is_video
from rmbg_service.removal.attachments import AttachmentName
from rmbg_service.system.files import is_folder, is_same_file

STDIO = "-"


@dataclass(frozen=True)
class Arguments:
    """What was typed; `given` are the options of a removal."""

    inputs: list[str]
    destination: str | None
    name: str | None
    attachments: dict[AttachmentName, Path | None]
    watch: bool
    poll: bool
    force: bool
    as_json: bool
    model: str | None
    accept_license: str | None
    server: str | None
    parallel: int | None
    ray: str | None
    actors: str | None
    actor_cpus: int
    actor_gpus: int
    given: dict[str, Any]

    @property
    def out(self) -> Path | None:
        """The destination as a path; None for stdout and if it is not given."""
        return None if self.destination in (None, STDIO) else Path(self.destination)

    @property
    def settings(self) -> dict[str, str | None]:
        """The settings that were given."""
        return {"model": self.model, "accept_license": self.accept_license}

    @property
    def has_objects(self) -> bool:
        """Whether the inputs or the outputs are objects of a store, or treated as such."""
        return self.ray is not None or any(map(is_url, [*self.inputs, self.destination or ""]))

    @property
    def is_clip(self) -> bool:
        """Whether the input is processed as a video."""
        return not self.has_objects and any(is_video(path, self.out) for path in self.inputs)

    @property
    def is_piped(self) -> bool:
        """Whether the input is stdin or the output is stdout."""
        return STDIO in self.inputs or self.destination == STDIO


def require_consistent(arguments: Arguments) -> None:
    """Raise `typer.BadParameter` for arguments that contradict each other, before any work."""
    for is_wrong, text in _ALWAYS if arguments.is_clip else (*_ALWAYS, *_OF_IMAGES):
        if is_wrong(arguments):
            raise typer.BadParameter(text)


def _has_actors(arguments: Arguments) -> bool:
    return (arguments.actors, arguments.actor_cpus, arguments.actor_gpus) != (None, 1, 0)


def _is_for_one_image(arguments: Arguments) -> bool:
    return bool(arguments.attachments["matte"] or arguments.attachments["strokes"])


def _is_one_image(arguments: Arguments) -> bool:
    return not arguments.has_objects and is_one_file(arguments.inputs)


def _has_two_backgrounds(arguments: Arguments) -> bool:
    given = arguments.given
    other = "background" in given or given.get("output") == "matte"
    return arguments.attachments["background_image"] is not None and other


def _would_replace_a_source(arguments: Arguments) -> bool:
    out = arguments.out
    if out is None or is_folder(out):
        return False
    sources = [*map(Path, arguments.inputs), *arguments.attachments.values()]
    return any(path is not None and is_same_file(out, path) for path in sources)


_Rule = tuple[Callable[[Arguments], object], str]

_ALWAYS: tuple[_Rule, ...] = (
    (
        lambda a: a.server is not None and (a.model or a.accept_license),
        "--model and --accept-license cannot be set with --server",
    ),
    (
        lambda a: a.server is None and a.parallel is not None,
        "--parallel is for --server; use RMBG_CODEC_THREADS here",
    ),
    (
        lambda a: a.ray is None and _has_actors(a),
        "--actors, --actor-cpus and --actor-gpus are for --ray",
    ),
    (
        lambda a: a.ray is not None and a.server is not None,
        "--ray cannot be combined with --server",
    ),
    (lambda a: a.poll and not a.watch, "--poll is for --watch"),
    (
        lambda a: a.server is not None and not a.server.startswith(("http://", "https://")),
        "--server: expected a URL such as http://127.0.0.1:7860",
    ),
)
_OF_IMAGES: tuple[_Rule, ...] = (
    (
        lambda a: a.has_objects and (a.watch or a.is_piped),
        "--watch and - are not for object stores and --ray",
    ),
    (
        lambda a: STDIO in a.inputs and (len(a.inputs) > 1 or a.watch or a.as_json),
        "- must be the only input, without --watch and --json",
    ),
    (
        lambda a: a.destination == STDIO and (not _is_one_image(a) or a.watch or a.as_json),
        "-o - is stdout, for one image, without --watch and --json",
    ),
    (
        lambda a: a.watch and not all(map(is_folder, a.inputs)),
        "--watch is for folders",
    ),
    (
        lambda a: _is_for_one_image(a) and not _is_one_image(a),
        "--matte and --strokes are for one image",
    ),
    (
        lambda a: "strokes_mode" in a.given and a.attachments["strokes"] is None,
        "--strokes-mode needs --strokes",
    ),
    (
        _would_replace_a_source,
        "the output would replace an image that it is made of",
    ),
    (
        _has_two_backgrounds,
        "--background-image cannot be used with --background or --output matte",
    ),
)
