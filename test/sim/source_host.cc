#include "test/sim/source_host.h"

#include "base/overloaded.h"
#include "journal/cursor.h"
#include "journal/recovery.h"
#include "replicator/protocol/feed.h"

namespace holdfast::sim {

using namespace journal;
using namespace replicator;

namespace {

constexpr uint64_t segment_bytes = test::JournalBuilder::segment_bytes;

// A journal recovery without a process that survived: no slot to settle.
Result<std::optional<Record>> settle_nothing(Slot&, const Record&) {
    return std::optional<Record>();
}

}  // namespace

SourceHost::SourceHost(std::mt19937_64& random, Network& network, Ledger& ledger)
    : random_(random), network_(network), ledger_(ledger), builder_(std::make_unique<test::JournalBuilder>(*disk_)), volume_(builder_->volume) {
    sync();
}

void SourceHost::work(uint64_t now_ns) {
    const Lsn before = published();
    for (uint64_t left = 1 + random_() % 8; left > 0; --left) {
        // Mostly small, now and then large enough that segments end soon.
        size_t bytes = random_() % 8 == 0 ? random_() % (900 << 10) : random_() % 6000;
        const uint64_t room = segment_end(builder_->segment(), segment_bytes) - HF_SEGMENT_END_BYTES - published();
        // And where it is near, up to the last byte before the seal, or a few less.
        if (random_() % 4 == 0 && room >= 1024 && room < (900 << 10)) bytes = room - sizeof(hf_record_header) - random_() % 40;
        if (written_length(hf_record_header{.data_length = static_cast<uint32_t>(bytes)}) > room) {
            uncut_.push_back({builder_->segment(), published()});
            builder_->seal_uncut();
            note(segment_begin(builder_->segment() - 1, segment_bytes));
        }
        builder_->add_write(bytes, static_cast<char>(random_()));
    }
    note(std::max(before, segment_begin(builder_->segment(), segment_bytes)));
    if (has_session()) carry_out(sender_->on_published(published(), now_ns), now_ns);
}

// Tells the ledger of what is whole from FROM to the end of its segment. Segments that nobody needs may have lost anything in a
// power loss.
void SourceHost::note(Lsn from) {
    Reader reader(*disk_, volume_, segment_bytes, nullptr);
    reader.seek(from);
    const Lsn limit = segment_end(segment_of(from, segment_bytes), segment_bytes);
    while (reader.position() < limit) {
        const auto record = reader.next_raw();
        if (!record || !*record) return;
        hf_record_header header;
        memcpy(&header, (*record)->bytes.data(), sizeof header);
        ledger_.written((*record)->lsn, header.checksum);
    }
}

void SourceHost::sync() {
    for (const std::string& name : must(disk_->list(), "list")) must(must(disk_->open(name, Disk::Open::existing), "open")->sync(), "sync");
    must(disk_->sync_directory(), "sync the directory");
    // Only now, as the writer does.
    for (const auto& [segment, seal] : uncut_)
        must(must(disk_->open(segment_name(segment), Disk::Open::existing), "open")->truncate(seal % segment_bytes + HF_SEGMENT_END_BYTES), "cut");
    uncut_.clear();
    store_.follow(*disk_, volume_, published());
}

void SourceHost::lose_power() {
    disconnected();
    builder_.reset();
    uncut_.clear();
    disk_ = disk_->after_power_loss(random_);
    cursors_ = cursors_->after_power_loss(random_);
    store_.lose_power(random_);
    cursor_ = must(lowest_cursor(*cursors_, volume_), "cursors").value_or(0);

    test::ScratchDirectory fresh;  // the table of the host's earlier life means nothing
    auto table = must(InflightTable::open(fresh / "inflight", volume_), "table");
    SurveyHints hints;
    // Everything kept is needed: a replica that is sent back asks again for what it had acknowledged, and the hash chain must
    // lead up to where the two still agree.
    hints.taken = cursor_;
    const Survey found = must(survey(*disk_, volume_, segment_bytes, hints), "survey");
    const journal::Decision decision = journal::decide(found, false, false);
    if (decision.action == journal::Action::refuse) throw Failure("a power loss made the source refuse its own journal: " + decision.sentence);
    const RepairReport report = must(repair(*disk_, volume_, segment_bytes, found, *table, settle_nothing, hints), "repair");
    builder_ = std::make_unique<test::JournalBuilder>(*disk_, volume_, report.stream_end);
    for (uint64_t index = must(Reader::extent(*disk_), "extent").first_segment; index < builder_->segment(); ++index) note(segment_begin(index, segment_bytes));
    // Capture opens a gap, repairs and syncs before it serves anybody.
    builder_->add_session(true, false);
    note(segment_first_record(builder_->segment(), segment_bytes));
    sync();
}

void SourceHost::release() {
    sync();  // what is not durable yet is never forgotten
    const auto extent = must(Reader::extent(*disk_), "extent");
    for (uint64_t index = extent.first_segment; segment_end(index, segment_bytes) <= cursor_ && index + 1 < builder_->segment(); ++index) {
        must(disk_->remove(segment_name(index)), "release");
        must(disk_->sync_directory(), "release");
    }
}

void SourceHost::forget_replica() {
    disconnected();
    sync();
    cursor_ = published();
    must(save_cursor(*cursors_, volume_, "replica", cursor_), "save the cursor");
    release();
}

Hello SourceHost::greeting() {
    Hello hello;
    hello.role = Role::source;
    hello.volume = volume_;
    hello.segment_bytes = segment_bytes;
    hello.oldest = must(Reader::extent(*disk_), "extent").first_segment * segment_bytes;
    const auto end = must(position_at_or_below(*disk_, volume_, segment_bytes, published()), "the source's position");
    if (!end || end->lsn != moment_of(published(), segment_bytes)) throw Failure("the source cannot name its own end");
    hello.end = *end;
    return hello;
}

void SourceHost::connected(uint64_t now_ns) {
    frames_ = FrameReader();
    promised_from_ = cursor_;
    reader_ = std::make_unique<StreamReader>(*disk_, volume_, segment_bytes, nullptr);
    sender_.emplace(greeting(), 1, now_ns);
    carry_out(sender_->start(now_ns), now_ns);
}

void SourceHost::receive(ByteSpan bytes, uint64_t now_ns) {
    frames_.append(bytes);
    feed(frames_, sender_, now_ns, [&](Actions actions) { carry_out(std::move(actions), now_ns); });
}

void SourceHost::tick(uint64_t now_ns) {
    if (has_session()) carry_out(sender_->on_tick(now_ns), now_ns);
}

void SourceHost::read(const ReadStream& what, uint64_t now_ns) {
    auto piece = reader_->read(what.from, what.bytes_max);
    // Between the greeting and the first cursor of a session nothing keeps what a replica needs again that was given up, or lost its disks.
    if (!piece && piece.error().code == ErrorCode::not_found && what.from < promised_from_)
        return carry_out(sender_->on_failure(Reason::storage, piece.error().message, now_ns), now_ns);
    carry_out(sender_->on_read(must(std::move(piece), "the source reads its journal"), now_ns), now_ns);
}

// As SourceJournal::offer_repair(), with what the store had applied when it was asked.
void SourceHost::offer_repair(uint64_t now_ns) {
    if (random_() % 2) sync();
    const Lsn at = store_.applied(), begin = segment_begin(segment_of(at, segment_bytes), segment_bytes);
    cursor_ = promised_from_ = begin;
    must(save_cursor(*cursors_, volume_, "replica", cursor_), "save the cursor");
    if (must(Reader::extent(*disk_), "extent").first_segment * segment_bytes > begin) throw Failure("the source forgot the segment that its store stands in");
    const auto position = must(position_at_or_below(*disk_, volume_, segment_bytes, begin), "where the replica's journal is to begin");
    if (!position || position->lsn != begin) throw Failure("the source cannot name where the replica's journal is to begin");
    view_ = store_.image();
    carry_out(sender_->on_repair_offered({at, now_ns, *position}, greeting(), now_ns), now_ns);
}

// A part of the image is asked for by its number.
void SourceHost::answer(ByteSpan question, uint64_t now_ns) {
    const auto part = static_cast<size_t>(question[0]);
    std::vector<std::byte> bytes(1 + sizeof view_[part], question[0]);
    memcpy(&bytes[1], &view_[part], sizeof view_[part]);
    carry_out(sender_->on_store_answer(std::move(bytes), now_ns), now_ns);
}

void SourceHost::carry_out(Actions actions, uint64_t now_ns) {
    for (replicator::Action& action : actions) {
        std::visit(Overloaded{
                       [&](Send& send) { network_.send(Side::source, encode_frame(send.message, {1, now_ns, 1}), now_ns); },
                       [&](AskPosition& ask) {
                           auto position = must(position_at_or_below(*disk_, volume_, segment_bytes, ask.at), "a position of the source");
                           carry_out(sender_->on_position(ask.at, position, now_ns), now_ns);
                       },
                       [&](ReadStream& what) { read(what, now_ns); },
                       [&](SaveCursor& save) {
                           must(save_cursor(*cursors_, volume_, "replica", save.at), "save the cursor");
                           cursor_ = save.at;
                       },
                       [&](OfferRepair&) { offer_repair(now_ns); },
                       [&](AskStore& ask) { answer(ask.bytes, now_ns); },
                       [&](Close&) { network_.cut(); },
                       [&](StepDown&) { throw Failure("the only source was told to step down"); },
                       [&](auto&) { throw Failure("the sender asked for what only a replica does"); },
                   },
                   action);
    }
}

}  // namespace holdfast::sim
