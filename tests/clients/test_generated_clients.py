"""Clients that people generate from openapi.yaml, used against this service."""

import base64
import importlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.fakes import FakePredictor, picture_bytes
from tests.programs import NODE_MODULES, node, npm_file, python_client_generator
from tests.server import running_server

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "openapi.yaml"
PNG = picture_bytes((64, 48))
B64 = base64.b64encode(PNG).decode()
PACKAGE = "removal_client"
REMBG_WARNINGS = {
    f"WARNING parsing {method} /api/remove within rembg." for method in ("GET", "POST")
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server(FakePredictor()) as url:
        yield url


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def picture(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """Imports a module of the client that openapi-python-client makes."""
    folder = tmp_path_factory.mktemp("python")
    said = run(
        python_client_generator(), "generate", "--meta", "none",
        "--path", str(DOCUMENT), "--output-path", str(folder / PACKAGE),
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # it wants ruff
    )  # fmt: skip
    # It knows no response that is only an image, as rembg's are.
    assert set(re.findall(r"^WARNING.*", said, re.MULTILINE)) <= REMBG_WARNINGS
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield lambda name: importlib.import_module(f"{PACKAGE}.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


class TestPython:
    """openapi-python-client."""

    @pytest.fixture
    def remove(self, generated: Callable[[str], Any], server: str) -> Iterator[Callable[..., Any]]:
        with generated("client").Client(base_url=server) as client:
            yield partial(generated("api.removal.remove_background").sync, client=client)

    @pytest.fixture
    def models(self, generated: Callable[[str], Any]) -> Any:
        return generated("models")

    @pytest.fixture
    def file(self, generated: Callable[[str], Any]) -> Any:
        return generated("types").File(io.BytesIO(PNG), "photo.png", "image/png")

    def test_json(self, remove: Callable[..., Any], models: Any) -> None:
        body = models.JsonRemovalRequest(image=B64, format_=models.RemovalFormat.JPG)
        result = remove(body=body)
        assert (result.format_, picture(result.image).format) == ("jpeg", "JPEG")

    def test_multipart(self, remove: Callable[..., Any], models: Any, file: Any) -> None:
        body = models.FormRemovalRequest(image=file, crop=True, margin="2px", quality=80)
        image = picture(remove(body=body).image)
        assert (image.mode, image.height) == ("RGBA", 52)

    def test_raw_body(self, remove: Callable[..., Any], models: Any, file: Any) -> None:
        result = remove(body=file, format_=models.RemovalFormat.WEBP, max_side=32)
        image = picture(result.image)
        assert (image.format, image.size) == ("WEBP", (32, 24))

    def test_an_error_is_a_problem(self, remove: Callable[..., Any], models: Any) -> None:
        problem = remove(body=models.JsonRemovalRequest(image=B64, margin="5px"))
        assert isinstance(problem, models.Problem)
        assert problem.detail == "margin needs crop=true"


def test_typescript(server: str, tmp_path: Path) -> None:
    """openapi-typescript and openapi-fetch."""
    generator = npm_file("openapi-typescript/bin/cli.js")
    run(node(), str(generator), str(DOCUMENT), "--output", str(tmp_path / "schema.d.ts"))
    (tmp_path / "node_modules").symlink_to(NODE_MODULES, target_is_directory=True)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    source = tmp_path / "client.ts"
    source.write_bytes((HERE / "generated_client.ts").read_bytes())
    run(node(), str(npm_file("typescript/bin/tsc")), "--strict", "--target", "es2022",
        "--module", "nodenext", "--lib", "es2022,dom,dom.iterable",
        str(source))  # fmt: skip
    result = json.loads(run(node(), str(tmp_path / "client.js"), server, B64))
    assert picture(result["json"]["image"]).format == "JPEG"
    assert picture(result["multipart"]["image"]).format == "JPEG"
    raw = picture(result["raw"]["image"])
    assert (raw.format, raw.size) == ("WEBP", (32, 24))
    assert picture(result["picture"]).mode == "RGBA"
    assert result["problem"]["detail"] == "margin needs crop=true"
