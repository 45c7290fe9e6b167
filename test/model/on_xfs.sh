#!/bin/bash
# The image on XFS, which allocates space ahead of what is written: random histories against the model, and the tests of
# single changes of a file.
#
#   on_xfs.sh [points, default 20000] [seed]
. "$(dirname "$0")/../system/harness.sh"
points=${1:-20000}
seed=${2:-$(date +%s)}

new_disk image xfs 1G
cd "$work/image" || exit 1
TMPDIR=$PWD "$build/test/rewind_test" "change_data:*" || fail "single changes of a file"
# A history that is known to let a file grow over such space, then new ones.
"$build/test/model/history_test" --points 100 --seed 2001 || fail "the known history"
"$build/test/model/history_test" --points "$points" --seed "$seed" || fail "new histories"
cd /
finish
