"""The tools, through the SDK's own client. The fake keeps the left half."""

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent
from PIL import Image

from rmbg_service.batch.removers.local import local_remover
from rmbg_service.errors import ConfigurationError, InferenceError
from rmbg_service.mcp.folders import Folders
from rmbg_service.mcp.server import cutout_server
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.settings import Settings
from rmbg_service.types import Matte, ModelInput
from rmbg_service.url_fetch import Fetcher, FetchRefused
from tests.fakes import FakeFetcher, FakePredictor, picture_bytes

URL = "https://pictures.example/a.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "photo.png").write_bytes(picture_bytes())
    return folder


@asynccontextmanager
async def connected(
    folder: Path, predictor: FakePredictor | None = None, fetcher: Fetcher | None = None
) -> AsyncIterator[Client]:
    predictor = predictor or FakePredictor()
    async with local_remover(
        Settings(), predictor, RemovalOptions(), {}, asyncio.Event()
    ) as remover:
        server = cutout_server(remover, Folders([folder]), fetcher)
        async with Client(server, raise_exceptions=True) as client:
            yield client


async def call(client: Client, **arguments: Any) -> dict[str, Any]:
    """What `remove_background` says of the file it has written."""
    result = await client.call_tool(
        "remove_background", {"source": "photo.png", "destination": "cutout.png"} | arguments
    )
    assert not result.is_error, text(result)
    assert result.structured_content is not None
    return dict(result.structured_content)


async def refusal(client: Client, **arguments: Any) -> str:
    """What `remove_background` says against these arguments."""
    result = await client.call_tool(
        "remove_background", {"source": "photo.png", "destination": "cutout.png"} | arguments
    )
    assert result.is_error
    return text(result)


def picture(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def text(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def test_a_file_becomes_a_file(folder: Path) -> None:
    async with connected(folder) as client:
        said = await call(client)
    assert said["path"] == str(folder / "cutout.png")
    assert (said["format"], said["width"], said["height"]) == ("png", 64, 48)
    assert (said["found"], said["model"]) == (True, "fake")
    assert said["box"] == {"left": 0, "top": 0, "width": 32, "height": 48}
    image = picture(folder / "cutout.png")
    assert (image.mode, image.getpixel((60, 20))) == ("RGBA", (0, 0, 0, 0))


async def test_the_box_is_where_the_subject_is(folder: Path) -> None:
    class OffCentre(FakePredictor):
        def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
            matte = np.zeros(self.input_size, np.float32)
            matte[8:24, 136:408] = 1.0  # the middle half of each side
            return [matte for _ in batch]

    (folder / "photo.png").write_bytes(picture_bytes((80, 40)))
    async with connected(folder, OffCentre()) as client:
        box = (await call(client, detail="off"))["box"]
    assert box == {
        "left": pytest.approx(20, abs=2),
        "top": pytest.approx(10, abs=2),
        "width": pytest.approx(40, abs=4),
        "height": pytest.approx(20, abs=4),
    }


async def test_of_two_calls_for_one_destination_the_second_is_refused(folder: Path) -> None:
    predictor = FakePredictor(gated=True)
    async with connected(folder, predictor) as client:
        calls = [
            asyncio.create_task(
                client.call_tool(
                    "remove_background", {"source": "photo.png", "destination": "cutout.png"}
                )
            )
            for _ in range(2)
        ]
        await predictor.wait_until_entered()
        predictor.gate.set()
        results = await asyncio.gather(*calls)
    (refused,) = [result for result in results if result.is_error]
    assert "exists; name another file" in text(refused)


async def test_the_suffix_is_the_format_and_options_are_those_of_the_api(folder: Path) -> None:
    async with connected(folder) as client:
        said = await call(client, destination="new/a.jpg", background="red", max_side=32)
        assert (said["format"], said["width"]) == ("jpeg", 32)
        red, green, _ = picture(folder / "new" / "a.jpg").getpixel((30, 10))  # type: ignore[misc]
        assert red > 240 > 20 > green
        cropped = await call(client, destination="b.webp", crop=True, margin="5px")
        assert cropped["height"] == 58
        await call(client, destination="matte.png", output="matte")
        assert picture(folder / "matte.png").mode == "L"


async def test_a_url_is_fetched_only_if_that_is_allowed(folder: Path) -> None:
    fetcher = FakeFetcher({URL: picture_bytes((32, 24)), URL + "?b": FetchRefused("not public")})
    async with connected(folder, fetcher=fetcher) as client:
        assert (await call(client, source=URL))["width"] == 32
        assert "not public" in await refusal(client, source=f"{URL}?b", destination="b.png")
    async with connected(folder) as client:
        assert "RMBG_URL_FETCH=on" in await refusal(client, source=URL, destination="b.png")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"source": "/etc/hostname"}, "/etc/hostname is outside the folders that may be used"),
        ({"destination": "../a.png"}, "../a.png is outside the folders that may be used"),
        ({"source": "none.png"}, "none.png: No such file or directory"),
        ({"source": "."}, "not a regular file"),
        ({"destination": "photo.png"}, "photo.png exists; name another file or set overwrite"),
        ({"destination": "a.txt"}, "an output file ends in one of .avif"),
        ({"margin": "5px"}, "margin needs crop=true"),
        ({"background": "no colour"}, "background: expected a CSS colour"),
        ({"max_side": 0}, "max_side: must be greater than or equal to 1"),
        ({"output": "hat"}, "'cutout' or 'matte'"),
    ],
)
async def test_what_is_refused_is_said_in_one_line(
    folder: Path, arguments: dict[str, Any], says: str
) -> None:
    async with connected(folder) as client:
        assert says in await refusal(client, **arguments)
    assert os.listdir(folder) == ["photo.png"]  # noqa: PTH208


