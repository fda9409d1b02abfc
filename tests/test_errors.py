"""The tree in the docstring of `errors.py` is the tree of classes."""

import importlib
import pickle
import pkgutil
import re
from collections.abc import Iterator

import rmbg_service
from rmbg_service import errors

LINE = re.compile(r"^    (?P<indent>(?:\|  )*)(?:\|- )?(?P<name>[A-Z]\w+)", re.MULTILINE)


def documented() -> Iterator[tuple[str, str]]:
    """Each class of the docstring with its parent."""
    branch: list[str] = []
    for match in LINE.finditer(errors.__doc__ or ""):
        depth = len(match["indent"]) // 3 + (match["name"] != "RmbgError")
        branch[depth:] = [match["name"]]
        yield match["name"], branch[depth - 1] if depth else "Exception"


def exceptions() -> Iterator[type[errors.RmbgError]]:
    """Every exception that a module of the package defines; a signal is none."""
    for module in pkgutil.walk_packages(rmbg_service.__path__, "rmbg_service."):
        if module.name != "rmbg_service.__main__":
            for found in vars(importlib.import_module(module.name)).values():
                is_exception = isinstance(found, type) and issubclass(found, Exception)
                if is_exception and found.__module__ == module.name:
                    assert issubclass(found, errors.RmbgError)
                    yield found


def test_every_exception_of_the_package_is_in_the_tree() -> None:
    defined = {found.__name__: found.__bases__[0].__name__ for found in exceptions()}
    assert dict(documented()) == defined


def test_every_exception_survives_a_pickle() -> None:
    for found in exceptions():
        error = found.__new__(found)
        errors.RmbgError.__init__(error, "{count} of {{}}", count=3)
        vars(error)["detail"] = "its own"
        restored = pickle.loads(pickle.dumps(error))
        assert type(restored) is found
        assert (str(restored), restored.message.values) == ("3 of {}", {"count": 3})
        assert vars(restored)["detail"] == "its own"


def test_every_type_and_title_says_which_error_it_is() -> None:
    for found in exceptions():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", found.type)
        assert found.title
        assert 400 <= found.status <= 599
