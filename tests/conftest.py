"""No test sees the settings or the model cache of the person who runs it, nor the network."""

import atexit
import gc
import os
import shutil
import tempfile

from hypothesis import settings

for name in [name for name in os.environ if name.startswith("RMBG_")]:
    del os.environ[name]
os.environ["RMBG_ONNX_PROVIDER"] = "cpu"  # the same mattes on every CPU
# Read once, when Triton is imported: its kernels run on the CPU.
os.environ["TRITON_INTERPRET"] = "1"
_caches = tempfile.mkdtemp(prefix="rmbg-tests-")
atexit.register(shutil.rmtree, _caches, ignore_errors=True)
# Read once, when huggingface_hub is imported.
os.environ["HF_HOME"] = f"{_caches}/HF_HOME"
os.environ["HF_HUB_OFFLINE"] = "1"
for name in ("XDG_CACHE_HOME", "U2NET_HOME", "COMFYUI_PATH"):  # where weights are looked for
    os.environ[name] = f"{_caches}/{name}"
# One of several pytest-xdist workers has one core. Read once, when torch is imported.
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
    os.environ["OMP_NUM_THREADS"] = "1"

# CI tries the same examples each time: a change is judged by itself, not by luck.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

gc.disable()  # until the tests are collected, there is much to look at and nothing to free


def pytest_collection_finish() -> None:
    """Leave what pytest and the imported modules have made out of every later collection."""
    gc.collect()
    gc.freeze()
    gc.enable()
