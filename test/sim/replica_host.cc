#include "test/sim/replica_host.h"

#include "base/overloaded.h"
#include "journal/reader.h"
#include "replicator/protocol/stream_reader.h"
#include "replicator/protocol/feed.h"
#include "test/support/journal_builder.h"

namespace holdfast::sim {

using namespace journal;
using namespace replicator;

namespace {

constexpr uint64_t segment_bytes = test::JournalBuilder::segment_bytes;

}  // namespace

ReplicaHost::ReplicaHost(std::mt19937_64& random, Network& network, Ledger& ledger, const VolumeId& volume)
    : random_(random), network_(network), ledger_(ledger), volume_(volume) {
    open(std::move(disk_), 0);
}

void ReplicaHost::open(std::unique_ptr<test::MemoryDisk> disk, Lsn at_least) {
    disconnected();
    inbound_.reset();
    disk_ = std::move(disk);
    disk_->set_capacity(UINT64_MAX);
    inbound_ = must(Inbound::open(*disk_, nullptr, volume_, segment_bytes, nullptr), "the replica opens its journal");
    begun_anew_.reset();
    must(settle_repair(), "the replica settles a repair");
    if (inbound_->received() < at_least)
        throw Failure("the replica had acknowledged " + std::to_string(at_least) + " as durable and has only " + std::to_string(inbound_->received()));
}

// What a crash may not take. While a complete mark is there the journal is begun anew, and nothing of it was told yet.
Lsn ReplicaHost::survives(bool is_power_lost) const {
    if (mark_ && mark_->is_complete) return promised_;
    return is_power_lost ? inbound_->durable() : inbound_->received();
}

void ReplicaHost::kill() {
    // Nothing of the page cache is lost with a process.
    const Lsn at_least = survives(false);
    store_.kill();
    open(disk_->after_process_crash(), at_least);
}

void ReplicaHost::lose_power() {
    const Lsn at_least = survives(true);
    store_.lose_power(random_);
    open(disk_->after_power_loss(random_), at_least);
}

void ReplicaHost::diverge() {
    disconnected();
    empty_disk();
    const Lsn at = inbound_->received();
    if (at % segment_bytes == 0 || segment_end(segment_of(at, segment_bytes), segment_bytes) - at < 64 << 10) return;
    std::string data(1 + random_() % 4000, static_cast<char>(random_()));
    Record record;
    record.type = HF_WRITE;
    record.lsn = at;
    record.time_ns = 7;
    record.object = {random_() % 100 + 2, 1, 2};
    record.body = Write{random_() % 100000, bytes_of(data)};
    EncodedRecord encoded(record, encoded_length(record.body));
    std::vector<std::byte> bytes;
    for (const ByteSpan piece : encoded.pieces()) bytes.insert(bytes.end(), piece.begin(), piece.end());
    ledger_.written(at, encoded.checksum());
    must(inbound_->append(bytes), "a promoted replica writes");
    if (random_() % 2) must(inbound_->sync(), "a promoted replica syncs");
}

void ReplicaHost::fill_disk() {
    disk_->set_capacity(0);
}

void ReplicaHost::empty_disk() {
    disk_->set_capacity(UINT64_MAX);
}

void ReplicaHost::lose_disks() {
    store_ = ModelStore();
    promised_ = 0;
    open(std::make_unique<test::MemoryDisk>(), 0);
}

void ReplicaHost::catch_up() {
    // An image that is being repaired is no moment that a record could follow.
    if (mark_ && !mark_->is_complete) return;
    store_.follow(*disk_, volume_, inbound_->durable());
}

Hello ReplicaHost::greeting() {
    // What the stream resumes from must survive a power cut. A header without records may be that of a segment which the
    // source has begun anew since.
    must(inbound_->sync(), "the replica syncs before it greets");
    must(settle_repair(), "the replica settles a repair");
    const bool has_only_header = inbound_->received() % segment_bytes == HF_SEGMENT_HEADER_BYTES;
    if (has_only_header) must(inbound_->cut(inbound_->received()), "the replica drops a header");
    Hello hello;
    hello.role = Role::replica;
    hello.volume = volume_;
    hello.segment_bytes = segment_bytes;
    hello.is_empty = inbound_->is_empty();
    hello.is_unsound = mark_ && !mark_->is_complete;
    hello.oldest = hello.window_begin = inbound_->begin();
    if (const auto& beginning = inbound_->beginning()) hello.window_begin = std::max(hello.window_begin, beginning->equal_at);
    hello.end = {inbound_->received(), must(inbound_->chain_at(inbound_->received()), "the replica's position")};
    promised_ = hello.end.lsn;
    return hello;
}

void ReplicaHost::connected(uint64_t now_ns) {
    disconnected();
    frames_ = FrameReader();
    receiver_.emplace(greeting(), 1, now_ns);
    carry_out(receiver_->start(now_ns), now_ns);
}

void ReplicaHost::receive(ByteSpan bytes, uint64_t now_ns) {
    frames_.append(bytes);
    feed(frames_, receiver_, now_ns, [&](Actions actions) { carry_out(std::move(actions), now_ns); });
}

void ReplicaHost::tick(uint64_t now_ns) {
    if (has_session() && sync_due_ns_ && *sync_due_ns_ <= now_ns) {
        sync_due_ns_.reset();
        must(inbound_->sync(), "the replica syncs");
        drop_mark();
        promised_ = std::max(promised_, inbound_->durable());
        carry_out(receiver_->on_synced(inbound_->durable(), now_ns), now_ns);
        if (random_() % 2) catch_up();
        if (has_session()) carry_out(receiver_->on_applied(store_.applied(), now_ns), now_ns);
    }
    if (has_session()) carry_out(receiver_->on_tick(now_ns), now_ns);
}

void ReplicaHost::failed(const Status& status, uint64_t now_ns) {
    carry_out(receiver_->on_failure(Reason::storage, status.error().message, now_ns), now_ns);
}

void ReplicaHost::store(const Records& records, uint64_t now_ns) {
    if (Status stored = inbound_->append(records.bytes); !stored) {
        if (stored.error().code != ErrorCode::no_space) throw Failure("the replica refused the source's records: " + stored.error().message);
        return failed(stored, now_ns);
    }
    Lsn lsn = records.first;
    for (ByteSpan rest = records.bytes; !rest.empty();) {
        hf_record_header header;
        memcpy(&header, rest.data(), sizeof header);
        if (!ledger_.knows(lsn, header.checksum)) throw Failure("the replica has a record at " + std::to_string(lsn) + " that nobody wrote");
        lsn += header.length;
        rest = rest.subspan(written_length(header));
    }
    carry_out(receiver_->on_stored(inbound_->received(), now_ns), now_ns);
}

void ReplicaHost::rewind(Lsn at, uint64_t now_ns) {
    store_.take_back(at);
    must(inbound_->cut(at), "the replica goes back");
    carry_out(receiver_->on_rewound(greeting(), now_ns), now_ns);
}

// Now and then the host does, where it hurts.
bool ReplicaHost::crashes() {
    if (random_() % 12 != 0) return false;
    network_.cut();
    if (random_() % 2) kill();
    else lose_power();
    return true;
}

void ReplicaHost::begin_repair(const RepairBegins& begins, uint64_t now_ns) {
    const rewind::RepairPoint point{begins.at, begins.time_ns, begins.begin.lsn, begins.begin.chain};
    mark_ = rewind::RepairMark{false, point};
    must(rewind::save_repair_mark(store_.disk(), *mark_), "the store marks a repair");
    if (!crashes()) ask(0, now_ns);
}

void ReplicaHost::ask(size_t part, uint64_t now_ns) {
    carry_out(receiver_->on_store_question({std::byte(part)}, now_ns), now_ns);
}

void ReplicaHost::take_answer(ByteSpan answer, uint64_t now_ns) {
    const auto part = static_cast<size_t>(answer[0]);
    uint64_t value;
    memcpy(&value, &answer[1], sizeof value);
    store_.set_part(part, value);
    if (part + 1 < ModelStore::parts) ask(part + 1, now_ns);
    else end_repair(now_ns);
}

void ReplicaHost::end_repair(uint64_t now_ns) {
    store_.jump(mark_->point.at);
    if (crashes()) return;
    mark_->is_complete = true;
    promised_ = 0;
    must(rewind::save_repair_mark(store_.disk(), *mark_), "the store marks that a repair is complete");
    if (crashes()) return;
    begun_anew_.reset();
    if (Status settled = settle_repair(); !settled) {
        if (settled.error().code != ErrorCode::no_space) throw Failure("the replica's journal does not begin anew: " + settled.error().message);
        failed(settled, now_ns);
        return kill();  // which opens it anew
    }
    ++repairs_;
    if (!crashes()) carry_out(receiver_->on_repaired(greeting(), now_ns), now_ns);
}

Status ReplicaHost::settle_repair() {
    mark_ = HF_TRY(rewind::load_repair_mark(store_.disk()));
    if (!mark_ || !mark_->is_complete) return ok();
    if (begun_anew_ != mark_->point) {
        HF_TRY(inbound_->restart({mark_->point.begin, mark_->point.begin_chain, mark_->point.at}));
        begun_anew_ = mark_->point;
    }
    drop_mark();
    return ok();
}

void ReplicaHost::drop_mark() {
    if (!mark_ || !mark_->is_complete || inbound_->durable() <= mark_->point.begin + HF_SEGMENT_HEADER_BYTES) return;
    must(rewind::remove_repair_mark(store_.disk()), "a repair is over");
    mark_.reset();
}

void ReplicaHost::carry_out(Actions actions, uint64_t now_ns) {
    for (Action& action : actions) {
        // An earlier one of them may have ended the session.
        if (!receiver_) return;
        std::visit(Overloaded{
                       [&](Send& send) { network_.send(Side::replica, encode_frame(send.message, {1, now_ns, 1}), now_ns); },
                       [&](AskPosition& ask) {
                           const Lsn at = std::min(ask.at, inbound_->received());
                           auto position = must(position_at_or_below(*disk_, volume_, segment_bytes, at), "a position of the replica");
                           carry_out(receiver_->on_position(ask.at, position, now_ns), now_ns);
                       },
                       [&](BeginSegment& begin) {
                           if (Status begun = inbound_->begin_segment(begin.header); !begun) {
                               if (begun.error().code != ErrorCode::no_space) throw Failure("the replica refused a segment's header: " + begun.error().message);
                               failed(begun, now_ns);
                           }
                       },
                       [&](StoreRecords& store) { if (has_session()) this->store(store.records, now_ns); },
                       [&](SyncJournal&) { sync_due_ns_ = now_ns + random_() % 30'000'000; },
                       [&](RewindTo& to) { rewind(to.at, now_ns); },
                       [&](BeginRepair& begin) { begin_repair(begin.point, now_ns); },
                       [&](GiveStore& give) { take_answer(give.bytes, now_ns); },
                       [&](Close&) { network_.cut(); },
                       [&](auto&) { throw Failure("the receiver asked for what only a source does"); },
                   },
                   action);
    }
}

}  // namespace holdfast::sim
