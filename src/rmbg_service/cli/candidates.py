"""The candidates of `rmbg-service evaluate`, from its arguments."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from rmbg_service.errors import ConfigurationError
from rmbg_service.evaluation.candidates import Candidate, Predict, prediction_folder, timed
from rmbg_service.matting.plan import Detail
from rmbg_service.models import catalog
from rmbg_service.models.predictor import Predictor
from rmbg_service.models.select import MATTE_SETTINGS, SPEED_SETTINGS, select_predictor
from rmbg_service.removal.remove import remove_background
from rmbg_service.settings import Settings, load_settings
from rmbg_service.system.files import file_digest


def candidates(
    model: str | None, compared: Sequence[str], folders: Sequence[str], details: Sequence[Detail]
) -> list[Candidate]:
    """The model, those compared with it, and folders `[NAME=]DIR` of ready predictions.

    If only folders are given, no model is evaluated. Repeated candidates are evaluated once. Raises
    `ConfigurationError` for a missing model or folder, and if two candidates have the same name.
    """
    models = [] if folders and not model and not compared else [model, *compared]
    settings = [load_settings(model=name or None) for name in models]
    found = [_of_model(one, detail, len(details) > 1) for one in settings for detail in details]
    found += [_of_folder(text) for text in folders]
    by_name: dict[str, Candidate] = {}
    for candidate in found:
        other = by_name.setdefault(candidate.name, candidate)
        if other.source != candidate.source:
            raise ConfigurationError(
                f"{other.source} and {candidate.source} are both called {candidate.name}; "
                "rename one file or folder"
            )
    return list(by_name.values())


def _of_model(settings: Settings, detail: Detail, several_details: bool) -> Candidate:
    predictor = select_predictor(settings)
    name = f"{predictor.name}-{detail}" if several_details else predictor.name
    source = _source(settings, predictor)
    influences = [
        f"{field}={getattr(settings, field)}" for field in (*MATTE_SETTINGS, *SPEED_SETTINGS)
    ]
    identity = " ".join([source, detail, *influences])
    return Candidate(name, source, lambda _: identity, _opener(predictor, detail))


def _source(settings: Settings, predictor: Predictor) -> str:
    """The name of a model in the catalogue, a file with its digest, a folder or a hub id."""
    if settings.model == "auto" or catalog.find(settings.model):
        return predictor.name
    path = Path(settings.model)
    return f"{path} {file_digest(path)}" if path.is_file() else settings.model


def _opener(predictor: Predictor, detail: Detail) -> Callable[[], AbstractContextManager[Predict]]:
    @contextmanager
    def opened() -> Iterator[Predict]:
        predictor.load()
        try:
            blank = np.zeros((64, 64, 3), np.uint8)
            remove_background(blank, predictor=predictor)  # the warm-up
            yield timed(
                lambda path: remove_background(
                    path, predictor=predictor, output="matte", detail=detail
                )
            )
        finally:
            predictor.close()

    return opened


def _of_folder(text: str) -> Candidate:
    name, separator, folder = text.partition("=")
    if not separator or Path(text).is_dir():
        name, folder = Path(text).resolve().name, text
    if not re.fullmatch(r"\w[\w .+-]*", name):
        raise ConfigurationError(f"{name!r} cannot name predictions: use letters and digits")
    return prediction_folder(name, Path(folder))
