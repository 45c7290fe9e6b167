#include "replicator/engine/replica_journal.h"

#include <algorithm>
#include <charconv>

#include "base/json_socket.h"
#include "base/log.h"
#include "base/small_file.h"
#include "base/text.h"
#include "journal/cursor.h"
#include "replicator/protocol/stream_reader.h"
#include "rewind/replica_store.h"

namespace holdfast::replicator {

namespace {

constexpr const char* term_file = "term";
constexpr size_t term_file_bytes_max = 32;
constexpr uint32_t source_origin = 1;

Result<uint64_t> load_term(Disk& store) {
    auto text = read_small_file(store, term_file, term_file_bytes_max);
    if (!text && text.error().code == ErrorCode::not_found) return uint64_t{1};
    const std::string line = HF_TRY(std::move(text));
    uint64_t term = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), term);
    if (error != std::errc() || term == 0 || std::string_view(end, line.data() + line.size()) != "\n")
        return Error{ErrorCode::corrupt, "the file `term` of the store is damaged; it keeps a host that was replaced from writing on, so it is not guessed: "
                                         "write into it the highest term that the peers' status shows"};
    return term;
}

}  // namespace

Result<std::unique_ptr<ReplicaJournal>> ReplicaJournal::open(const std::string& store, const journal::VolumeId& id, uint64_t segment_bytes) {
    const journal::Volume volume = HF_TRY(rewind::make_replica_store(store, id, segment_bytes, source_origin, 0));
    std::unique_ptr<ReplicaJournal> replica(new ReplicaJournal(volume));
    replica->store_ = HF_TRY(open_disk(volume.store));
    replica->disk_ = HF_TRY(open_disk(volume.journal_directory));
    replica->cursors_ = HF_TRY(open_disk(volume.journal_directory + "/cursors"));
    replica->term_ = HF_TRY(load_term(*replica->store_));
    replica->table_ = HF_TRY(journal::InflightTable::open(volume.journal_directory + "/inflight", volume.id));
    std::string evidence;
    auto inbound = journal::Inbound::open(*replica->disk_, replica->table_.get(), volume.id, volume.segment_bytes, &evidence);
    if (!evidence.empty()) log_info("The inbound journal in " + quoted(volume.journal_directory) + " was opened: " + evidence);
    replica->inbound_ = HF_TRY(std::move(inbound));
    return replica;
}

Status ReplicaJournal::persist_term(uint64_t term) {
    HF_TRY(replace_small_file(*store_, term_file, std::to_string(term) + "\n"));
    term_ = term;
    return ok();
}

Result<Hello> ReplicaJournal::greeting() {
    // What the stream resumes from must survive a power cut. A header without records may be that of a segment which the
    // source has begun anew since.
    HF_TRY(inbound_->sync());
    if (inbound_->received() % volume_.segment_bytes == HF_SEGMENT_HEADER_BYTES) HF_TRY(drop_header());
    Hello hello;
    hello.role = Role::replica;
    hello.volume = volume_.id;
    hello.segment_bytes = volume_.segment_bytes;
    hello.is_empty = inbound_->is_empty();
    hello.oldest = inbound_->begin();
    hello.end = {inbound_->received(), HF_TRY(inbound_->chain_at(inbound_->received()))};
    // The store has applied what is here, or is about to, and cannot take its image back yet.
    hello.window_begin = hello.end.lsn;
    return hello;
}

// The store's reader has the file open, and would wait for ever for records in one that has no name any more: it is held meanwhile and
// looks anew afterwards. A store that does not run opens the journal when it starts.
Status ReplicaJournal::drop_header() {
    const auto ask = [&](const char* verb) -> Status {
        auto answer = json_call(journal::store_socket(volume_.id), {{"verb", verb}});
        if (!answer && answer.error().code != ErrorCode::unavailable) return std::move(answer).error();
        return ok();
    };
    HF_TRY(ask("hold"));
    const Status cut = inbound_->cut(inbound_->received());
    HF_TRY(ask("go-on"));
    return cut;
}

Result<std::optional<Position>> ReplicaJournal::position(Lsn at) {
    return position_at_or_below(*disk_, volume_.id, volume_.segment_bytes, std::min(at, inbound_->received()));
}

Status ReplicaJournal::release() {
    const auto needed = HF_TRY(journal::lowest_cursor(*cursors_, volume_.id));
    return needed ? inbound_->release_below(*needed) : ok();
}

}  // namespace holdfast::replicator
