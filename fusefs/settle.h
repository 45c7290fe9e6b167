// After a worker died: did the operation that one slot of the in-flight table announces take effect on the backing
// tree, and what is its record? (docs/decisions/0002; journal::Settle.)
//
// The backing tree is asked, nobody else could know. That answers exactly, because the operation held its locks when
// the worker died, so nothing else has touched the object, or the name, since:
//
//   WRITE        the bytes that are there now, up to the first hole: a write that was cut off has filled a prefix, and
//                recording what did not change is true as well. Nothing there: void.
//   TRUNCATE     the object has the wanted size.
//   FALLOCATE    collapse, insert: the size changed by the length. Punch, zero: the range reads as it would.
//                Otherwise the size suffices.
//   CREATE, ...  the name is there, its object was born after the operation began, and the journal does not know it yet
//                (another thread may have made it just before, and this operation was going to fail with EEXIST).
//                Nameless births are void: their last descriptor died with the worker.
//   LINK         the name leads to the object, which has one link more than before.
//   UNLINK, RMDIR  the name is gone.
//   RENAME       the new name leads to the object and the old one does not; exchange: the other way for the other.
//   SETATTR      the values now. SETXATTR: the value now, void if there is none. REMOVEXATTR: void if it is still there.
//
// Whatever cannot be decided is void and raises a doubt: the caller then has the whole tree compared, so that a doubt
// can cost time but never truth.
//
// Thread rule: one thread. Ownership: borrows the descriptor and the disk.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "fusefs/filter/intent.h"
#include "fusefs/filter/node_id.h"
#include "journal/inflight.h"
#include "journal/record.h"
#include "journal/volume.h"

namespace holdfast::fusefs {

class Settler {
public:
    using Settled = Result<std::optional<journal::Record>>;
    // Whether the journal holds the birth of an object below an address.
    using KnowsBirth = std::function<Result<bool>(const journal::ObjectId& object, journal::Lsn below)>;
    // Called with a sentence before the answer that is doubtful is given. An error of its own ends the settling.
    using Doubt = std::function<Status(const std::string& sentence)>;

    static Result<Settler> prepare(int backing_root_fd, uint32_t origin, KnowsBirth knows_birth, Doubt doubt);

    // A record borrows from SLOT and from this object, until the next call. HEAD is what the slot's own record header says.
    Settled settle(journal::Slot& slot, const journal::Record& head);

private:
    struct Case;  // one slot under examination

    Settler(NodeIds nodes, KnowsBirth knows_birth, Doubt doubt)
        : nodes_(std::move(nodes)), knows_birth_(std::move(knows_birth)), doubt_(std::move(doubt)) {}

    Settled write(Case& one);
    Settled truncate(Case& one);
    Settled fallocate(Case& one);
    Settled birth(Case& one);
    Settled link(Case& one);
    Settled unlink(Case& one);
    Settled rename(Case& one);
    Settled set_attributes(Case& one);
    Settled set_xattr(Case& one);
    Settled remove_xattr(Case& one);

    Settled doubtful(const Case& one, const std::string& why);
    // The object NODE; nothing when it is gone.
    Result<std::optional<UniqueFd>> open(NodeId node, int flags) const;
    // What NAME in the directory PARENT leads to; nothing when there is no such name or directory.
    Result<std::optional<ObjectName>> lookup(NodeId parent, std::string_view name) const;
    // The record of the intent with BODY, or a doubt when it does not fit the reserved address.
    Settled record_of(Case& one, journal::Body body);
    Status read_birth(int fd, journal::Birth& birth);

    NodeIds nodes_;
    KnowsBirth knows_birth_;
    Doubt doubt_;
    std::vector<std::byte> data_;                // what a record borrows
    std::string target_;
    std::vector<std::pair<std::string, std::string>> xattrs_;
};

// KnowsBirth over the segments of JOURNAL: the one of the address and the one before it, which reach far further back
// than any operation lasts.
Result<bool> journal_knows_birth(Disk& journal, uint64_t segment_bytes, const journal::ObjectId& object, journal::Lsn below);

}  // namespace holdfast::fusefs
