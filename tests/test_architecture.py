"""The shape of the source: what `lint-imports` cannot say about modules and their tests."""

import ast
import re
import runpy
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "rmbg_service"
TESTS = ROOT / "tests"
MODULES = sorted(
    path.relative_to(SOURCE)
    for path in SOURCE.rglob("*.py")
    if path.name not in ("__init__.py", "__main__.py")
)

MAX_LINES = 300
NEURAL_NETWORKS = "models/birefnet/"
MIN_LINES = 30

# Modules without a test module of their own, and the one that tests them. What is only reached
# through the front of its package is tested there; a module of declarations has nothing to test.
TESTED_THROUGH = {
    "api/app.py": "api/test_gate.py",
    "api/native/*": "api/native/test_routes.py",
    "api/negotiation.py": "api/native/test_routes.py",
    "api/record.py": "api/test_execution.py",
    "api/removebg/*": "api/removebg/test_routes.py",
    "api/streaming.py": "api/test_gate.py",
    "batch/removers/remover.py": "batch/removers/test_remote.py",
    "batch/stop.py": "cli/test_remove.py",
    "cli/candidates.py": "cli/test_evaluate.py",
    "cli/figures.py": "cli/test_evaluate.py",
    "cli/openapi.py": "api/test_openapi.py",
    "cli/words.py": "cli/test_evaluate.py",
    "errors.py": "api/native/test_routes.py",
    "evaluation/records.py": "evaluation/test_run.py",
    "evaluation/report/*": "evaluation/report/test_html.py",
    "evaluation/result.py": "evaluation/test_run.py",
    "evaluation/scenes/*": "evaluation/test_scenes.py",
    "models/birefnet/*": "models/birefnet/test_parity.py",
    "models/predictor.py": "models/test_onnx.py",
    "serving/*": "serving/test_engine.py",
    "types.py": "removal/test_remove.py",
    "video/*": "video/test_convert.py",
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("rmbg_service")


def dotted(module: Path) -> str:
    return ".".join(("rmbg_service", *module.with_suffix("").parts))


def test_no_modules_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    imports = {each: graph.find_modules_directly_imported_by(each) for each in graph.modules}
    TopologicalSorter(imports).prepare()  # a circle raises CycleError, which names it


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_can_be_read_in_one_sitting(module: Path) -> None:
    lines = len((SOURCE / module).read_text("utf-8").splitlines())
    assert lines <= MAX_LINES or module.as_posix().startswith(NEURAL_NETWORKS)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_is_more_than_one_small_function_used_once(
    graph: grimp.ImportGraph, module: Path
) -> None:
    text = (SOURCE / module).read_text("utf-8")
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    small = len(text.splitlines()) < MIN_LINES and len(functions) == 1
    if small and module.parts[0] != "cli":  # each command has a module of its own
        assert len(graph.find_modules_that_directly_import(dotted(module))) > 1


def home_of_tests(module: Path) -> Path:
    """The test module of a source module."""
    own = module.with_name(f"test_{module.name}")
    if (TESTS / own).exists():
        return own
    (through,) = {through for glob, through in TESTED_THROUGH.items() if module.match(glob)} or {""}
    return Path(through) if through else own


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_tests_mirror_the_source(module: Path) -> None:
    assert (TESTS / home_of_tests(module)).is_file(), (
        f"{module} needs tests/{home_of_tests(module)}"
    )


def test_no_exception_outlives_its_reason() -> None:
    without = [m for m in MODULES if not (TESTS / m.with_name(f"test_{m.name}")).exists()]
    for glob in TESTED_THROUGH:
        assert any(module.match(glob) for module in without), glob


def test_the_picture_is_what_the_imports_draw() -> None:
    draw = runpy.run_path(str(ROOT / "docs" / "architecture_picture.py"))["draw"]
    picture = (ROOT / "docs" / "architecture.svg").read_text("utf-8")
    assert picture == draw(), "run `make picture`"


def test_the_page_names_files_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    files = set(re.findall(r"\b(?:[\w*]+/)*\w+\.py\b|\b(?:\w+/)+(?=[`\s,])", page))
    assert len(files) > 20
    for name in files - {"docs/", "api/*/"}:
        assert any(SOURCE.glob(name)), name
