#!/usr/bin/env bash
# Installs what is missing, builds and runs all tests: the planner's and the engine's under AddressSanitizer and
# UndefinedBehaviorSanitizer first, then everything in release. Ends with ctest's summary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. tools/install.sh

install_missing "${build_packages[@]}" "${test_packages[@]}"
fetch_package_lists
jobs=$(nproc)
build asan
ctest --preset asan -j "$jobs"
build release -DDASHF_TESTS=ON -DDASHF_TORCH=ON -DDASHF_MPI=ON
ctest --preset release -j "$jobs"
