#!/bin/bash
# Every case of the fidelity program on a bare directory and on a protected one, on the same kind of file system: what
# the programs see must be equal line by line. Afterwards the image must equal the tree.
#
#   fidelity.sh KIND [TOPIC[/CASE]] [null]    KIND: ext4, xfs, btrfs; null: the filter that records nothing
#
# The topics "full" and "quota" fill small file systems and are named one by one.
. "$(dirname "$0")/harness.sh"
kind=${1:?the kind of file system}
topic=${2:-}
filter=${3:-recording}
fidelity=$build/test/system/fidelity

size=3G options=
[ "$topic" = full ] && size=512M
if [ "$topic" = quota ]; then
    case $kind in
        ext4) options=usrquota ;;
        xfs) options=uquota ;;
        *) skip "no user quotas on $kind" ;;
    esac
fi
new_disk bare $kind $size $options
new_disk live $kind $size $options
new_disk store $kind 3G
live=$work/live/tree store=$work/store/s
mkdir "$work/bare/tree" "$live"

if [ "$filter" = null ]; then
    covered+=("$live")
    check "mounting the null filter" "$helper" "$live" "$live" -o null_filter || finish
else
    protect || { fail "protect"; finish; }
fi
QUOTA_ROOT=$work/bare "$fidelity" "$work/bare/tree" $topic >"$work/bare.txt" || fail "the program fails on the bare directory"
QUOTA_ROOT=$work/live "$fidelity" "$live" $topic >"$work/live.txt" || fail "the program fails on the protected directory"
if ! diff "$work/bare.txt" "$work/live.txt" >"$work/difference"; then
    fail "$(grep -c '^[<>]' "$work/difference") lines differ between the bare (<) and the protected (>) directory"
    cat "$work/difference"
fi
echo "$(wc -l <"$work/bare.txt") observations on $kind"
if [ "$filter" != null ]; then
    check "unprotect" unprotect && image_is_equal
fi
finish
