// Between times, LSNs and undo addresses: sparse nodes in the index, then a short scan of the undo log.
//
// The undo stream is divided into stretches of 1 MiB (level 0), 64 MiB, 4 GiB and 256 GiB. A node holds the lowest time
// of any record that begins in its stretch. The last record at or below a time lies in the last stretch whose lowest
// time is at or below it; so the search goes back over the largest stretches and down, at most 64 nodes per level.
// This is exact however the clock jumped: a time that occurs twice means its second occurrence.
//
// Thread rule: note() from the applier's thread, questions from any thread.
#pragma once

#include <rocksdb/db.h>

#include <array>
#include <optional>

#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

inline constexpr unsigned time_level_count = 4;

inline unsigned time_shift_of(unsigned level) {
    return 20 + 6 * level;
}

class IndexTime {
public:
    IndexTime(rocksdb::DB& db, const UndoLog& undo) : db_(db), undo_(undo) {}

    // Adds to BATCH what RECORD changes. After a batch that was not written: forget().
    Status note(const UndoRecord& record, rocksdb::WriteBatch& batch);
    void forget() { nodes_ = {}; }
    // Adds to BATCH that the records from address AT on, LSN and later, are forgotten.
    Status cut(UndoAddress at, Lsn lsn, rocksdb::WriteBatch& batch);

    // As the index promises; records from BELOW on are not looked at.
    Result<std::optional<Lsn>> lsn_at_time(uint64_t time_ns, UndoAddress below) const;
    Result<std::optional<uint64_t>> time_at_lsn(Lsn lsn, UndoAddress below) const;
    Result<UndoAddress> undo_address_at(Lsn lsn) const;

private:
    struct Node {
        uint64_t lowest_ns = 0;
        UndoAddress first = 0;  // level 0: the first record that begins in the stretch
    };
    struct Current {
        std::optional<uint64_t> number;
        Node node;
    };
    void put(unsigned level, uint64_t number, const Node& node, rocksdb::WriteBatch& batch) const;
    Result<std::optional<uint64_t>> lowest_below(unsigned level, uint64_t number, UndoAddress at, const std::optional<uint64_t>& lowest_of_last) const;
    Result<std::optional<Node>> load(unsigned level, uint64_t number) const;
    Result<std::optional<Lsn>> search(unsigned level, uint64_t low, uint64_t high, uint64_t time_ns, UndoAddress below) const;
    Result<std::optional<Lsn>> search_stretch(uint64_t number, const Node& node, uint64_t time_ns, UndoAddress below) const;

    rocksdb::DB& db_;
    const UndoLog& undo_;
    std::array<Current, time_level_count> nodes_;  // the newest of each level
};

// For pruning: whether KEY is a node whose stretch ends at or below ADDRESS.
bool is_time_node_below(std::string_view key, UndoAddress address);

}  // namespace holdfast::rewind
