#!/usr/bin/env bash
# Everything once, from nothing: installs what is missing, builds, plans a scenario of 10 users and
# 3 edge servers with DASHF, carries plans out with real processes over three rounds, in the second of
# which a server is killed, and says where the results are.
# Usage: ./demo.sh [RUN_DIR]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. tools/install.sh
run_dir=${1:-runs/demo}

install_missing "${demo_packages[@]}"
fetch_package_lists  # Before the build, so that a machine without network hears so at once.
# The first build is of what the demo needs; one that has more already keeps it.
parts=(-DDASHF_TESTS=OFF)
[ -e build/release/CMakeCache.txt ] || parts+=(-DDASHF_TORCH=OFF -DDASHF_MPI=OFF)
build release "${parts[@]}"
if [ -e "$run_dir" ]; then
    echo "moving the earlier results in $run_dir aside" >&2
    mv "$run_dir" "$run_dir.$(date -r "$run_dir" +%Y%m%dT%H%M%S)"
fi

fetch_package_lists  # The build takes minutes, in which they may have gone.

# As a power cut would, once it trains for a user in the second round.
kill_a_server() {
    local pid training='s/.*"node":"server\/s1","pid":\([0-9]*\),"event":"phase_started","round":2.*/\1/p'
    until pid=$(sed -n "$training" "$run_dir/telemetry.jsonl" 2>/dev/null | head -n 1) && [ -n "$pid" ]; do
        sleep 0.2
    done
    echo "demo: killing server s1 (process $pid); its users are to finish at the others" >&2
    kill -9 "$pid"
}
kill_a_server &
trap "kill $! 2>/dev/null || true" EXIT

echo "demo: while the rounds run, they are seen in a browser at the address of the live page below" >&2
build/release/bin/dashf run configs/demo.toml --out "$run_dir"
echo
echo "Results: $run_dir/report.html (open it in a browser), and beside it scenario.json, plan.json,"
echo "comparison.json, round.json, rounds/, telemetry.jsonl and adapters/ (one PEFT folder per user)."
