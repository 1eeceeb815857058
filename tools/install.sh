# Sourced by demo.sh and test.sh: installs the Debian 12 packages that are missing, and nothing else.
# Works as root and as a user with sudo; says which packages and why it stops when it cannot.

tool_packages=(ca-certificates cmake g++ ninja-build pkg-config)
# What a user node needs, on any processor.
node_packages=(
    libboost-dev libcli11-dev libeigen3-dev libexpected-dev libfmt-dev libssl-dev
    libtomlplusplus-dev nlohmann-json3-dev                              # planner and files
    libpcre2-dev libutf8proc-dev                                        # tokenizers
    libopenblas0-openmp                                                 # training engine
    libsqlite3-dev                                                      # the coordinator's log
    prometheus-cpp-dev                                                  # and metrics
    libgrpc++-dev libgrpc-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc  # runtime
)
demo_packages=("${tool_packages[@]}" "${node_packages[@]}")
[ "$(uname -m)" != x86_64 ] || demo_packages+=(libdnnl-dev)             # its products there
# All that can be built.
build_packages=(
    "${demo_packages[@]}"
    libtorch-dev                                                        # pre-training, the engine's check
    libopenmpi-dev openmpi-bin                                          # planning over processes
)
test_packages=(
    chromium clang-format-14 coinor-csdp libgmock-dev libgtest-dev poppler-utils python3 python3-dev python3-jsonschema python3-venv sentencepiece
)

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "error: installing packages needs root or sudo; run as root: $*" >&2
        return 1
    fi
}

# install_missing PACKAGE...
install_missing() {
    local missing=() package
    for package in "$@"; do
        case "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" in
            installed) ;;
            *) missing+=("$package") ;;
        esac
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if ! grep -qs '^VERSION_ID="12"' /etc/os-release; then
        echo "note: dashf is made for Debian 12; package names may differ here" >&2
    fi
    echo "installing: ${missing[*]}" >&2
    as_root apt-get -o Acquire::Languages=en update >&2
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}" >&2
}

# The demo's data are package descriptions out of apt's own lists (docs/data.md).
# Another process may be renewing them just now, and then they are not all there for a while.
fetch_package_lists() {
    local tries
    for tries in 1 2 3 4 5 6; do
        ls /var/lib/apt/lists/*_Translation-en* >/dev/null 2>&1 && return 0
        [ "$tries" -eq 1 ] || sleep 10
        echo "fetching Debian's package descriptions" >&2
        as_root apt-get -o Acquire::Languages=en update >&2 || true
    done
    ls /var/lib/apt/lists/*_Translation-en* >/dev/null 2>&1 && return 0
    echo "error: apt has no package descriptions (/var/lib/apt/lists/*_Translation-en*)" >&2
    return 10
}

# build PRESET [CMAKE_OPTION...]: builds what changed, with every core.
build() {
    cmake --preset "$@" >&2
    cmake --build --preset "$1" >&2
}
