// Taking a store back to an earlier moment. What makes a crash harmless at every step:
//
//   1. checkpoint; the mark STORE/taking-back, durable       from here on every open() does the rest, from the beginning
//   2. the image is brought to the moment, and synced        from the undo log, which is whole; it does not matter how often
//      the standby tree as well                              in the same way
//   3. position and cursor say so                            the undo log may be shorter from here on
//   4. the index forgets                                     it says first up to where it knows: what is missing comes from the log again
//   5. the undo log is cut, newest segment first             a rest that is left is taken back once more, to where everything is already
//   6. the mark goes
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "base/small_file.h"
#include "base/text.h"
#include "journal/cursor.h"
#include "rewind/store_state.h"
#include "rewind/undo/undo_tail.h"

namespace holdfast::rewind {

namespace {

constexpr std::string_view mark_file = "taking-back";
constexpr size_t mark_bytes_max = 32;

}  // namespace

Status Store::take_back(Lsn at) {
    if (impl_->failure) return *impl_->failure;
    if (first_copy_pending())
        return Error{ErrorCode::not_found, "the first copy of this volume is not complete yet, so it has no history to go back in"};
    if (at >= applied()) return ok();
    if (at < window_begin())
        return Error{ErrorCode::not_found, "lsn " + std::to_string(at) + " lies before the window of history, which begins at lsn:" +
                                               std::to_string(window_begin())};
    HF_TRY(impl_->first_undo_since(at));
    HF_TRY(impl_->fence(impl_->checkpoint()));
    HF_TRY(impl_->fence(impl_->ask_to_take_back(at)));
    impl_->close_history();
    return impl_->fence(impl_->load());
}

Status Store::Impl::ask_to_take_back(Lsn at) {
    return replace_small_file(*store_disk, mark_file, std::to_string(at) + "\n");
}

Result<std::optional<Lsn>> Store::Impl::is_to_be_taken_back() {
    auto text = read_small_file(*store_disk, mark_file, mark_bytes_max);
    if (!text && text.error().code == ErrorCode::not_found) return std::optional<Lsn>();
    const std::string line = HF_TRY(std::move(text));
    Lsn at = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), at);
    if (error != std::errc() || std::string_view(end, line.data() + line.size()) != "\n")
        return Error{ErrorCode::corrupt, "the file `taking-back` of the store is damaged; it says to which lsn the store was being taken back: "
                                         "write into it what the engine's log says"};
    return std::optional(at);
}

Result<UndoAddress> Store::Impl::first_undo_since(Lsn at) const {
    UndoAddress first = undo->end();
    Status boundary = ok();
    HF_TRY(undo->scan(HF_TRY(index->undo_address_at(at)), [&](const UndoRecord& record) {
        if (record.end_lsn <= at) return true;
        first = record.address;
        if (record.lsn < at)
            boundary = Error{ErrorCode::not_found, "the store cannot be taken back to lsn " + std::to_string(at) + ": a record reaches across it"};
        return false;
    }));
    HF_TRY(std::move(boundary));
    return first;
}

Status Store::Impl::take_back(Lsn at) {
    const UndoAddress from = HF_TRY(first_undo_since(at));
    const Lsn was = applied;
    HF_TRY(chains.cut(*store_disk, at));
    const auto names = HF_TRY(applier->take_back(at, from));
    if (::syncfs(image->root_fd()) != 0) return errno_error(errno, "sync the image");
    if (standby) HF_TRY(standby->go_back({*image, *index, *undo, at, window_begin}));
    position.checkpoint = at;
    position.undo_end = from;
    if (position.damaged_from >= at) position.damaged_from = 0;
    HF_TRY(save_position(*store_disk, volume.id, position));
    HF_TRY(journal::save_cursor(*cursor_disk, volume.id, journal::store_consumer, at));
    HF_TRY(index->cut(from, at, names));
    HF_TRY(cut_undo(from));
    HF_TRY(store_disk->remove(mark_file));
    HF_TRY(store_disk->sync_directory());
    evidence += "The store was taken back from lsn " + std::to_string(was) + " to lsn " + std::to_string(at) + ". ";
    return ok();
}

void Store::Impl::close_history() {
    applier.reset();
    index.reset();
    undo.reset();
}

// The log is opened anew afterwards, and with it what has it open.
Status Store::Impl::cut_undo(UndoAddress from) {
    const uint64_t segment = undo->segment_bytes();
    const bool has_more = from < undo->end();
    close_history();
    if (!has_more) return ok();
    std::vector<uint64_t> surplus;
    for (const std::string& name : HF_TRY(undo_disk->list()))
        if (const auto index_of = parse_undo_segment_name(name); index_of && *index_of > from / segment) surplus.push_back(*index_of);
    std::sort(surplus.rbegin(), surplus.rend());
    return cut_undo_tail(*undo_disk, surplus, from / segment, from % segment);
}

}  // namespace holdfast::rewind
