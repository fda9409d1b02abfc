import signal
import subprocess
import sys

import pytest

import rmbg_service


def imported(code: str, *libraries: str) -> str:
    """Which of the libraries are loaded after `code`."""
    code = f"import sys\n{code}\nprint([m for m in {libraries} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_app_starts_without_torch() -> None:
    assert imported("import rmbg_service.api.app", "torch", "transformers") == "[]"


def test_a_client_needs_no_image_library() -> None:
    assert imported("import rmbg_service.client", "cv2", "PIL", "onnxruntime") == "[]"


def test_what_the_package_exports_is_there() -> None:
    for name in rmbg_service.__all__:
        assert hasattr(rmbg_service, name)
    assert not hasattr(rmbg_service, "remove_backgrounds")


INTERRUPTED_IMPORT = """
import os, signal, sys
from rmbg_service.__main__ import main

class Interrupt:
    def find_spec(self, name, *_):
        if name == "rmbg_service.cli":
            os.kill(os.getpid(), signal.SIGINT)
            sys.exit("goes on")

signal.signal(signal.SIGINT, {handler})
sys.meta_path.insert(0, Interrupt())
main()
"""


@pytest.mark.parametrize(
    ("handler", "status", "says"),
    [("signal.default_int_handler", -signal.SIGINT, ""), ("signal.SIG_IGN", 1, "goes on\n")],
)
def test_ctrl_c_while_modules_are_imported_ends_quietly(
    handler: str, status: int, says: str
) -> None:
    code = INTERRUPTED_IMPORT.replace("{handler}", handler)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, says)
