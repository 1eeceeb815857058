#!/usr/bin/env bash
# Builds the parts of the runtime and the live page that need no gRPC with their tests, under ThreadSanitizer and then under
# AddressSanitizer and UndefinedBehaviorSanitizer, on the libraries of a release build, and runs them. (Debian's gRPC
# is not instrumented: what it hands from thread to thread would look like races.)
# Usage: tools/sanitize_runtime.sh [build/release]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${1:-build/release}
parts=(runtime/{artefact_file,clock_shares,compute_gate,log,telemetry,transfer,user_store,watchdog} live/http_server)
sources=("${parts[@]}" runtime/{address,recent_lines,spool_folder} live/{board,http_connection,http_request})
for part in "${parts[@]}"; do sources+=("${part}_test"); done
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
for flags in "-fsanitize=thread -Wno-tsan" "-fsanitize=address,undefined -fno-sanitize-recover=all"; do
    printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -I{} \
        sh -c "g++ -std=c++20 -O1 -g1 -fno-omit-frame-pointer $flags -Isrc -c src/{}.cc -o $room/\$(basename {}).o"
    # shellcheck disable=SC2086
    g++ $flags -o "$room/all" "$room"/*.o "$build"/src/libdashf_{fleet,round,scenario,base}.a \
        -lgmock -lgtest_main -lgtest -lfmt -lgpr -lssl -lcrypto -lsqlite3 -lpthread
    "$room/all" --gtest_brief=1
done
