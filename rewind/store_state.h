// What a Store is made of; shared by store.cc (applying), store_open.cc (recovery), store_prune.cc (the window) and
// store_take_back.cc.
#pragma once

#include <atomic>

#include "base/unique_fd.h"
#include "rewind/apply/applier.h"
#include "rewind/chains.h"
#include "rewind/gaps.h"
#include "rewind/position.h"
#include "rewind/standby/standby_tree.h"
#include "rewind/store.h"
#include "rewind/sync/repair_log.h"

namespace holdfast::rewind {

// A batch ends at either bound; it is what lies in memory at once.
inline constexpr uint64_t batch_bytes_max = 16ULL << 20;
inline constexpr size_t batch_records_max = 20'000;
// What is applied again after a crash is at most this and a batch.
inline constexpr uint64_t uncheckpointed_bytes_max = 256ULL << 20;
inline constexpr size_t uncheckpointed_records_max = 400'000;
inline constexpr std::string_view first_copy_file = "first-copy";

class Store::Impl {
public:
    explicit Impl(const journal::Volume& of, const Clock& with) : volume(of), clock(with) {}

    // store_open.cc
    Status open();
    Status load();
    Status open_parts();
    Status take_position();
    Status open_index();
    Status name_root();
    Status find_all_objects();
    Status index_undo();
    Status redo();
    Status load_gaps();
    Status follow_gap(const UndoRecord& record);

    // store.cc
    // END: where the stream goes on; SYNC makes it durable up to there.
    Status apply_batch(Batch& batch, Lsn end, const std::function<Status()>& sync);
    Status fill(journal::Reader& reader, uint64_t bytes, uint64_t until_ns, Batch& batch);
    void note_chains(Lsn from);
    Status checkpoint();
    Status save(Lsn at_checkpoint);
    template <typename T>
    Result<T> fence(Result<T> result);

    // store_take_back.cc
    Status ask_to_take_back(Lsn at);
    Result<std::optional<Lsn>> is_to_be_taken_back();
    Result<UndoAddress> first_undo_since(Lsn at) const;
    Status take_back(Lsn at);
    Status cut_undo(UndoAddress from);
    void close_history();

    // store_standby.cc
    Original original() const { return {*image, *index, *undo, applied, window_begin}; }
    bool is_settled() const { return !failure && !first_copy_pending && !repair_log && !awaits_repair; }
    // The image has become what undo and index do not lead to.
    Status doubt_standby();

    // store_repair.cc
    Status apply_repairs(Batch& batch);

    // store_prune.cc
    struct Grave {
        ObjectId object;
        bool has_ended;  // no program has it open any more; a directory needs no such record
    };
    struct Drop {
        UndoAddress below;  // a segment's start
        Lsn window_begin;
        std::vector<Grave> graves;  // that lose a record; nothing may reach them any more
    };
    Result<uint64_t> prune();
    Result<uint64_t> count_graveyard() const;
    Result<UndoAddress> end_of_age();
    Result<std::optional<Drop>> plan_drop(UndoAddress below);
    Result<uint64_t> carry_out(const Drop& drop);
    Result<uint64_t> remove_grave(const Grave& grave, Lsn window_begin);

    const journal::Volume volume;
    const Clock& clock;
    UniqueFd lock;
    std::unique_ptr<Disk> store_disk;
    std::unique_ptr<Disk> journal_disk;
    std::unique_ptr<Disk> cursor_disk;
    std::unique_ptr<Disk> undo_disk;
    std::unique_ptr<Image> image;
    std::unique_ptr<UndoLog> undo;
    std::unique_ptr<Index> index;
    std::unique_ptr<Applier> applier;
    std::unique_ptr<RepairLog> repair_log;  // while a repair is under way
    std::unique_ptr<StandbyTree> standby;   // of a volume that has one
    Gaps gaps;
    Chains chains;
    Position position;  // as it is on disk
    uint64_t uncheckpointed_bytes = 0;
    size_t uncheckpointed_records = 0;
    std::optional<Error> failure;  // fenced
    bool awaits_repair = false;    // opened as it is

    std::atomic<bool> first_copy_pending{false};
    std::atomic<Lsn> applied{0};
    std::atomic<Lsn> window_begin{0};
    std::atomic<uint64_t> graveyard_bytes{0};
    std::string evidence;
};

template <typename T>
Result<T> Store::Impl::fence(Result<T> result) {
    if (!result) failure = result.error();
    return result;
}

}  // namespace holdfast::rewind
