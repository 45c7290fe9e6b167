#!/bin/bash
# Power loss: the disks of the backing tree and of the store are copied at one instant, in the middle of a load, with
# nothing synced for it. Both lie in ONE file on an XFS, so that a single reflink copy cuts them at the same moment.
# Every copy is then mounted as after a reboot, protected again, and judged:
#   everything that an fsync promised before the cut is there, nothing is invented   (promises check)
#   backing tree and image are equal after recovery                                  (tree_compare)
#   the store's own check finds nothing                                              (holdfast verify)
#
#   power_loss.sh [copies per file system, default 3] [file systems, default "ext4 xfs btrfs"]
#
#      host XFS on a loop device
#        disk.img = | backing file system | store file system |      two loop devices with offsets
set -u
copies=${1:-3}
kinds=${2:-"ext4 xfs btrfs"}
build=${HOLDFAST_BUILD_DIR:?the directory of the build}
half=$((512 << 20))
[ "$(id -u)" = 0 ] && [ -e /dev/fuse ] || { echo "skipped: needs root and /dev/fuse"; exit 77; }

work=$(mktemp -d)
export HOLDFAST_STATE_DIR=$work/state HOLDFAST_RUN_DIR=$work/run
export HOLDFAST_STORE_BIN=$build/rewind/holdfast-store HOLDFAST_MOUNT_BIN=$build/fusefs/mount.fuse.holdfast
holdfast=$build/tools/holdfast
live=$work/live store=$work/store host=$work/host
loops=()
failures=0

detach() { # everything that mount_disk made
    "$holdfast" unprotect "$live" >>"$work/log" 2>&1
    for place in "$live" "$live" "$store"; do mountpoint -q "$place" && umount "$place"; done
    for loop in "${loops[@]}"; do losetup -d "$loop"; done
    loops=()
}
finish() {
    detach
    mountpoint -q "$host" && umount "$host"
    [ -n "${host_loop:-}" ] && losetup -d "$host_loop"
    rm -rf "$work"
}
trap finish EXIT
fail() { echo "FAILED: $*"; failures=$((failures + 1)); tail -5 "$work/log"; tail -20 "$store/s/log"; }

mount_disk() { # FILE
    local backing_loop store_loop
    backing_loop=$(losetup -f --show -o 0 --sizelimit $half "$1") && loops+=("$backing_loop") || return 1
    store_loop=$(losetup -f --show -o $half --sizelimit $half "$1") && loops+=("$store_loop") || return 1
    if [ "${2:-}" ]; then
        mkfs_quietly "$2" "$backing_loop" && mkfs_quietly "$2" "$store_loop" || return 1
    fi
    mount "$backing_loop" "$live" && mount "$store_loop" "$store"
}
mkfs_quietly() {
    case $1 in
        ext4) mkfs.ext4 -q -F "$2" ;;
        xfs) mkfs.xfs -q -f "$2" ;;
        btrfs) mkfs.btrfs -q -f "$2" >>"$work/log" 2>&1 ;;
    esac
}
# A copy carries the label of the file system it was taken from, so only one of them is ever mounted at a time.
judge() { # KIND COPY LINES
    mount_disk "$2" || { fail "$1: the copy does not mount"; return; }
    # A real power loss ends the boot whose page cache the in-flight table belongs to; here the boot goes on.
    rm -f "$store/s/journal/inflight"
    "$holdfast" protect "$live" --store "$store/s" >>"$work/log" 2>&1 || { fail "$1: protect after the power loss"; detach; return; }
    "$build/test/crash/promises" check "$live" "$work/promises" "$3" || fail "$1: promises"
    "$holdfast" verify "$live" >>"$work/log" 2>&1 || fail "$1: verify"
    tail -1 "$store/s/last-recovery.json" 2>/dev/null
    "$holdfast" unprotect "$live" >>"$work/log" 2>&1 || fail "$1: unprotect"
    "$build/test/system/tree_compare" "$live" "$store/s/image" || fail "$1: image and backing tree differ"
    detach
}

mkdir -p "$live" "$store" "$host"
truncate -s 8G "$work/host.img"
host_loop=$(losetup -f --show "$work/host.img") && mkfs.xfs -q -f "$host_loop" && mount "$host_loop" "$host" || exit 77
judged=0
for kind in $kinds; do
    rm -f "$host"/*.img "$work/promises"
    truncate -s $((2 * half)) "$host/disk.img"
    mount_disk "$host/disk.img" "$kind" || exit 77
    "$holdfast" protect "$live" --store "$store/s" >>"$work/log" 2>&1 || { fail "$kind: protect"; detach; continue; }
    "$build/test/crash/promises" load "$live" "$work/promises" $((copies + 2)) $RANDOM &
    load=$!
    sleep 0.7
    lines=()
    for ((copy = 0; copy < copies; ++copy)); do
        lines+=("$(wc -l <"$work/promises")")
        cp --reflink=always "$host/disk.img" "$host/cut$copy.img" || exit 1
        sleep 0.$((RANDOM % 900 + 100))
    done
    wait $load || fail "$kind: the load saw an error"
    detach
    rm "$host/disk.img"
    for ((copy = 0; copy < copies; ++copy)); do
        echo "$kind, cut $copy, ${lines[copy]} promises"
        judge "$kind" "$host/cut$copy.img" "${lines[copy]}"
        judged=$((judged + 1))
    done
done
echo "$judged power losses judged, $failures failures"
[ $failures = 0 ]
