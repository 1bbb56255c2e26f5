#!/usr/bin/env bash
# prepare_instance.sh v1 CATEGORY ONNX VNNLIB: end what a former run left behind, bring libraries and files into memory,
# and compile the kernels where that was not done yet.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/tool.sh"

[ "${1:-}" = v1 ] || { echo "prepare_instance.sh: expected version v1, got '${1:-}'" >&2; exit 1; }
[ $# -ge 4 ] || { echo "usage: prepare_instance.sh v1 CATEGORY ONNX VNNLIB" >&2; exit 1; }

if [ -f "$PID_FILE" ]; then
    left=$(cat "$PID_FILE")
    # The number may have been given to another program since: only our own is ended.
    if { tr '\0' ' ' <"/proc/$left/cmdline" || ps -o args= -p "$left"; } 2>/dev/null | grep -q hypersplit; then
        kill -KILL -- "-$left" 2>/dev/null
    fi
    rm -f "$PID_FILE"
fi
for file in "$3" "$3.gz" "$4" "$4.gz"; do
    [ -f "$file" ] && cat "$file" >/dev/null
done
cd / || exit 1
"$HYPERSPLIT_PYTHON" -m hypersplit.bab warm || true # a run without them is slower, but not wrong
"$HYPERSPLIT_PYTHON" -c "import hypersplit, onnx, onnxruntime, pyscipopt, scipy.sparse"
