"""Model files on the Hugging Face hub and in its local cache. Imports huggingface_hub when used."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rmbg_service.errors import ConfigurationError
from rmbg_service.models.files import weight_files
from rmbg_service.models.predictor import first_line
from rmbg_service.system.files import is_file

HUB = "https://huggingface.co"


def endpoint() -> str:
    """The hub, or the mirror of it that `HF_ENDPOINT` names."""
    return os.environ.get("HF_ENDPOINT", HUB).rstrip("/")


def offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids asking the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


# Both are read when huggingface_hub is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
if endpoint() != HUB:
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # mirrors cannot serve the hub's xet storage

SAFE_FILES = ("config.json", "birefnet.py", "*.safetensors", "*.safetensors.index.json")
PICKLE_FILES = ("pytorch_model*.bin", "pytorch_model.bin.index.json", "*.pth")


def pull(
    repo: str, revision: str = "main", *, token: str | None = None, local_files_only: bool = False
) -> Path:
    """Fetch a repository's model files, with progress bars; the folder that holds them.

    Pickled weights are fetched only if the repository has no safetensors. What is in the cache is
    not fetched again; `local_files_only` never touches the network. Raises `ConfigurationError`.
    """
    from huggingface_hub import snapshot_download

    def fetch(patterns: Sequence[str]) -> Path:
        folder = snapshot_download(
            repo,
            revision=revision,
            token=token,
            local_files_only=local_files_only,
            allow_patterns=list(patterns),
        )
        return Path(folder)

    with _clear_errors(repo, revision):
        folder = fetch(SAFE_FILES)
        return folder if any(folder.glob("*.safetensors")) else fetch(PICKLE_FILES)


def pull_file(repo: str, filename: str, revision: str) -> Path:
    """Fetch one file, which needs less of a mirror than a whole repository; its path."""
    from huggingface_hub import hf_hub_download

    with _clear_errors(repo, revision):
        return Path(hf_hub_download(repo, filename, revision=revision))


def cached(repo: str, revision: str = "main") -> Path | None:
    """The folder of `repo` in the local cache when its weights are there, complete; else None.

    Downloads become visible in a snapshot only when they are whole, so that it is enough that
    every file the weights consist of exists.
    """
    try:
        folder = _snapshot(repo, revision)
        return folder if all(is_file(path) for path in weight_files(folder)) else None
    except (ConfigurationError, OSError):
        return None


def _snapshot(repo: str, revision: str) -> Path:
    """Where the cache has this revision, if it has it: a branch or tag is a file with a commit."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    cache = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="model")
    reference = cache / "refs" / revision
    commit = reference.read_text().strip() if is_file(reference) else revision
    return cache / "snapshots" / commit


@contextmanager
def _clear_errors(repo: str, revision: str) -> Iterator[None]:
    """Turn the hub's exceptions into one line each that says what to do."""
    from huggingface_hub import errors

    # A lost connection is an error of the HTTP library, which differs between releases.
    failures: tuple[type[Exception], ...] = tuple(
        base for base in (*errors.HfHubHTTPError.__bases__, OSError) if issubclass(base, Exception)
    )
    try:
        yield
    except errors.GatedRepoError:
        problem = f"is gated: {_way_through_the_gate(repo)}"
    except errors.RevisionNotFoundError:
        problem = f"has no revision {revision!r}"
    except errors.RepositoryNotFoundError:
        problem = "does not exist on the hub, or HF_TOKEN has no access to it"
    except errors.LocalEntryNotFoundError:
        problem = (
            f"at revision {revision!r} is not in the local cache, and the hub cannot be reached"
            " or HF_HUB_OFFLINE is set"
        )
    except errors.HFValidationError:
        problem = "is neither a folder nor the name of a hub repository"
    except failures as error:
        problem = f"could not be fetched: {first_line(error)}"
    else:
        return
    raise ConfigurationError(f"{repo} {problem}") from None


def _way_through_the_gate(repo: str) -> str:
    from huggingface_hub import get_token

    accept = f"accept its terms at {HUB}/{repo}"
    if get_token() is None:
        return f"{accept} and set HF_TOKEN to a token of that account"
    return (
        f"{accept} with the account of HF_TOKEN, and check that the token may read public gated"
        " repositories"
    )
