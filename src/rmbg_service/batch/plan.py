"""What a batch on object stores has to do: names for its outputs, and what is finished."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from rmbg_service.batch.manifest import Done, Manifest
from rmbg_service.batch.names import DEFAULT_NAME, OutputNames, Variant
from rmbg_service.batch.run import Result, Status
from rmbg_service.batch.stores import Store, StoredObject
from rmbg_service.errors import ConfigurationError
from rmbg_service.system.files import IMAGE_SUFFIXES, is_unicode


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
    the size that it was written with. `name` is the template of the outputs' names.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        out: Store,
        variant: Variant,
        manifest: Manifest,
        *,
        name: str = DEFAULT_NAME,
        force: bool,
    ) -> None:
        self.todo: list[Planned] = []
        self.skipped: list[Result] = []
        self.failed: list[Result] = []
        found = [*self._find(inputs, out)]
        done = manifest.done()
        sources = {source.name_of(each.path) for source, each, _ in found}
        names = _names(out, {output: row.input for output, row in done.items()}, sources, name)
        sizes = {each.path: each.size for each in out.find()} if done and not force else {}
        for source, each, below in found:
            assigned = names.assign(
                source.name_of(each.path), below, variant.preset, variant.suffix
            )
            planned = Planned(source, each, out.below(assigned.as_posix()))
            output, size = out.name_of(planned.output), sizes.get(planned.output, -1)
            finished = Done(planned.input, each.version, variant.fingerprint, size)
            if not force and done.get(output) == finished:
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
                if ".." in name.parts or not is_unicode(path):
                    self.failed.append(_failed(path, "the name cannot be used for an output"))
                else:
                    yield store, each, name


def _names(
    out: Store, owners: Mapping[str, str], sources: Collection[str], template: str
) -> OutputNames:
    """The names below `out`; `owners` has the inputs of earlier outputs, by their full names."""
    root = f"{out.name_of(out.root)}/"
    names = {output.removeprefix(root): owner for output, owner in owners.items()}
    folders = {parent for name in names for parent in PurePosixPath(name).parents}
    return OutputNames(
        template,
        names,
        exists=lambda owner: owner in sources or bool(Store(owner).find()),
        is_blocked=lambda name: (
            name in folders or out.name_of(out.below(name.as_posix())) in sources
        ),
        is_file=lambda name: name.as_posix() in names,
    )


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
