"""Every text that a client of the native API can see has a translation, with the same fields."""

import ast
import builtins
import pickle
import re
import string
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import pytest

import rmbg_service
from rmbg_service.errors import InvalidImage, Overloaded, RmbgError
from rmbg_service.messages import Message, catalogue
from rmbg_service.validation import TEMPLATES
from tests.chinese import flaws
from tests.test_errors import exceptions

PACKAGE = Path(rmbg_service.__file__).parent
CHINESE = catalogue("zh-CN")

# What is said here never answers a request to the native API.
ENGLISH_PATHS = (
    "batch/", "cli/", "client/", "cluster/", "diagnostics/", "evaluation/", "mcp/", "video/",
    "api/rembg/", "api/removebg/", "models/download.py",
)  # fmt: skip
ENGLISH_ERRORS = {
    "Abandoned", "Cancelled", "ClientGone", "RunStopped",  # nobody waits for the answer
    "ConfigurationError", "NoSpace",  # for the operator, before the service is ready
    "FetchRefused", "FetchFailed",  # the native API fetches no URLs
    "PathRefused", "RemoveBgError", "RemoverFailed", "ServiceError", "ServiceUnavailable",
    "VideoError",
}  # fmt: skip
ERRORS = {
    found.__name__: found
    for found in exceptions()
    if issubclass(found, RmbgError) and found.__name__ not in ENGLISH_ERRORS
}
TEXTS = ERRORS.keys() | {"Message", "HTTPException"}
FUNCTIONS = {
    node.name
    for path in PACKAGE.rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(node, ast.FunctionDef)
}
OTHERS = ENGLISH_ERRORS | FUNCTIONS | set(vars(builtins))

# A text that is not written where it is used, and where it is.
ELSEWHERE = {
    "template": "errors.py",  # what a raise has written
    "joined(reasons)": "api/native/request.py",  # of several messages
    "TEMPLATES[item['type']]": "validation.py",
    "str(raised)": "validation.py",  # of a setting
    "item['msg'].replace('Input should be', 'must be', 1)": "validation.py",  # likewise
    "title": "api/native/problems.py",
    "error.detail": "api/native/problems.py",  # the router's own
}


class Written(NamedTuple):
    """A text in the source: where it is, its template, and the names of its values."""

    where: str
    template: str
    values: frozenset[str]


def sources() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(ENGLISH_PATHS):
            yield name, ast.parse(path.read_text("utf-8"))


def calls_with_texts(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls that make a text: of a known class, of an error's, or of whatever is raised."""
    raised = {id(node.exc) for node in ast.walk(tree) if isinstance(node, ast.Raise)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ast.unparse(node.func)))
            others = id(node) in raised and name not in OTHERS
            if name in TEXTS or name == "type(error)" or others:
                yield node


def written() -> Iterator[Written]:
    for name, tree in sources():
        for call in calls_with_texts(tree):
            where = f"{name}:{call.lineno}"
            texts = call.args[1:] if ast.unparse(call.func) == "HTTPException" else call.args[:1]
            for text in texts:
                if ELSEWHERE.get(ast.unparse(text)) == name:
                    continue
                assert isinstance(text, ast.Constant), f"{where}: a template, not {ast.dump(text)}"
                names = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
                if any(keyword.arg is None for keyword in call.keywords):
                    assert "**box._asdict()" in ast.unparse(call)
                    names |= {"left", "top", "right", "bottom"}
                yield Written(where, str(text.value), frozenset(names))


WRITTEN = list(written())
ALL_TEMPLATES = {
    *(text.template for text in WRITTEN),
    *(found.title for found in ERRORS.values()),
    *TEMPLATES.values(),
    HTTPStatus.NOT_FOUND.phrase,
    HTTPStatus.METHOD_NOT_ALLOWED.phrase,
}


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_the_source_has_texts() -> None:
    assert len(ALL_TEMPLATES) > 150
    assert {text.where.split("/")[0] for text in WRITTEN} >= {
        "api",
        "imaging",
        "removal",
        "serving",
    }


@pytest.mark.parametrize("text", WRITTEN, ids=lambda text: text.where)
def test_a_text_has_the_values_of_its_fields(text: Written) -> None:
    assert text.values == fields(text.template)


def test_every_text_is_translated_and_no_other() -> None:
    assert CHINESE.keys() == ALL_TEMPLATES


@pytest.mark.parametrize("template", sorted(CHINESE))
def test_a_translation_has_the_same_fields_and_is_punctuated_as_chinese_is(template: str) -> None:
    chinese = CHINESE[template]
    assert fields(chinese) == fields(template)
    plain = re.sub(r"\{(what|kind)\}", "字", chinese)  # filled in with a Chinese word
    plain = re.sub(r"\{[^}]*\}", "0", plain)
    assert re.search(r"[\u4e00-\u9fff，；：]", plain), "nothing of it is Chinese"
    assert flaws(plain) == []
    assert not plain.endswith(("。", "."))


@pytest.mark.parametrize("name", ["removal/options.py", "removal/option_values.py"])
def test_a_wrong_option_is_told_by_an_error_that_can_be_translated(name: str) -> None:
    assert "raise ValueError" not in (PACKAGE / name).read_text("utf-8")


def test_messages_in_a_message_are_translated_with_it() -> None:
    message = Message(
        "the {what}: {problem}", what=Message("matte"), problem=Message("the image is empty")
    )
    assert str(message) == message.text("en") == "the matte: the image is empty"
    assert message.text("zh-CN") == "蒙版：图片为空"


def test_a_text_without_values_or_translation_stays_as_it_is() -> None:
    message = Message("{braces} of a library")
    assert message.text("zh-CN") == str(message) == "{braces} of a library"


def test_an_error_keeps_its_message_where_it_is_copied() -> None:
    error = InvalidImage("the {format} file has {braces}", format="gif", braces="{}")
    assert str(error) == "the gif file has {}"
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.message.values) == (str(error), error.message.values)


def test_an_error_has_its_values_beside_its_own() -> None:
    error = Overloaded("{jobs} jobs are in flight, as many as allowed", 7, "jobs", jobs=16)
    assert (str(error), error.retry_after_s) == ("16 jobs are in flight, as many as allowed", 7)
