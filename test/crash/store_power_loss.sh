#!/bin/bash
# Power loss under the store: its disk is copied at one instant while a random history is taken in, with nothing synced for
# it, and while copies of the image are made that share its extents where the file system can. Every cut is mounted as after a reboot; recovery must succeed, and then the view at every moment must equal the
# model, also after the rest of the history was taken in.
#
#   store_power_loss.sh [copies per file system, default 5] [file systems, default "ext4 xfs btrfs"] [seed]
#
#      host XFS on a loop device: reflink copies are exact cuts
#        disk.img = the store's file system, on a second loop device
set -u
copies=${1:-5}
kinds=${2:-"ext4 xfs btrfs"}
seed=${3:-$RANDOM}
kill_test=${HOLDFAST_BUILD_DIR:?the directory of the build}/test/model/kill_test
ops=2500
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }

work=$(mktemp -d)
host=$work/host disk=$work/disk
mkdir "$host" "$disk"
apply=
finish() {
    [ -n "$apply" ] && kill "$apply" 2>/dev/null && wait "$apply" 2>/dev/null
    mountpoint -q "$disk" && umount "$disk"
    mountpoint -q "$host" && umount "$host"
    rm -rf "$work"
}
trap finish EXIT

truncate -s 6G "$work/host.img"
mkfs.xfs -q -f "$work/host.img" && mount -o loop "$work/host.img" "$host" || { echo "skipped: no XFS on a loop device"; exit 77; }
judged=0 failures=0
for kind in $kinds; do
    rm -f "$host"/*.img
    truncate -s 512M "$host/disk.img"
    force=-f; [ "$kind" = ext4 ] && force=-F
    "mkfs.$kind" -q "$force" "$host/disk.img" && mount -o loop "$host/disk.img" "$disk" || exit 1
    seed=$((seed + 1))
    "$kill_test" --prepare "$disk" --seed $seed --ops $ops || exit 1
    sync -f "$disk"
    "$kill_test" --apply "$disk" --seed $seed &
    apply=$!
    taken=0
    for ((copy = 0; copy < copies; ++copy)); do
        sleep 0.$((RANDOM % 400 + 100))
        kill -0 "$apply" 2>/dev/null || break
        # Somebody makes a copy of the image that shares its extents; the next writes go on beside it.
        rm -rf "$disk/shared"
        cp -a --reflink=auto "$disk/store/image" "$disk/shared" 2>/dev/null
        sleep 0.2
        cp --reflink=always "$host/disk.img" "$host/cut$copy.img" || exit 1
        taken=$((copy + 1))
    done
    kill -KILL "$apply" 2>/dev/null
    wait "$apply" 2>/dev/null
    apply=
    umount "$disk"
    for ((copy = 0; copy < taken; ++copy)); do
        mount -o loop "$host/cut$copy.img" "$disk" || exit 1
        if ! (cd "$work" && "$kill_test" --check "$disk" --seed $seed --ops $ops); then
            echo "FAILED: $kind, seed $seed, cut $copy"
            failures=$((failures + 1))
        fi
        umount "$disk"
        judged=$((judged + 1))
    done
done
echo "$judged power losses judged, $failures failures, last seed $seed"
[ $failures = 0 ] && [ $judged -gt 0 ]
