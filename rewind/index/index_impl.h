// What the files of the index share: the database and who writes into it.
// Thread rule: as of Index.
#pragma once

#include <rocksdb/db.h>

#include <atomic>

#include "rewind/index/index.h"
#include "rewind/index/index_events.h"
#include "rewind/index/index_keys.h"
#include "rewind/index/index_prune.h"
#include "rewind/index/index_status.h"
#include "rewind/index/index_time.h"

namespace holdfast::rewind {

inline std::string_view view_of(const rocksdb::Slice& slice) {
    return {slice.data(), slice.size()};
}

// What the data and hole items of RECORD say.
void note_data(const UndoRecord& record, rocksdb::WriteBatch& batch);
void note_names(const std::vector<Index::HeldName>& names, rocksdb::WriteBatch& batch);

inline Error index_nonsense() {
    return {ErrorCode::corrupt, "an entry of the index makes no sense; the index can be rebuilt from the undo log"};
}

class Index::Impl {
public:
    Impl(std::unique_ptr<rocksdb::DB> db, std::shared_ptr<PruneLimit> limit, const UndoLog& undo)
        : db(std::move(db)), limit(std::move(limit)), undo(undo), time(*this->db, undo) {}

    Status load();
    Result<std::optional<uint64_t>> meta(const std::string& key) const;
    Status write(rocksdb::WriteBatch& batch);
    Status note(const UndoRecord& record, rocksdb::WriteBatch& batch);
    void note_end(UndoAddress end, rocksdb::WriteBatch& batch);
    void note_count(uint64_t count, rocksdb::WriteBatch& batch);

    // The keys that begin with some bytes. It must outlive its iterators.
    struct Prefix {
        explicit Prefix(std::string prefix) : bytes(std::move(prefix)), end(key_behind(bytes)), slice(end) {}
        Prefix(const Prefix&) = delete;
        Prefix& operator=(const Prefix&) = delete;
        const std::string bytes, end;
        const rocksdb::Slice slice;
    };
    std::unique_ptr<rocksdb::Iterator> iterate(const Prefix& prefix) const {
        rocksdb::ReadOptions options;
        options.iterate_upper_bound = &prefix.slice;
        return std::unique_ptr<rocksdb::Iterator>(db->NewIterator(options));
    }
    Result<std::optional<Event>> last_change_before(const ObjectId& object, Lsn at) const;
    Result<std::optional<Lsn>> last_entry_before(const ObjectId& directory, Lsn at) const;
    Status check_window(Lsn at) const {
        if (at >= limit->lsn) return ok();
        return Error{ErrorCode::not_found, "the moment at LSN " + std::to_string(at) + " has left the window"};
    }

    std::unique_ptr<rocksdb::DB> db;
    std::shared_ptr<PruneLimit> limit;
    const UndoLog& undo;
    IndexTime time;
    IndexEvents events;
    std::atomic<UndoAddress> indexed_to{0};
    std::atomic<uint64_t> records{0};
};

}  // namespace holdfast::rewind
