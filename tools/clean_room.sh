#!/usr/bin/env bash
# Tries this checkout's HEAD on a fresh Debian 12: a debootstrap chroot that holds nothing but the minimal system.
# Usage (as root): tools/clean_room.sh ROOM_DIR [root|sudo] COMMAND...
#   tools/clean_room.sh /var/tmp/room root ./demo.sh
#   tools/clean_room.sh /var/tmp/room sudo ./test.sh    # as a user with sudo
# ROOM_DIR is made anew from a cached base (ROOM_DIR.base); set KEEP=1 to run again in the same room.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
room=${1:?usage: tools/clean_room.sh ROOM_DIR [root|sudo] COMMAND...}
as=${2:?root or sudo}
shift 2

[ -d "$room.base/etc" ] || debootstrap --variant=minbase bookworm "$room.base"
if [ -z "${KEEP:-}" ] || [ ! -d "$room" ]; then
    umount -q "$room/proc" "$room/dev" 2>/dev/null || true
    rm -rf --one-file-system "$room"
    cp -a "$room.base" "$room"
    # The room reaches the package archive as this machine does.
    cp -a /etc/apt/apt.conf.d/. "$room/etc/apt/apt.conf.d/" && rm -f "$room/etc/apt/apt.conf.d/"docker-*
    cp -L /etc/resolv.conf "$room/etc/resolv.conf"
    mkdir -p "$room/etc/ssl" && cp -aL /etc/ssl/certs "$room/etc/ssl/"
fi
mountpoint -q "$room/proc" || mount -t proc proc "$room/proc"
# A slave mount: taking it away must not take this machine's own /dev along.
mountpoint -q "$room/dev" || { mount --rbind /dev "$room/dev"; mount --make-rslave "$room/dev"; }
trap 'umount -R -l "$room/dev" "$room/proc"' EXIT

mkdir -p "$room/home/dashf"
git archive HEAD | tar -x -C "$room/home/dashf"
if [ "$as" = sudo ]; then
    chroot "$room" sh -c 'command -v sudo >/dev/null || { apt-get update && apt-get install -y --no-install-recommends sudo; }
        id dashf >/dev/null 2>&1 || useradd -d /home/dashf -s /bin/bash dashf
        echo "dashf ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/dashf; chown -R dashf /home/dashf' >&2
    chroot --userspec=dashf "$room" env -i HOME=/home/dashf PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        bash -c 'cd ~ && exec "$@"' bash "$@"
else
    chroot "$room" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        bash -c 'cd /home/dashf && exec "$@"' bash "$@"
fi
