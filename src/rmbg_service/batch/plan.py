"""What a batch on object stores has to do: names for its outputs, and what is finished."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from rmbg_service.batch.manifest import Done, Manifest
from rmbg_service.batch.outputs import candidates
from rmbg_service.batch.run import Result, Status
from rmbg_service.batch.stores import Store, StoredObject
from rmbg_service.errors import ConfigurationError
from rmbg_service.system.files import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Planned:
    """An object to process: where it is, and the path of its cutout in the store of the outputs."""

    source: Store
    found: StoredObject
    output: str

    @property
    def input(self) -> str:
        """The URL or path of the input."""
        return self.source.name_of(self.found.path)


class Plan:
    """What to do with the images of `inputs`: objects, folders, patterns, as URLs or local paths.

    `todo` are those without a finished output; `skipped` and `failed` are told at once. Lists the
    inputs, and the outputs only if the manifest knows any. An output is finished if the manifest
    says that it was made of this version of the input in the same way, and it is still there with
    the size that it was written with.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        out: Store,
        suffix: str,
        fingerprint: str,
        manifest: Manifest,
        *,
        force: bool,
    ) -> None:
        self.todo: list[Planned] = []
        self.skipped: list[Result] = []
        self.failed: list[Result] = []
        found = [*self._find(inputs, out)]
        done = manifest.done()
        owners = {output: row.input for output, row in done.items()}
        keys = OutputKeys(
            out, suffix, owners, {source.name_of(each.path) for source, each, _ in found}
        )
        sizes = {each.path: each.size for each in out.find()} if done and not force else {}
        for source, each, name in found:
            planned = Planned(source, each, keys.output_of(source.name_of(each.path), name))
            output = out.name_of(planned.output)
            made = Done(planned.input, each.version, fingerprint, sizes.get(planned.output, -1))
            if not force and done.get(output) == made:
                self.skipped.append(Result(planned.input, [output], Status.SKIPPED))
            else:
                self.todo.append(planned)

    def _find(
        self, inputs: Sequence[str], out: Store
    ) -> Iterator[tuple[Store, StoredObject, PurePosixPath]]:
        seen: set[str] = set()
        stores = [Store(text) for text in inputs]
        listings = [store.find() for store in stores]
        several = (
            sum(
                [each.path for each in found] != [store.root]
                for store, found in zip(stores, listings, strict=True)
            )
            > 1
        )
        for text, store, listing in zip(inputs, stores, listings, strict=True):
            if store.name_of(store.root) == out.name_of(out.root):
                raise ConfigurationError(f"{text} is an input; name another folder with -o")
            if not listing:
                self.failed.append(_failed(text, "no such object or folder"))
            for each in listing:
                name = _name(store, each, several)
                path = store.name_of(each.path)
                is_output = path.startswith(f"{out.name_of(out.root)}/")
                if path in seen or is_output or not _is_image(store, each, name):
                    continue
                seen.add(path)
                if ".." in name.parts or not _is_unicode(path):
                    self.failed.append(_failed(path, "the name cannot be used for an output"))
                else:
                    yield store, each, name


class OutputKeys:
    """Gives every object a path below `out`, by the rules of `OutputPaths`; no two share one."""

    def __init__(
        self, out: Store, suffix: str, owners: Mapping[str, str], inputs: set[str]
    ) -> None:
        self._out = out
        self._suffix = suffix
        self._owners = {output.casefold(): owner for output, owner in owners.items()}
        self._inputs = inputs
        self._taken: set[str] = set()

    def output_of(self, source: str, name: PurePosixPath) -> str:
        """The path of the cutout of `source` in the store of the outputs."""
        for candidate in candidates(name, self._suffix):
            path = self._out.below(candidate.as_posix())
            output = self._out.name_of(path)
            key = output.casefold()
            owner = self._owners.get(key, source)
            free = owner == source or (key not in self._taken and not self._exists(owner))
            if free and output not in self._inputs:
                self._owners[key] = source
                self._taken.add(key)
                return path
        raise AssertionError("the candidates never end")

    def _exists(self, owner: str) -> bool:
        return owner in self._inputs or bool(Store(owner).find())


def _failed(source: str, error: str) -> Result:
    return Result(source, (), Status.FAILED, error=error)


def _name(store: Store, found: StoredObject, several: bool) -> PurePosixPath:
    """The path below the folder it was found in; without empty parts, so that it stays below."""
    root = store.root
    if found.path == root or not found.path.startswith(f"{root}/"):  # itself, or of a pattern
        return PurePosixPath(found.path.rpartition("/")[2])
    below = found.path.removeprefix(f"{root}/")
    prefix = [root.rpartition("/")[2]] if several else []
    return PurePosixPath(*prefix, *(part for part in below.split("/") if part not in ("", ".")))


def _is_image(store: Store, found: StoredObject, name: PurePosixPath) -> bool:
    """As in a folder: by the suffix, without hidden names; what is named itself has any suffix."""
    if found.path == store.root:
        return True
    hidden = any(part.startswith(".") and part != ".." for part in name.parts)
    return not hidden and name.suffix.lower() in IMAGE_SUFFIXES


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
