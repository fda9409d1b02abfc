"""Clients of remove.bg as people have them, pointed at this service."""

import base64
import io
import json
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import removebg.removebg
import requests
from PIL import Image

from tests.fakes import FakePredictor, picture_bytes
from tests.programs import node, npm_file
from tests.server import running_server

HERE = Path(__file__).parent
SIZE = (1000, 700)
KEY = "one"
URL_OFF = "this service fetches nothing: send the file, or set RMBG_URL_FETCH=on"


def picture(file: Path | bytes) -> Image.Image:
    return Image.open(io.BytesIO(file if isinstance(file, bytes) else file.read_bytes()))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server(FakePredictor(), api_keys=KEY) as url:
        yield url


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(picture_bytes(SIZE, "JPEG"))
    return path


class TestPyPI:
    """removebg 0.04; only its module constant is replaced."""

    @pytest.fixture
    def client(
        self, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> removebg.removebg.RemoveBg:
        monkeypatch.setattr(removebg.removebg, "API_ENDPOINT", f"{server}/v1.0/removebg")
        return removebg.removebg.RemoveBg(KEY, str(tmp_path / "error.log"))

    def test_a_file(self, client: removebg.removebg.RemoveBg, photo: Path) -> None:
        client.remove_background_from_img_file(str(photo))
        image = picture(Path(f"{photo}_no_bg.png"))
        assert image.mode == "RGBA"
        assert image.width * image.height <= 250_000, "it asks for size=regular"

    def test_a_file_on_a_colour(self, client: removebg.removebg.RemoveBg, photo: Path) -> None:
        client.remove_background_from_img_file(str(photo), size="4k", bg_color="ff0000")
        image = picture(Path(f"{photo}_no_bg.png"))
        assert (image.format, image.size) == ("JPEG", SIZE)

    def test_base64(self, client: removebg.removebg.RemoveBg, photo: Path, tmp_path: Path) -> None:
        text = base64.b64encode(photo.read_bytes()).decode()
        client.remove_background_from_base64_img(text, "4k", str(tmp_path / "out.png"))
        assert picture(tmp_path / "out.png").size == SIZE

    def test_a_url_while_fetching_is_off(self, client: removebg.removebg.RemoveBg) -> None:
        with pytest.raises(requests.HTTPError) as caught:
            client.remove_background_from_img_url("https://pictures.example/a.png")
        assert caught.value.response.json()["errors"][0]["detail"] == URL_OFF


class TestNpm:
    """remove.bg 1.3.0; a hook leads its requests to the local server."""

    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        npm_file("remove.bg")

    def run(self, server: str, call: str, **options: Any) -> dict[str, Any]:
        asked = json.dumps({"call": call, "apiKey": KEY} | options)
        done = subprocess.run(
            [node(), "--require", "./redirect.cjs", "npm_client.cjs", asked],
            cwd=HERE,
            env=os.environ | {"REMOVEBG_URL": server},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def test_a_file(self, server: str, photo: Path, tmp_path: Path) -> None:
        answer = self.run(
            server,
            "removeBackgroundFromImageFile",
            path=str(photo),
            size="full",
            type="product",
            crop=True,
            crop_margin="10px",
            outputFile=str(tmp_path / "out.png"),
        )["result"]
        image = picture(tmp_path / "out.png")
        assert base64.b64decode(answer["base64img"]) == (tmp_path / "out.png").read_bytes()
        assert (answer["resultWidth"], answer["resultHeight"]) == tuple(map(str, image.size))
        assert (image.mode, image.height) == ("RGBA", SIZE[1] + 20)
        assert (answer["creditsCharged"], answer["detectedType"]) == ("0", "other")
        assert int(answer["rateLimit"]) > 0

    def test_base64(self, server: str, photo: Path) -> None:
        text = base64.b64encode(photo.read_bytes()).decode()
        answer = self.run(server, "removeBackgroundFromImageBase64", base64img=text, size="auto")
        image = picture(base64.b64decode(answer["result"]["base64img"]))
        assert image.size == SIZE

    def test_errors_reach_the_caller(self, server: str, photo: Path) -> None:
        url = "https://pictures.example/a.png"
        (error,) = self.run(server, "removeBackgroundFromImageUrl", url=url)["errors"]
        assert (error["code"], error["detail"]) == ("invalid_image_url", URL_OFF)
        call = "removeBackgroundFromImageFile"
        (error,) = self.run(server, call, path=str(photo), apiKey="two")["errors"]
        assert error["code"] == "auth_failed"


def test_the_form_of_the_ruby_client(server: str, photo: Path) -> None:
    """Faraday's multipart; zip in place of png where ImageMagick or vips is installed."""
    answer = requests.post(
        f"{server}/v1.0/removebg",
        files={"image_file": ("photo.jpg", photo.read_bytes(), "image/jpeg")},
        data={"size": "auto", "type": "auto", "format": "zip", "crop": "false"},
        headers={"X-Api-Key": KEY, "User-Agent": "remove-bg-ruby-1.5.0"},
        timeout=20,
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.namelist() == ["color.jpg", "alpha.png"]
    assert float(answer.headers["X-Credits-Charged"]) == 0
    account = requests.get(f"{server}/v1.0/account", headers={"X-Api-Key": KEY}, timeout=20)
    attributes = account.json()["data"]["attributes"]
    assert attributes["credits"].keys() == {"total", "subscription", "payg", "enterprise"}
    assert attributes["api"].keys() == {"free_calls", "sizes"}


class TestCurl:
    """The documented examples."""

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        command = ["curl", "--silent", "--show-error", "--max-time", "60", *arguments]
        return subprocess.run(command, capture_output=True, timeout=90, check=False)

    def test_a_file_to_a_file(self, server: str, photo: Path, tmp_path: Path) -> None:
        out = tmp_path / "no-bg.png"
        form = ["-F", f"image_file=@{photo}", "-F", "size=auto"]
        done = self.run(
            "-H", f"X-API-Key: {KEY}", *form, "-f", f"{server}/v1.0/removebg", "-o", str(out)
        )
        assert done.returncode == 0, done.stderr
        assert picture(out).size == SIZE

    def test_a_wrong_key_fails(self, server: str, photo: Path) -> None:
        form = ["-F", f"image_file=@{photo}", "-F", "size=auto"]
        done = self.run("-H", "X-API-Key: two", *form, "-f", f"{server}/v1.0/removebg")
        assert done.returncode == 22
        assert b"403" in done.stderr

    def test_urlencoded_json_answer(self, server: str, photo: Path, tmp_path: Path) -> None:
        text = tmp_path / "photo.b64"
        text.write_bytes(base64.b64encode(photo.read_bytes()))
        data = ["--data-urlencode", f"image_file_b64@{text}", "--data-urlencode", "size=preview"]
        accept = ["-H", "Accept: application/json", "-H", f"Authorization: Bearer {KEY}"]
        done = self.run(*accept, *data, f"{server}/v1.0/removebg")
        result = json.loads(done.stdout)["data"]
        image = picture(base64.b64decode(result["result_b64"]))
        assert image.width * image.height <= 250_000
        assert result["foreground_height"] == SIZE[1]
