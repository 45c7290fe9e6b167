#include "replicator/engine/replica_journal.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/json_socket.h"
#include "base/log.h"
#include "base/small_file.h"
#include "base/text.h"
#include "journal/cursor.h"
#include "replicator/engine/source_journal.h"
#include "replicator/engine/store_child.h"
#include "replicator/protocol/stream_reader.h"
#include "rewind/copy_file.h"
#include "rewind/position.h"

namespace holdfast::replicator {

namespace {

constexpr const char* term_file = "term";
constexpr size_t term_file_bytes_max = 32;

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

// Of a journal: a segment without a magic word is another product's file, and one that lies on a bad sector is not read.
bool is_damage(ErrorCode code) {
    return code == ErrorCode::corrupt || code == ErrorCode::foreign || code == ErrorCode::io;
}

Status mark_wanted(Disk& store, const std::optional<rewind::RepairMark>& mark) {
    rewind::RepairMark wanted = mark.value_or(rewind::RepairMark{});
    wanted.is_of_everything = true;
    if (!wanted.is_complete) return rewind::save_repair_mark(store, wanted);
    return Error{ErrorCode::busy, "a repair of the replica has just ended, and is being made durable; ask again in a moment"};
}

}  // namespace

Result<std::unique_ptr<ReplicaJournal>> ReplicaJournal::open(const std::string& store, const journal::VolumeId& id, uint64_t segment_bytes) {
    const journal::Volume volume = HF_TRY(ensure_store(store, id, segment_bytes));
    std::unique_ptr<ReplicaJournal> replica(new ReplicaJournal(volume));
    replica->store_ = HF_TRY(open_disk(volume.store));
    replica->disk_ = HF_TRY(open_disk(volume.journal_directory));
    replica->cursors_ = HF_TRY(open_disk(volume.journal_directory + "/cursors"));
    replica->term_ = HF_TRY(load_term(*replica->store_));
    replica->table_ = HF_TRY(journal::InflightTable::open(volume.journal_directory + "/inflight", volume.id));
    HF_TRY(replica->open_inbound());
    HF_TRY(replica->settle_repair());
    HF_TRY(replica->lower_cursors());
    return replica;
}

// The comparison needs no journal, and what this one still has it would not use.
Status ReplicaJournal::open_inbound() {
    const auto open = [this] {
        std::string evidence;
        auto inbound = journal::Inbound::open(*disk_, table_.get(), volume_.id, volume_.segment_bytes, &evidence);
        if (!evidence.empty()) log_info("The inbound journal in " + quoted(volume_.journal_directory) + " was opened: " + evidence);
        return inbound;
    };
    auto opened = open();
    const bool is_damaged = !opened && is_damage(opened.error().code);
    if (is_damaged && HF_TRY(rewind::load_repair_mark(*store_))) {
        log_warning("The inbound journal in " + quoted(volume_.journal_directory) + " is given up, because the replica is to be repaired.");
        HF_TRY(with_store_held([this] { return journal::Inbound::give_up(*disk_); }));
        opened = open();
    }
    inbound_ = HF_TRY(std::move(opened));
    return ok();
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
    HF_TRY(settle_repair());
    if (inbound_->received() % volume_.segment_bytes == HF_SEGMENT_HEADER_BYTES) HF_TRY(drop_header());
    Hello hello;
    hello.role = Role::replica;
    hello.volume = volume_.id;
    hello.segment_bytes = volume_.segment_bytes;
    hello.is_empty = inbound_->is_empty();
    hello.is_unsound = mark_ && !mark_->is_complete;
    hello.oldest = inbound_->begin();
    hello.end = {inbound_->received(), HF_TRY(inbound_->chain_at(inbound_->received()))};
    const auto position = HF_TRY(rewind::load_position(*store_, volume_.id));
    hello.window_begin = position ? position->window_begin : hello.end.lsn;
    // The history before a repair is another one, at whatever addresses.
    if (const auto& beginning = inbound_->beginning()) hello.window_begin = std::max(hello.window_begin, beginning->equal_at);
    return hello;
}

Result<Hello> ReplicaJournal::repaired(Lsn at) {
    const auto mark = HF_TRY(rewind::load_repair_mark(*store_));
    if (!mark || !mark->is_complete || mark->point.at != at)
        return Error{ErrorCode::corrupt, "the store service said that the image is equal to the source's at " + std::to_string(at) + ", and the store's mark does not"};
    begun_anew_.reset();
    return greeting();
}

// Records are applied as before until the repair begins. A crash leaves the mark, and so the wish.
Status ReplicaJournal::want_repair() {
    HF_TRY(settle_repair());
    return mark_wanted(*store_, mark_);
}

Status ReplicaJournal::want_repair(const std::string& directory) {
    const auto store = HF_TRY(open_disk(directory));
    return mark_wanted(*store, HF_TRY(rewind::load_repair_mark(*store)));
}

Result<Lsn> ReplicaJournal::sync() {
    HF_TRY(inbound_->sync());
    HF_TRY(drop_mark());
    return inbound_->durable();
}

Result<Lsn> ReplicaJournal::end_sync() {
    HF_TRY(inbound_->end_sync());
    return inbound_->durable();
}

// While a complete mark is there nothing of what came since the repair was told as durable; so a journal that was opened anew may
// begin anew as well, and need not find out whether what it holds is from before.
Status ReplicaJournal::settle_repair() {
    mark_ = HF_TRY(rewind::load_repair_mark(*store_));
    if (!mark_ || !mark_->is_complete) return ok();
    if (begun_anew_ != mark_->point) {
        const rewind::RepairPoint& point = mark_->point;
        HF_TRY(with_store_held([&] { return inbound_->restart({point.begin, point.begin_chain, point.at}); }));
        HF_TRY(lower_cursors());
        begun_anew_ = point;
    }
    return drop_mark();
}

Status ReplicaJournal::drop_mark() {
    if (!mark_ || !mark_->is_complete || inbound_->durable() <= mark_->point.begin + HF_SEGMENT_HEADER_BYTES) return ok();
    HF_TRY(rewind::remove_repair_mark(*store_));
    mark_.reset();
    return ok();
}

// The store's reader has the file open, and would wait for ever for records in one that has no name any more: it is held meanwhile and
// looks anew afterwards. A store that does not run opens the journal when it starts.
Status ReplicaJournal::with_store_held(const std::function<Status()>& change) {
    const auto ask = [&](const char* verb) -> Status {
        auto answer = json_call(journal::store_socket(volume_.id), {{"verb", verb}});
        if (!answer && answer.error().code != ErrorCode::unavailable) return std::move(answer).error();
        return ok();
    };
    HF_TRY(ask("hold"));
    const Status changed = change();
    HF_TRY(ask("go-on"));
    return changed;
}

Status ReplicaJournal::drop_header() {
    return with_store_held([this] { return inbound_->cut(inbound_->received()); });
}

Result<std::optional<Position>> ReplicaJournal::position(Lsn at) {
    return position_at_or_below(*disk_, volume_.id, volume_.segment_bytes, std::min(at, inbound_->received()));
}

Status ReplicaJournal::take_back(Lsn at) {
    HF_TRY(keep_aside(at));
    HF_TRY(take_store_back(volume_.store, at));
    HF_TRY(inbound_->cut(at));
    return lower_cursors();
}

// Those to whom this replica is sent on follow it back, and need again what they had of another history.
Status ReplicaJournal::lower_cursors() {
    const Lsn end = inbound_->received();
    for (const auto& [consumer, position] : HF_TRY(journal::load_cursors(*cursors_, volume_.id)))
        if (consumer.starts_with(journal::replica_consumer_prefix) && position > end) HF_TRY(journal::save_cursor(*cursors_, volume_.id, consumer, end));
    return ok();
}

Status ReplicaJournal::keep_for(const std::vector<std::string>& peers) {
    const auto known = HF_TRY(journal::load_cursors(*cursors_, volume_.id));
    for (const std::string& peer : peers) {
        const std::string consumer = replica_consumer(peer);
        const bool has_cursor = std::any_of(known.begin(), known.end(), [&](const auto& cursor) { return cursor.first == consumer; });
        if (!has_cursor) HF_TRY(journal::save_cursor(*cursors_, volume_.id, consumer, inbound_->begin()));
    }
    return ok();
}

// Whole segment files: what lies in the first of them before AT makes them readable. They get their name last, so a directory without
// `.new` is complete.
Status ReplicaJournal::keep_aside(Lsn at) {
    const Lsn end = inbound_->received();
    if (at >= end) return ok();
    const std::string top = volume_.store + "/discarded", place = top + "/" + std::to_string(at) + "-" + std::to_string(end), half = place + ".new";
    std::error_code failure;
    if (std::filesystem::exists(place, failure)) return ok();
    std::filesystem::remove_all(half, failure);
    std::filesystem::create_directories(half, failure);
    if (failure) return errno_error(failure.value(), "make the directory " + quoted(half));
    const auto kept = HF_TRY(open_disk(half));
    for (uint64_t index = journal::segment_of(at, volume_.segment_bytes); journal::segment_begin(index, volume_.segment_bytes) < end; ++index) {
        const std::string name = journal::segment_name(index);
        const auto from = HF_TRY(disk_->open(name, Disk::Open::existing_read_only));
        const auto to = HF_TRY(kept->open(name, Disk::Open::create_new));
        HF_TRY(rewind::copy_file(from->fd(), to->fd(), HF_TRY(from->size())));
        HF_TRY(to->sync());
    }
    HF_TRY(kept->sync_directory());
    const auto places = HF_TRY(open_disk(top));
    HF_TRY(places->rename(half.substr(top.size() + 1), place.substr(top.size() + 1)));
    HF_TRY(places->sync_directory());
    HF_TRY(store_->sync_directory());
    log_warning("What this replica had from address " + std::to_string(at) + " to " + std::to_string(end) + " and its source has not is kept in " + quoted(place) + ".");
    return ok();
}

Status ReplicaJournal::release() {
    const auto needed = HF_TRY(journal::lowest_cursor(*cursors_, volume_.id));
    return needed ? inbound_->release_below(*needed) : ok();
}

}  // namespace holdfast::replicator
