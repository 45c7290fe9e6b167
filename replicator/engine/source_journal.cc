#include "replicator/engine/source_journal.h"

#include <algorithm>

#include "base/text.h"
#include "journal/cursor.h"
#include "journal/segment.h"

namespace holdfast::replicator {

namespace {

Result<std::unique_ptr<journal::InflightTable>> open_table(const journal::Volume& volume) {
    auto table = journal::InflightTable::open_existing(volume.journal_directory + "/inflight");
    if (!table && table.error().code == ErrorCode::not_found)
        return Error{ErrorCode::unavailable, quoted(volume.directory) + " has not been mounted since this host started; its changes are sent once it is"};
    return table;
}

std::string replica_consumer(std::string_view peer) {
    return std::string(journal::replica_consumer_prefix) + std::string(peer);
}

}  // namespace

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
        return Error{ErrorCode::not_found, "the journal of " + quoted(volume.directory) + " is not kept for a replica on " + quoted(peer)};
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
      watch_(std::move(watch)),
      reader_(*disk_, volume_.id, volume_.segment_bytes, table_.get()) {}

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
        const auto kept = HF_TRY(journal::Reader::extent(*source->disk_));
        HF_TRY(source->save_cursor(kept.first_segment * volume.segment_bytes));
    }
    return source;
}

Result<Hello> SourceJournal::greeting() {
    Hello hello;
    hello.role = Role::source;
    hello.volume = volume_.id;
    hello.segment_bytes = volume_.segment_bytes;
    hello.is_whole = volume_.journal_is_whole;
    hello.oldest = HF_TRY(journal::Reader::extent(*disk_)).first_segment * volume_.segment_bytes;
    const Lsn end = journal::moment_of(published(), volume_.segment_bytes);
    const auto position = HF_TRY(this->position(end));
    if (!position || position->lsn != end)
        return Error{ErrorCode::unavailable, "the hash chain at the end of the journal, " + std::to_string(end) +
                                                 ", cannot be told: its beginning is not kept; it can again when the next segment is full"};
    hello.end = *position;
    return hello;
}

Result<std::optional<Position>> SourceJournal::position(Lsn at) {
    return position_at_or_below(*disk_, volume_.id, volume_.segment_bytes, std::min(at, published()));
}

Result<SourceJournal::RepairOffer> SourceJournal::offer_repair(Lsn at, uint64_t time_ns) {
    if (at > published())
        return Error{ErrorCode::unavailable, "the store has applied up to " + std::to_string(at) + ", and the journal is published up to " + std::to_string(published())};
    const uint64_t index = journal::segment_of(at, volume_.segment_bytes);
    const Lsn begin = journal::segment_begin(index, volume_.segment_bytes);
    // First, so that what is found kept then stays.
    HF_TRY(save_cursor(begin));
    const Hello self = HF_TRY(greeting());
    if (self.oldest > begin)
        return Error{ErrorCode::not_found, "the journal does not keep " + journal::segment_name(index) + " any more, which the replica would go on from"};
    const auto position = HF_TRY(this->position(begin));
    if (!position || position->lsn != begin)
        return Error{ErrorCode::unavailable, "the hash chain where " + journal::segment_name(index) + " begins cannot be told, because nothing before it is kept; it can when the next segment has begun"};
    return RepairOffer{{at, time_ns, *position}, self};
}

Result<StreamPiece> SourceJournal::read(Lsn from, uint32_t bytes_max) {
    StreamPiece piece = HF_TRY(reader_.read(from, bytes_max));
    if (piece.records.end > synced_ + volume_.segment_bytes / 2) {
        HF_TRY(reader_.sync());
        synced_ = piece.records.end;
    }
    return piece;
}

Result<unsigned> SourceJournal::filled_percent() const {
    const auto kept = HF_TRY(journal::Reader::extent(*disk_));
    const Lsn begin = kept.first_segment * volume_.segment_bytes, end = published();
    return static_cast<unsigned>((end - std::min(begin, end)) * 100 / std::max<uint64_t>(volume_.journal_bytes_max, 1));
}

Status SourceJournal::save_cursor(Lsn at) {
    return journal::save_cursor(*cursors_, volume_.id, consumer_, at);
}

}  // namespace holdfast::replicator
