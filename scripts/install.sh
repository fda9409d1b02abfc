#!/bin/sh
# Install this package into a virtual environment: scripts/install.sh PYTHON [EXTRA]
#
# PyPI's PyTorch for Linux brings 2.5 GB of CUDA libraries. Without an NVIDIA GPU this script takes
# the CPU build from PyTorch's own index, and PyPI's build if that index does not answer in seconds.
# TORCH_INDEX names another index, for example https://download.pytorch.org/whl/rocm6.4.
set -eu
python=$1
package=.${2:+[$2]}

has_nvidia_gpu() {
    [ -e /proc/driver/nvidia/version ] || nvidia-smi -L >/dev/null 2>&1
}

answers() {
    timeout 5 "$python" -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=3)' \
        "$1/torch/" >/dev/null 2>&1
}

pip_install() {
    "$python" -m pip install --quiet --constraint constraints.txt "$@"
}

index=${TORCH_INDEX:-}
if [ -z "$index" ] && [ "$(uname -s)" = Linux ] && ! has_nvidia_gpu; then
    index=https://download.pytorch.org/whl/cpu
fi
if [ -n "$index" ]; then
    if answers "$index"; then
        echo "Installing PyTorch from $index."
        pip_install --no-deps --index-url "$index" torch ||
            echo "PyTorch could not be installed from $index: taking the default build." >&2
    else
        echo "$index does not answer: taking the default build of PyTorch." >&2
    fi
fi
echo "Installing the package and its dependencies: a few minutes."
pip_install --editable "$package"
