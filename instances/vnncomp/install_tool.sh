#!/usr/bin/env bash
# install_tool.sh v1: install hypersplit for the competition's machine and compile its kernels, once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

[ "${1:-}" = v1 ] || { echo "install_tool.sh: expected version v1, got '${1:-}'" >&2; exit 1; }
if [ ! -f "$root/pyproject.toml" ]; then
    echo "hypersplit is installed already: $root"
else
    "${PYTHON:-python3}" -m venv "$root/.venv"
    "$root/.venv/bin/python" -m pip install "$root"
fi
. "$here/tool.sh"
"$HYPERSPLIT_PYTHON" -m hypersplit.bab --version
"$HYPERSPLIT_PYTHON" -m hypersplit.bab warm || true # a run without them is slower, but not wrong
