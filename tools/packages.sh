#!/usr/bin/env bash
# Builds the Debian packages, asks lintian (where it is installed) about them, and, given a room,
# installs them on a bare Debian 12 there, plans, trains, and builds a project against the library.
# Usage: tools/packages.sh             # into build/release/packages
#        tools/packages.sh ROOM_DIR    # as root; see tools/clean_room.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/install.sh
install_missing "${build_packages[@]}" dpkg-dev file help2man
build release -DDASHF_TORCH=ON -DDASHF_MPI=ON
(cd build/release && cpack >&2)
packages=build/release/packages
! command -v lintian >/dev/null || lintian --allow-root --fail-on error "$packages"/*.deb
[ $# -gt 0 ] || { ls "$packages"; exit 0; }

room=$1
tools/clean_room.sh "$room" root true
cp "$packages"/*.deb "$room/tmp/"
KEEP=1 tools/clean_room.sh "$room" root bash -ec '
    export DEBIAN_FRONTEND=noninteractive
    cd /tmp
    apt-get update
    apt-get install -y --no-install-recommends ./dashf_*.deb
    dashf new --out scenario.json
    dashf solve scenario.json --certify --out plan.json
    dashf verify scenario.json plan.json
    dashf train --model /usr/share/dashf/models/debian-3m --data /home/dashf/examples/about_dashf.jsonl \
        --template llama2 --epochs 1 --out adapter
    apt-get install -y --no-install-recommends ./libdashf-dev_*.deb g++ cmake make pkg-config \
        libdnnl-dev libpcre2-dev libutf8proc-dev
    cmake -S /home/dashf/tests/consumer -B consumer
    cmake --build consumer
    consumer/plan scenario.json
    consumer/train /usr/share/dashf/models/debian-3m
    echo "installed, planned, trained and linked on $(. /etc/os-release; echo "$PRETTY_NAME")"'
