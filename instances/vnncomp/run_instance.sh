#!/usr/bin/env bash
# run_instance.sh v1 CATEGORY ONNX VNNLIB RESULTS_FILE TIMEOUT: verify one instance. Always ends with 0;
# the first line of RESULTS_FILE is unsat, sat, unknown, timeout or error.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/tool.sh"

if [ $# -lt 6 ] || [ "$1" != v1 ]; then
    echo "usage: run_instance.sh v1 CATEGORY ONNX VNNLIB RESULTS_FILE TIMEOUT" >&2
    [ $# -lt 5 ] || echo error >"$5"
    exit 0
fi
onnx=$3 vnnlib=$4 results=$5 timeout=$6
rm -f "$results"

set -m # jobs get a process group of their own, which prepare_instance.sh can end
"$HYPERSPLIT_PYTHON" -m hypersplit.bab verify "$onnx" "$vnnlib" --timeout "$timeout" --result "$results" &
pid=$!
echo "$pid" >"$PID_FILE"
trap 'kill -TERM -- "-$pid" 2>/dev/null' TERM INT
wait "$pid"
code=$?
[ "$code" -le 128 ] || { wait "$pid" 2>/dev/null; } # a signal to this script ended the first wait
rm -f "$PID_FILE"

if [ ! -s "$results" ]; then
    case $code in
        2 | 4) echo error >"$results" ;;
        *) echo unknown >"$results" ;;
    esac
fi
exit 0
