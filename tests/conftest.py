"""No test sees the settings or the model cache of the person who runs it, nor the network."""

import os
import tempfile

from hypothesis import settings

for name in [name for name in os.environ if name.startswith("RMBG_")]:
    del os.environ[name]
# Read once, when Triton is imported: its kernels run on the CPU.
os.environ["TRITON_INTERPRET"] = "1"
# Read once, when huggingface_hub is imported.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="rmbg-tests-")
os.environ["HF_HUB_OFFLINE"] = "1"
for name in ("XDG_CACHE_HOME", "U2NET_HOME", "COMFYUI_PATH"):  # where weights are looked for
    os.environ[name] = tempfile.mkdtemp(prefix="rmbg-tests-")

# CI tries the same examples each time: a change is judged by itself, not by luck.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
