import subprocess
import sys


def test_the_app_starts_without_torch() -> None:
    code = (
        "import sys, rmbg_service.api.app; "
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
