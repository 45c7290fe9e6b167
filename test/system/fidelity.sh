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
# What accepted.txt lists is taken out of both.
without_accepted() { # FILE
    awk -F '\t' -v kind=$kind '
        NR == FNR { if ($0 !~ /^#/ && NF == 3 && ($2 == "all" || index($2, kind))) { follow[++rules] = $1; pattern[rules] = $3 } next }
        { split($0, word, ":"); if (word[1] != place) { place = word[1]; skip = 0 }
          for (rule = 1; rule <= rules; ++rule) if ($0 ~ pattern[rule]) { skip = follow[rule] + 1; ++taken }
          if (skip > 0) { --skip; next }
          print }' "$(dirname "$0")/fidelity/accepted.txt" "$1"
}
without_accepted "$work/bare.txt" >"$work/bare.compared"
without_accepted "$work/live.txt" >"$work/live.compared"
if ! diff "$work/bare.compared" "$work/live.compared" >"$work/difference"; then
    fail "$(grep -c '^[<>]' "$work/difference") lines differ between the bare (<) and the protected (>) directory"
    cat "$work/difference"
fi
echo "$(wc -l <"$work/bare.txt") observations on $kind, $(wc -l <"$work/bare.compared") compared"
if [ "$filter" != null ]; then
    check "unprotect" unprotect && image_is_equal
fi
finish
