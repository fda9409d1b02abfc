"""PyTorch is needed for BiRefNet only: without it the embedded model serves as ever."""

import subprocess
import sys

HIDDEN = (
    "import sys\nfor name in ('torch', 'transformers', 'safetensors'): sys.modules[name] = None\n"
)


def run(code: str) -> str:
    """What `code` prints in a process that cannot import PyTorch."""
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_embedded_model_serves() -> None:
    shown = run(
        "from starlette.testclient import TestClient\n"
        "from rmbg_service.api.app import create_app\n"
        "from rmbg_service.settings import Settings\n"
        "from tests.fakes import PATH, picture_bytes\n"
        "import threading\n"
        "app, ready = create_app(Settings()), threading.Event()\n"
        "app.state.engine.on_ready = ready.set\n"
        "with TestClient(app) as client:\n"
        "    assert ready.wait(60)\n"
        "    headers = {'content-type': 'image/png', 'accept': 'image/png'}\n"
        "    answer = client.post(PATH, content=picture_bytes(), headers=headers)\n"
        "print(answer.status_code, answer.headers['x-rmbg-model'])\n"
    )
    assert shown.split() == ["200", "u2netp"]


def test_a_birefnet_says_in_one_line_what_to_install() -> None:
    shown = run(
        "from rmbg_service.errors import ConfigurationError\n"
        "from rmbg_service.models.select import select_predictor\n"
        "from rmbg_service.settings import Settings\n"
        "try: select_predictor(Settings(model='BiRefNet'))\n"
        "except ConfigurationError as error: print(error)\n"
    )
    assert shown == (
        "BiRefNet needs PyTorch and transformers, but torch is not installed: "
        "pip install torch transformers\n"
    )
