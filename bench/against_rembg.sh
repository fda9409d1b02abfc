#!/usr/bin/env bash
# Load this service and a rembg server with the same u2netp weights, one after the other in one run.
#   python3 -m venv /tmp/rembg && /tmp/rembg/bin/pip install 'rembg[cpu,cli]'
#   bench/against_rembg.sh /tmp/rembg/bin/rembg
set -euo pipefail
cd "$(dirname "$0")/.."
rembg=${1:?path of the rembg command}
python=.venv/bin/python
weights=$PWD/src/rmbg_service/models/weights
trap 'kill $(jobs -p) 2>/dev/null' EXIT

until_it_answers() { until curl --silent --fail --output /dev/null "$1"; do sleep 0.2; done; }

for size in 12mp 1mp; do
  requests=$([ $size = 12mp ] && echo 24 || echo 96)
  # Patience for 32 clients on a slow machine; what is measured is the work, not the refusals for time.
  RMBG_MODEL=u2netp RMBG_PORT=7861 RMBG_LOG_LEVEL=error RMBG_REQUEST_TIMEOUT_S=120 \
    $python -m rmbg_service serve > /dev/null &
  ours=$!
  until_it_answers http://127.0.0.1:7861/readyz
  $python bench/load.py "http://127.0.0.1:7861/api/remove-bg?detail=off&decontaminate=false" \
    --pid $ours --size $size --requests "$requests" --leavers 12
  $python bench/load.py http://127.0.0.1:7861/api/remove-bg \
    --pid $ours --size $size --requests "$requests"
  kill $ours && wait $ours

  U2NET_HOME=$weights MODEL_CHECKSUM_DISABLED=1 "$rembg" s --host 127.0.0.1 --port 7862 > /dev/null 2>&1 &
  theirs=$!
  until_it_answers http://127.0.0.1:7862/api
  $python bench/load.py http://127.0.0.1:7862/api/remove --field file --data model=u2netp \
    --pid $theirs --size $size --requests "$requests" --leavers 12
  kill $theirs && wait $theirs || true
done
