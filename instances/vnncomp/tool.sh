# Sourced by the other three: which Python runs hypersplit, and where a run leaves its number.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ -z "${HYPERSPLIT_PYTHON:-}" ]; then
    HYPERSPLIT_PYTHON=python3
    # .venv: installed by install_tool.sh; ../../../../bin: these scripts lie in the site-packages of an environment.
    for candidate in "$root/.venv/bin/python" "$root/../../../../bin/python"; do
        if [ -x "$candidate" ]; then
            HYPERSPLIT_PYTHON=$candidate
            break
        fi
    done
fi
PID_FILE=${TMPDIR:-/tmp}/hypersplit-vnncomp-$(id -u).pid
