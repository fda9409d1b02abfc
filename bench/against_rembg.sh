#!/usr/bin/env bash
# Load this service and a rembg server with the same u2netp weights, one after the other in one run.
#   python3 -m venv .rembg && .rembg/bin/pip install 'rembg[cpu,cli]'
#   bench/against_rembg.sh .rembg/bin/rembg ["12mp 1mp"]
set -euo pipefail
cd "$(dirname "$0")/.."
rembg=${1:?path of the rembg command}
python=.venv/bin/python
trap 'kill $(jobs -p) 2>/dev/null' EXIT

until_it_answers() { until curl --silent --fail --output /dev/null "$1"; do sleep 0.2; done; }

url=http://127.0.0.1:7861/api/remove-bg
serve() { # PROVIDER
  RMBG_ONNX_PROVIDER=$1 RMBG_MODEL=u2netp RMBG_PORT=7861 RMBG_LOG_LEVEL=error $python -m rmbg_service serve > /dev/null &
  ours=$!
  until_it_answers http://127.0.0.1:7861/readyz
}

for size in ${2:-12mp 1mp}; do
  serve auto
  # What rembg does: no refinement, the picture's own colours. Then all that we do by default.
  $python bench/load.py "$url?detail=off&decontaminate=false" --pid $ours --size $size --leavers 12
  $python bench/load.py $url --pid $ours --size $size --clients 1,8
  kill $ours && wait $ours

  # Where `auto` is OpenVINO: the same without it.
  serve cpu
  $python bench/load.py $url --pid $ours --size $size --clients 1,8
  kill $ours && wait $ours

  U2NET_HOME=$PWD/src/rmbg_service/models/weights MODEL_CHECKSUM_DISABLED=1 \
    "$rembg" s --host 127.0.0.1 --port 7862 > /dev/null 2>&1 &
  theirs=$!
  until_it_answers http://127.0.0.1:7862/api
  $python bench/load.py http://127.0.0.1:7862/api/remove --field file --data model=u2netp \
    --pid $theirs --size $size --requests 8 --per-client 1 --leavers 12
  kill $theirs
  wait $theirs || true
done
