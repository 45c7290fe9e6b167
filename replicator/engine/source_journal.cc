#include "replicator/engine/source_journal.h"

#include <algorithm>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_socket.h"
#include "base/text.h"
#include "journal/bookmark_name.h"
#include "journal/cursor.h"
#include "journal/segment.h"

namespace holdfast::replicator {

namespace {

// Each record of a repair takes eight (rewind/sync/repair_log.h): four million.
constexpr uint64_t repair_room_bytes = 32 << 20;

Result<std::unique_ptr<journal::InflightTable>> open_table(const journal::Volume& volume) {
    auto table = journal::InflightTable::open_existing(volume.journal_directory + "/inflight");
    if (table || table.error().code != ErrorCode::not_found) return table;
    if (volume.is_replica()) return Error{ErrorCode::unavailable, "the replica in " + quoted(volume.store) + " has not been opened since this host started; it is sent on once it is"};
    return Error{ErrorCode::unavailable, quoted(volume.directory) + " has not been mounted since this host started; its changes are sent once it is"};
}

}  // namespace

std::string replica_consumer(std::string_view peer) {
    return std::string(journal::replica_consumer_prefix) + std::string(peer);
}

Result<std::vector<std::string>> replicas_waited_for(const journal::Volume& volume) {
    auto cursors = HF_TRY(open_disk(volume.journal_directory + "/cursors"));
    std::vector<std::string> peers;
    for (const auto& [consumer, position] : HF_TRY(journal::load_cursors(*cursors, volume.id)))
        if (consumer.starts_with(journal::replica_consumer_prefix)) peers.push_back(consumer.substr(journal::replica_consumer_prefix.size()));
    return peers;
}

Status forget_replica(const journal::Volume& volume, std::string_view peer) {
    const auto peers = HF_TRY(replicas_waited_for(volume));
    if (std::find(peers.begin(), peers.end(), peer) == peers.end())
        return Error{ErrorCode::not_found, "the journal of " + quoted(journal::name_of(volume)) + " is not kept for a replica on " + quoted(peer)};
    auto cursors = HF_TRY(open_disk(volume.journal_directory + "/cursors"));
    HF_TRY(cursors->remove(replica_consumer(peer)));
    return cursors->sync_directory();
}

SourceJournal::SourceJournal(const journal::Volume& volume, std::string consumer, std::unique_ptr<Disk> disk, std::unique_ptr<Disk> cursors,
                             std::unique_ptr<journal::InflightTable> table, std::unique_ptr<journal::InflightTable> watch)
    : volume_(volume),
      consumer_(std::move(consumer)),
      disk_(std::move(disk)),
      cursors_(std::move(cursors)),
      table_(std::move(table)),
      watch_(std::move(watch)) {}

Result<std::unique_ptr<SourceJournal>> SourceJournal::open(const journal::Volume& volume, std::string_view peer) {
    auto disk = HF_TRY(open_disk(volume.journal_directory));
    auto cursors = HF_TRY(open_disk(volume.journal_directory + "/cursors"));
    auto table = HF_TRY(open_table(volume));
    auto watch = HF_TRY(open_table(volume));
    if (table->head().volume != volume.id) return Error{ErrorCode::foreign, "the journal in " + quoted(volume.journal_directory) + " belongs to another volume"};
    std::unique_ptr<SourceJournal> source(
        new SourceJournal(volume, replica_consumer(peer), std::move(disk), std::move(cursors), std::move(table), std::move(watch)));
    const auto known = HF_TRY(journal::load_cursors(*source->cursors_, volume.id));
    const bool has_cursor = std::any_of(known.begin(), known.end(), [&](const auto& cursor) { return cursor.first == source->consumer_; });
    if (!has_cursor) {
        const Lsn all = HF_TRY(source->oldest());
        HF_TRY(journal::save_cursor(*source->cursors_, volume.id, source->consumer_, all));
    }
    HF_TRY(source->begin_anew());
    return source;
}

// Where the oldest segment begins; a replica that has received nothing keeps all that will come.
Result<Lsn> SourceJournal::oldest() const {
    const auto kept = journal::Reader::extent(*disk_);
    if (!kept && kept.error().code == ErrorCode::not_found && volume_.is_replica()) return Lsn{0};
    if (!kept) return kept.error();
    return kept->first_segment * volume_.segment_bytes;
}

Status SourceJournal::begin_anew() {
    using Until = journal::Reader::Until;
    reader_ = std::make_unique<StreamReader>(*disk_, volume_.id, volume_.segment_bytes, table_.get(), volume_.is_replica() ? Until::durable : Until::published);
    synced_ = 0;
    cuts_ = table_->head().cuts.load();
    return check_history();
}

// An odd number of cuts is one that is under way.
Status SourceJournal::check_history() const {
    if (!has_gone_back() && cuts_ % 2 == 0) return ok();
    return Error{ErrorCode::unavailable, "the replica here goes back to where its own source's history parts from it; those that it serves follow it there"};
}

Result<Hello> SourceJournal::greeting() {
    HF_TRY(begin_anew());
    Hello hello;
    hello.role = Role::source;
    hello.volume = volume_.id;
    hello.segment_bytes = volume_.segment_bytes;
    hello.oldest = HF_TRY(oldest());
    const Lsn end = this->end();
    if (end == 0 && volume_.is_replica()) return Error{ErrorCode::unavailable, "nothing has arrived at the replica in " + quoted(volume_.store) + " yet that could be sent on"};
    const auto position = HF_TRY(this->position(end));
    if (!position || position->lsn != end)
        return Error{ErrorCode::unavailable, "the hash chain at the end of the journal, " + std::to_string(end) +
                                                 ", cannot be told: its beginning is not kept; it can again when the next segment is full"};
    hello.end = *position;
    HF_TRY(check_history());
    return hello;
}

Result<std::optional<Position>> SourceJournal::position(Lsn at) {
    auto position = position_at_or_below(*disk_, volume_.id, volume_.segment_bytes, std::min(at, published()));
    HF_TRY(check_history());
    return position;
}

Result<std::optional<Lsn>> SourceJournal::make_moment() {
    if (volume_.is_replica()) return std::optional<Lsn>();
    const std::string name = journal::bookmark_name_of("repair-" + consumer_.substr(journal::replica_consumer_prefix.size()), system_clock().realtime_ns());
    const auto made = json_call(journal::capture_socket(volume_.id), {{"verb", "bookmark"}, {"name", name}, {"room", repair_room_bytes}});
    if (!made && made.error().code == ErrorCode::unavailable) return std::optional<Lsn>();
    if (!made) return made.error();
    return number_at(*made, "lsn");
}

Result<SourceJournal::RepairOffer> SourceJournal::offer_repair(Lsn at, uint64_t time_ns) {
    if (at > published())
        return Error{ErrorCode::unavailable, "the store has applied up to " + std::to_string(at) + ", and the journal is published up to " + std::to_string(published())};
    const uint64_t index = journal::segment_of(at, volume_.segment_bytes);
    const Lsn begin = journal::segment_begin(index, volume_.segment_bytes);
    // First, so that what is found kept then stays.
    HF_TRY(save_cursor(begin, history()));
    const Hello self = HF_TRY(greeting());
    if (self.oldest > begin)
        return Error{ErrorCode::not_found, "the journal does not keep " + journal::segment_name(index) + " any more, which the replica would go on from"};
    const auto position = HF_TRY(this->position(begin));
    if (!position || position->lsn != begin)
        return Error{ErrorCode::unavailable, "the hash chain where " + journal::segment_name(index) + " begins cannot be told, because nothing before it is kept; it can when the next segment has begun"};
    return RepairOffer{{at, time_ns, *position}, self};
}

Result<StreamPiece> SourceJournal::read(Lsn from, uint32_t bytes_max) {
    auto read = reader_->read(from, bytes_max);
    HF_TRY(check_history());  // first: what was being cut may look like damage
    StreamPiece piece = HF_TRY(std::move(read));
    if (piece.records.end > synced_ + volume_.segment_bytes / 2) {
        HF_TRY(reader_->sync());
        synced_ = piece.records.end;
    }
    return piece;
}

Result<unsigned> SourceJournal::kept_percent() const {
    const auto cursors = HF_TRY(journal::load_cursors(*cursors_, volume_.id));
    const auto own = std::find_if(cursors.begin(), cursors.end(), [&](const auto& cursor) { return cursor.first == consumer_; });
    if (own == cursors.end()) return 0u;  // it was cut off
    const Lsn begin = std::max(own->second, HF_TRY(oldest())), end = published();
    return static_cast<unsigned>((end - std::min(begin, end)) * 100 / std::max<uint64_t>(volume_.journal_bytes_max, 1));
}

Status SourceJournal::save_cursor(Lsn at, uint32_t history) {
    // Going back lowers the cursors after it announced itself. A write of ours that comes later than that sees the announcement here, and
    // zero only keeps more.
    HF_TRY(journal::save_cursor(*cursors_, volume_.id, consumer_, at));
    return is_over(history) ? journal::save_cursor(*cursors_, volume_.id, consumer_, 0) : ok();
}

}  // namespace holdfast::replicator
