"""Model files on the Hugging Face hub and in its local cache. Imports huggingface_hub when used."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rmbg_service.errors import ConfigurationError

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read when huggingface_hub is imported

SAFE_FILES = ("config.json", "birefnet.py", "*.safetensors", "*.safetensors.index.json")
PICKLE_FILES = ("pytorch_model*.bin", "pytorch_model.bin.index.json", "*.pth")


def pull(
    repo: str, revision: str = "main", *, token: str | None = None, local_files_only: bool = False
) -> Path:
    """Fetch a repository's model files, with progress bars; the folder that holds them.

    Pickled weights are fetched only where the repository has no safetensors. What is in the cache
    is not fetched again; `local_files_only` never touches the network.
    """
    from huggingface_hub import snapshot_download

    with _clear_errors(repo, revision):
        folder = Path(
            snapshot_download(
                repo,
                revision=revision,
                token=token,
                local_files_only=local_files_only,
                allow_patterns=list(SAFE_FILES),
            )
        )
        if not any(folder.glob("*.safetensors")):
            snapshot_download(
                repo,
                revision=revision,
                token=token,
                local_files_only=local_files_only,
                allow_patterns=list(PICKLE_FILES),
            )
    return folder


def cached(repo: str, revision: str = "main") -> Path | None:
    """The folder of `repo` in the local cache when its weights are there, complete; else None.

    Downloads become visible in a snapshot only when they are whole, so that it is enough that
    every file the weights consist of exists.
    """
    from huggingface_hub import try_to_load_from_cache

    for name in ("model.safetensors", "pytorch_model.bin"):
        path = try_to_load_from_cache(repo, name, revision=revision)
        if isinstance(path, str) and Path(path).is_file():
            return Path(path).parent
        index = try_to_load_from_cache(repo, f"{name}.index.json", revision=revision)
        if isinstance(index, str) and _shards_present(Path(index)):
            return Path(index).parent
    return None


def size_on_disk_bytes(folder: Path) -> int:
    """Bytes of the files below `folder`; links into the cache count as what they point to."""
    return sum(
        (Path(root) / name).stat().st_size for root, _, names in os.walk(folder) for name in names
    )


def shards(index: Path) -> list[Path]:
    """The files a sharded checkpoint consists of, from its `*.index.json`.

    The index is data from elsewhere: it may name files beside it only.
    """
    import json

    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        if not names or any(Path(name).name != name for name in names):
            raise ValueError("it must name files in its own folder")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{index} is not a checkpoint index: {error}") from None
    return [index.parent / name for name in names]


def _shards_present(index: Path) -> bool:
    try:
        return all(path.is_file() for path in shards(index))
    except ConfigurationError:
        return False


@contextmanager
def _clear_errors(repo: str, revision: str) -> Iterator[None]:
    """Turn the hub's exceptions into one line each that says what to do."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        problem = (
            f"is gated: accept its terms at https://huggingface.co/{repo} and set HF_TOKEN to a"
            " token of that account"
        )
    except errors.RevisionNotFoundError:
        problem = f"has no revision {revision!r}"
    except errors.RepositoryNotFoundError:
        problem = "does not exist on the hub, or HF_TOKEN does not allow to see it"
    except errors.LocalEntryNotFoundError:
        problem = (
            f"at revision {revision!r} is not in the local cache, and the hub cannot be reached"
            " or must not be asked"
        )
    except errors.HFValidationError:
        problem = "is neither a folder nor the name of a hub repository"
    except (errors.HfHubHTTPError, OSError) as error:
        problem = f"could not be fetched: {str(error).splitlines()[0]}"
    else:
        return
    raise ConfigurationError(f"{repo} {problem}") from None
