#!/usr/bin/env bash
# Builds planner, engine and a round's nodes for arm64 with Debian's cross compiler and runs the tests of the engine, the
# runtime and the command line under qemu's user emulation, among them a round of one arm64 user with nodes of this
# machine's kind. What it lacks it installs; nothing of this machine's own libraries is touched.
# Usage: tools/arm64.sh [CTEST_ARGUMENT...]       for instance: tools/arm64.sh -E '^train'
# BUILD_ONLY=1 leaves the programs for a device in build/arm64/bin and build/arm64/libexec and runs nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/install.sh

root=${DASHF_ARM64_ROOT:-$PWD/build/arm64-root}
modules=(base tensorfile gguf jinja corpus llama train study round runtime)
programs=(dashf dashf-engine)  # What a user node needs, and those who plan.

# A root that nothing is started from: packages are unpacked, not installed, so that no emulator takes part.
make_root() {
    local packages=("${node_packages[@]}" libc6-dev libgcc-12-dev libgmock-dev libgtest-dev libstdc++-12-dev) link target
    rm -rf --one-file-system "$root" "$root.new"
    mkdir -p "$(dirname "$root")"
    mmdebstrap --quiet --architectures=arm64 --variant=extract --aptopt='Acquire::Languages "none"' \
        --include="$(IFS=,; echo "${packages[*]}")" bookworm "$root.new" >&2
    # The linker would follow an absolute link out of the root.
    find "$root.new/lib" "$root.new/usr" -lname '/*' | while read -r link; do
        target=$root.new$(readlink "$link")
        ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$target")" "$link"
    done
    mv "$root.new" "$root"
}

# Programs of the tests start one another, so the kernel must know whom to hand arm64's to: by a registration of this
# machine's if it has one, else by one that only the tests see (Linux 6.7 or newer).
emulated() {
    if grep -qs '^enabled' /proc/sys/fs/binfmt_misc/qemu-aarch64; then
        QEMU_LD_PREFIX=$root "$@"
        return
    fi
    QEMU_LD_PREFIX=$root unshare --user --map-current-user --keep-caps --mount bash -c '
        mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc &&
            grep "^:" /usr/lib/binfmt.d/qemu-aarch64.conf >/proc/sys/fs/binfmt_misc/register || {
            echo "error: qemu-aarch64 cannot be registered for the tests alone; register it (binfmt-support)" >&2
            exit 1
        }
        exec "$@"' bash "$@"
}

install_missing "${tool_packages[@]}" protobuf-compiler protobuf-compiler-grpc python3 \
    g++-aarch64-linux-gnu mmdebstrap qemu-user-static
[ -d "$root/usr" ] || make_root
cmake --preset arm64 -DDASHF_TESTS=ON -DDASHF_ARM64_ROOT="$root" >&2
if [ -n "${BUILD_ONLY:-}" ]; then
    cmake --build --preset arm64 --target "${programs[@]}" >&2
    exit
fi
tests=("${modules[@]/#/dashf_}")
cmake --build --preset arm64 --target "${programs[@]}" "${tests[@]/%/_test}" >&2
# The other nodes of cli.kit.
install_missing "${demo_packages[@]}"
parts=()
[ -e build/release/CMakeCache.txt ] || parts=(-DDASHF_TORCH=OFF -DDASHF_MPI=OFF -DDASHF_TESTS=OFF)
cmake --preset release "${parts[@]}" >&2
cmake --build --preset release --target "${programs[@]}" >&2
export DASHF_OTHER_NODES=$PWD/build/release/bin/dashf
[ $# -gt 0 ] || set -- -j "$(nproc)"
emulated ctest --preset arm64 -R "^($(IFS='|'; echo "${modules[*]}")|cli)\\." "$@"
