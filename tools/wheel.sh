#!/usr/bin/env bash
# Makes the Python package's wheel, which has all of the planner in it, installs it in an empty virtual environment and
# plans there; and does that in one of each other Python named, for which the wheel must be good, too (one made by 3.12
# is good for all later ones). Usage: tools/wheel.sh OUT_DIR [PYTHON [OTHER_PYTHON...]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/install.sh
out=${1:?usage: tools/wheel.sh OUT_DIR [PYTHON [OTHER_PYTHON...]]}
shift
[ $# -gt 0 ] || set -- python3
install_missing "${tool_packages[@]}" libeigen3-dev libexpected-dev libfmt-dev libssl-dev nlohmann-json3-dev \
    python3-dev python3-venv
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -rf "$out"/empty* "$out"/dashf-*.whl
"$1" -m venv "$out/empty"
"$out/empty/bin/python" -m pip --disable-pip-version-check wheel --no-deps --wheel-dir "$out" . \
    --config-settings=build-dir="$out/build" >&2
wheel=$(ls "$out"/dashf-*.whl)
[ "$(stat -c %s "$wheel")" -le 15000000 ] || { echo "error: $wheel is larger than 15 MB" >&2; exit 1; }
cd "$out"
for python in "$@"; do
    rm -rf empty
    "$python" -m venv empty
    empty/bin/python -m pip --disable-pip-version-check install --quiet --only-binary :all: "$wheel"
    foreign=$(ldd empty/lib/python*/site-packages/dashf/_core*.so |
        grep -Ev 'linux-vdso|ld-linux|lib(c|m|stdc\+\+|gcc_s)\.so' || true)
    [ -z "$foreign" ] || { echo "error: the wheel needs $foreign" >&2; exit 1; }
    empty/bin/python -c '
import sys, time
import numpy
begin = time.perf_counter()
import dashf
took = time.perf_counter() - begin
plan = dashf.solve(dashf.Scenario.study(users=10, servers=2), certify=True)
assert plan.feasible and 0 <= plan.verify() < 1e-3
print(f"Python {sys.version.split()[0]}, NumPy {numpy.__version__}: imported in {took:.3f} s beside NumPy; {plan}")'
done
ls -l "$wheel"
