"""The sources of weights, tried in turn."""

import logging
import queue
import shutil
import threading
from pathlib import Path

import httpx

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import hub
from rmbg_service.models.download import NoSpace, Progress, check, download, require_secure
from rmbg_service.models.files import weight_files
from rmbg_service.models.predictor import first_line
from rmbg_service.models.spec import ModelSpec, Weights
from rmbg_service.models.store import Store
from rmbg_service.system.atomic import atomic_replace

log = logging.getLogger(__name__)

MODELSCOPE = "https://modelscope.cn"
SOURCES = ("hub", "modelscope", "release")
_REACHABLE_WITHIN_S = 5.0


def pull(
    spec: ModelSpec,
    store: Store,
    progress: Progress,
    source: str = "auto",
    revision: str | None = None,
) -> Path:
    """Fetch the weights of `spec`; the file or folder that holds them.

    `source` is one of `SOURCES`, an https URL, a path, or `auto`: those that the catalogue knows,
    in turn. Raises `ConfigurationError` in one line that says why each of them failed.
    """
    if source in SOURCES:
        return _from_known(source, spec, store, progress, revision)
    if source != "auto":
        return _from(source, spec, store, progress)
    reasons = []
    for name in _known_sources(spec, revision):
        try:
            return _from_known(name, spec, store, progress, revision)
        except NoSpace:
            raise
        except ConfigurationError as error:
            log.info("%s by %s: %s", spec.name, name, error)
            reasons.append(f"{name}: {error}")
    raise ConfigurationError(
        f"{spec.name} could not be fetched; {'; '.join(reasons)}; another source: `rmbg-service"
        f" models pull {spec.name} --from URL-or-path`"
    )


def verify(path: Path, weights: Weights, store: Store) -> None:
    """Refuse a file or snapshot whose bytes are not those that `weights` names."""
    if not weights.identified:
        return
    file = weight_files(path)[0]
    try:
        check(file, weights, str(file), store.memory)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; delete {file.resolve()} and pull again") from None


def _known_sources(spec: ModelSpec, revision: str | None) -> list[str]:
    weights = spec.weights
    if weights is None or revision not in (None, weights.revision):
        return ["hub"]
    return [source for source in SOURCES if getattr(weights, source)]


def _from_known(
    source: str, spec: ModelSpec, store: Store, progress: Progress, revision: str | None
) -> Path:
    weights = spec.weights or Weights(hub=spec.source)
    location = getattr(weights, source)
    if location is None:
        raise ConfigurationError(f"{spec.name} is not available from {source}")
    if source == "hub":
        if hub.offline():
            raise ConfigurationError("HF_HUB_OFFLINE is set")
        require_reachable(hub.endpoint())
        if weights.sha256 is None or revision not in (None, weights.revision):
            return hub.pull(location, revision or weights.revision)
        path = hub.pull_file(location, weights.path, weights.revision)
        verify(path, weights, store)
        return path
    if source == "modelscope":
        location = f"{MODELSCOPE}/models/{location}/resolve/master/{weights.path}"
    require_reachable(location)
    download(location, store.path(spec), weights, progress)
    return store.path(spec)


def _from(source: str, spec: ModelSpec, store: Store, progress: Progress) -> Path:
    """Take the weights from a URL or a path of the caller's choice."""
    weights = spec.weights
    if weights is None:
        raise ConfigurationError(f"{spec.name} is not in the catalogue: set RMBG_MODEL to {source}")
    target = store.path(spec)
    if "://" not in source:
        path = Path(source).expanduser()
        if not path.is_file():
            raise ConfigurationError(
                f"{source} is not a file, a URL or one of {', '.join(SOURCES)}"
            )
        check(path, weights, source)
        with atomic_replace(target) as temporary:
            shutil.copyfile(path, temporary)
        return target
    require_secure(source, weights)
    require_reachable(source)
    download(source, target, weights, progress)
    return target


def require_reachable(url: str) -> None:
    """Raise `ConfigurationError` within seconds if the host of `url` cannot be reached.

    It is asked in a thread of its own, because name resolution has no timeout.
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{url} is not a URL: {error}") from None
    host = address.netloc.decode()
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            httpx.head(f"{address.scheme}://{host}/", timeout=_REACHABLE_WITHIN_S)
        except Exception as error:  # a proxy or certificates that cannot be used, too
            answers.put(f"{host} cannot be reached: {first_line(error)}")
        else:
            answers.put(None)

    threading.Thread(target=ask, daemon=True).start()
    try:
        problem = answers.get(timeout=_REACHABLE_WITHIN_S)
    except queue.Empty:
        problem = f"{host} does not respond within {_REACHABLE_WITHIN_S:.0f} s"
    if problem:
        raise ConfigurationError(problem)
