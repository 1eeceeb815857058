# Toolchain for arm64 on another machine: Debian's cross compiler, with the libraries of a Debian 12 arm64 root
# (tools/arm64.sh makes one). What is built starts under qemu's user emulation where that is installed.
set(DASHF_ARM64_ROOT "${CMAKE_CURRENT_LIST_DIR}/../build/arm64-root" CACHE PATH "Debian 12 root with arm64's libraries")
get_filename_component(arm64_root "${DASHF_ARM64_ROOT}" ABSOLUTE)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES DASHF_ARM64_ROOT)

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_SYSROOT "${arm64_root}")

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${arm64_root}")
set(ENV{PKG_CONFIG_LIBDIR} "${arm64_root}/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/pkgconfig:${arm64_root}/usr/share/pkgconfig")

find_program(DASHF_QEMU_ARM64 NAMES qemu-aarch64-static qemu-aarch64)
if(DASHF_QEMU_ARM64)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${DASHF_QEMU_ARM64} -L "${arm64_root}")
endif()