async def test_an_existing_file_is_replaced_if_that_is_asked_for(folder: Path) -> None:
    async with connected(folder) as client:
        await call(client, destination="photo.png", overwrite=True)
    assert picture(folder / "photo.png").mode == "RGBA"


async def test_a_model_that_fails_leaves_no_file(folder: Path) -> None:
    predictor = FakePredictor([InferenceError("the model failed on this image")])
    async with connected(folder, predictor) as client:
        assert "the model failed on this image" in await refusal(client)
        assert not (folder / "cutout.png").exists()
        assert (await call(client))["found"]


async def test_a_model_that_does_not_load_is_an_answer(folder: Path) -> None:
    class Broken(FakePredictor):
        def load(self) -> None:
            raise ConfigurationError("no weights")

    async with connected(folder, Broken()) as client:
        assert "no weights" in await refusal(client)


async def test_images_are_listed(folder: Path) -> None:
    (folder / "notes.txt").touch()
    async with connected(folder) as client:
        result = await client.call_tool("list_images", {})
    assert result.structured_content == {"result": [str(folder / "photo.png")]}


async def test_the_tools_say_where_files_may_be_and_what_they_do(folder: Path) -> None:
    async with connected(folder) as client:
        removal, listing = (await client.list_tools()).tools
    assert removal.name == "remove_background"
    properties = removal.input_schema["properties"]
    assert str(folder) in properties["source"]["description"]
    assert "URL" not in properties["source"]["description"]
    assert removal.input_schema["required"] == ["source", "destination"]
    assert all(schema.get("description") for schema in properties.values())
    assert removal.annotations is not None
    assert removal.annotations.open_world_hint is False
    assert listing.annotations is not None
    assert listing.annotations.read_only_hint


async def test_the_command_serves_over_stdio_with_the_embedded_model(folder: Path) -> None:
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "rmbg_service", "mcp", str(folder)],
        env={**os.environ, "RMBG_MODEL": "u2netp"},
    )
    async with Client(command) as client:
        said = await call(client)
    assert said["model"] == "u2netp"
    assert picture(folder / "cutout.png").size == (64, 48)
