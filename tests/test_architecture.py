"""The shape of the source: what `lint-imports` cannot say about modules and their tests."""

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

# A module has a test module of its own, or is tested through the front of its package.
FRONTS = {
    ".": "removal/test_remove.py",
    "api": "api/test_gate.py",
    "api/body": "api/body/test_bodies.py",
    "api/native": "api/native/test_routes.py",
    "api/rembg": "api/rembg/test_routes.py",
    "api/removebg": "api/removebg/test_routes.py",
    "batch": "batch/test_run.py",
    "batch/removers": "batch/removers/test_remote.py",
    "cli": "cli/test_evaluate.py",
    "client": "client/test_client.py",
    "cluster": "cluster/test_removal.py",
    "diagnostics": "diagnostics/test_doctor.py",
    "evaluation": "evaluation/test_run.py",
    "evaluation/report": "evaluation/report/test_html.py",
    "evaluation/scenes": "evaluation/test_scenes.py",
    "imaging": "imaging/test_decode.py",
    "imaging/formats": "imaging/test_probe.py",
    "matting": "matting/test_upsampling.py",
    "models": "models/test_onnx.py",
    "models/birefnet": "models/birefnet/test_parity.py",
    "removal": "removal/test_remove.py",
    "serving": "serving/test_engine.py",
    "serving/codec": "serving/codec/test_process.py",
    "shadows": "shadows/test_cast.py",
    "url_fetch": "url_fetch/test_fetcher.py",
    "video": "video/test_convert.py",
}
TESTS_OF_NO_PACKAGE = {"clients", "faults", "fuzz", "hostile", "prometheus", "web/browser"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("rmbg_service", cache_dir=None)


def test_no_modules_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    imports = {each: graph.find_modules_directly_imported_by(each) for each in graph.modules}
    TopologicalSorter(imports).prepare()  # a circle raises CycleError, which names it


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_can_be_read_in_one_sitting(module: Path) -> None:
    lines = len((SOURCE / module).read_text("utf-8").splitlines())
    assert lines <= MAX_LINES or module.as_posix().startswith(NEURAL_NETWORKS)


def has_own_tests(module: Path) -> bool:
    return (TESTS / module.with_name(f"test_{module.name}")).is_file()


def test_tests_mirror_the_source() -> None:
    without = {module for module in MODULES if not has_own_tests(module)}
    assert {module.parent.as_posix() for module in without} <= FRONTS.keys()
    for front in FRONTS.values():
        assert (TESTS / front).is_file()


def test_test_modules_are_where_their_source_is() -> None:
    packages = {path.parent.relative_to(SOURCE) for path in SOURCE.rglob("__init__.py")}
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    assert {folder.as_posix() for folder in folders - packages} <= TESTS_OF_NO_PACKAGE


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
