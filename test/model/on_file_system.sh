#!/bin/bash
# The image on a file system that makes data of what nobody wrote: XFS allocates space ahead of what is written, btrfs fills the hole in a last,
# partial block when the file grows. The tests of single changes of a file, made once and again, random histories against the model, and some of them killed in the middle.
#
#   on_file_system.sh KIND [points, default 20000] [kills, default 0] [seed]
. "$(dirname "$0")/../system/harness.sh"
kind=${1:?xfs or btrfs}
points=${2:-20000}
kills=${3:-0}
seed=${4:-$(date +%s)}

new_disk image "$kind" 1G
cd "$work/image" || exit 1
TMPDIR=$PWD "$build/test/rewind_test" "change_data:*,store: what is applied again*" || fail "single changes of a file"
if [ "$points" != 0 ]; then
    # A history that is known to let a file grow over such space, then new ones.
    "$build/test/model/history_test" --points 100 --seed 2001 || fail "the known history"
    "$build/test/model/history_test" --points "$points" --seed "$seed" || fail "new histories"
fi
[ "$kills" = 0 ] || "$build/test/model/kill_test" --kills "$kills" --seed "$seed" || fail "histories that were killed"
cd /
finish
