#!/bin/bash
# The image on XFS, which allocates space ahead of what is written: random histories against the model, and the tests of
# single changes of a file.
#
#   on_xfs.sh [points, default 20000] [seed]
set -u
points=${1:-20000}
seed=${2:-$(date +%s)}
build=${HOLDFAST_BUILD_DIR:?the directory of the build}
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }

work=$(mktemp -d)
disk=$work/disk
mkdir "$disk"
finish() {
    mountpoint -q "$disk" && umount "$disk"
    rm -rf "$work"
}
trap finish EXIT

truncate -s 1G "$work/disk.img"
mkfs.xfs -q -f "$work/disk.img" && mount -o loop "$work/disk.img" "$disk" || { echo "skipped: no XFS on a loop device"; exit 77; }
TMPDIR=$disk "$build/test/rewind_test" "change_data:*" || exit 1
# A history that is known to let a file grow over such space, then new ones.
cd "$disk" && "$build/test/model/history_test" --points 100 --seed 2001 && "$build/test/model/history_test" --points "$points" --seed "$seed"
code=$?
cd /
exit $code
