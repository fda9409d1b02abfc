"""The roads by which weights come to this disk, tried in turn."""

import logging
import queue
import shutil
import threading
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from rmbg_service.errors import ConfigurationError
from rmbg_service.models import hub
from rmbg_service.models.download import NoSpace, Progress, check, download
from rmbg_service.models.files import weight_files
from rmbg_service.models.spec import ModelSpec, Weights
from rmbg_service.models.store import Store
from rmbg_service.system.atomic import atomic_replace

log = logging.getLogger(__name__)

MODELSCOPE = "https://modelscope.cn"
ROADS = ("hub", "modelscope", "release")
_REACHABLE_WITHIN_S = 5.0


def pull(
    spec: ModelSpec,
    store: Store,
    progress: Progress,
    road: str = "auto",
    revision: str | None = None,
) -> Path:
    """Fetch the weights of `spec`; the file or folder that holds them.

    `road` is one of `ROADS`, an https URL, a path, or `auto`: those that the catalogue knows, in
    turn. Raises `ConfigurationError` in one line that says why each road failed.
    """
    if road in ROADS:
        return _by(road, spec, store, progress, revision)
    if road != "auto":
        return _from(road, spec, store, progress)
    reasons = []
    for name in _known_roads(spec, revision):
        try:
            return _by(name, spec, store, progress, revision)
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
    if weights.sha256 is None and weights.md5 is None:
        return
    file = weight_files(path)[0]
    try:
        check(file, weights, str(file), store.memory)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; delete {file.resolve()} and pull again") from None


def _known_roads(spec: ModelSpec, revision: str | None) -> list[str]:
    weights = spec.weights
    if weights is None or revision not in (None, weights.revision):
        return ["hub"]
    return [road for road in ROADS if getattr(weights, road)]


def _by(road: str, spec: ModelSpec, store: Store, progress: Progress, revision: str | None) -> Path:
    weights = spec.weights or Weights(hub=spec.source)
    source = getattr(weights, road)
    if source is None:
        raise ConfigurationError(f"{spec.name} is not available from {road}")
    if road == "hub":
        if hub.offline():
            raise ConfigurationError("HF_HUB_OFFLINE is set")
        require_answer(hub.endpoint())
        if weights.sha256 is None or revision not in (None, weights.revision):
            return hub.pull(source, revision or weights.revision)
        path = hub.pull_file(source, weights.path, weights.revision)
        verify(path, weights, store)
        return path
    if road == "modelscope":
        source = f"{MODELSCOPE}/models/{source}/resolve/master/{weights.path}"
    require_answer(source)
    download(source, store.path(spec), weights, progress)
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
            raise ConfigurationError(f"{source} is not a file, a URL or one of {', '.join(ROADS)}")
        check(path, weights, source)
        with atomic_replace(target) as temporary:
            shutil.copyfile(path, temporary)
        return target
    known = weights.sha256 or weights.md5
    if not source.startswith("https://") and not known:
        raise ConfigurationError(
            f"{spec.name} has no known digest: it is fetched over https only, not from {source}"
        )
    require_answer(source)
    download(source, target, weights, progress)
    return target


def require_answer(url: str) -> None:
    """Raise `ConfigurationError` within seconds if the host of `url` cannot be reached.

    In a thread of its own, because looking up a name knows no timeout.
    """
    scheme, host, *_ = urlsplit(url)
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            httpx.head(f"{scheme}://{host}/", timeout=_REACHABLE_WITHIN_S)
        except httpx.TransportError as error:
            answers.put(f"{host} cannot be reached: {error}")
        else:
            answers.put(None)

    threading.Thread(target=ask, daemon=True).start()
    try:
        problem = answers.get(timeout=_REACHABLE_WITHIN_S)
    except queue.Empty:
        problem = f"{host} does not answer within {_REACHABLE_WITHIN_S:.0f} s"
    if problem:
        raise ConfigurationError(problem)
