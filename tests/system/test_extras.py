import re
import tomllib
from pathlib import Path

from rmbg_service.system.extras import missing_extra

ROOT = Path(__file__).parents[2]


def test_every_extra_that_an_error_names_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    sources = (path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    named = {name for text in sources for name in re.findall(r'missing_extra\("(\w+)"', text)}
    assert named == {"cloud", "mcp", "ray", "video"}
    assert named <= project["optional-dependencies"].keys()
    assert "-e '.[cloud]'" in str(missing_extra("cloud", "an object store"))
