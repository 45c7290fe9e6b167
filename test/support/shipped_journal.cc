#include "test/support/shipped_journal.h"

namespace holdfast::test {

using namespace journal;

ShippedJournal::ShippedJournal(uint64_t seed, uint64_t count, size_t bytes_max, uint64_t fork) {
    std::mt19937_64 random(seed);
    HF_CHECK(bench_.open().has_value());
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t choice = random() % 8;
        const size_t bytes = 8 + random() % bytes_max;
        bench_.clock().advance(1'000'000);
        write(i < fork ? i : i + 1'000'000, choice, bytes);
    }
    bench_.close();
    Reader reader = bench_.reader(false);
    for (;;) {
        const auto raw = reader.next_raw();
        HF_CHECK(raw.has_value());
        if (!*raw) break;
        records_.push_back({(*raw)->lsn, (*raw)->length, (*raw)->type, {(*raw)->bytes.begin(), (*raw)->bytes.end()}});
    }
    HF_CHECK(records_.back().type == HF_SEGMENT_END);
}

void ShippedJournal::write(uint64_t number, uint64_t choice, size_t bytes) {
    const NumberedWrite write(number, bytes);
    if (choice > 1) {
        HF_CHECK(bench_.writer().append(write.record()).has_value());
        return;
    }
    const auto ticket = bench_.writer().reserve(write.length() + 1024);
    HF_CHECK(ticket.has_value());
    const Status done = choice == 0 ? bench_.writer().abandon(*ticket) : bench_.writer().commit(*ticket, write.record());
    HF_CHECK(done.has_value());
}

std::vector<std::byte> ShippedJournal::bytes(Lsn from, Lsn to) const {
    std::vector<std::byte> all;
    for (const Raw& record : records_) {
        if (record.lsn >= from && record.lsn < to) all.insert(all.end(), record.bytes.begin(), record.bytes.end());
    }
    return all;
}

ByteSpan ShippedJournal::header(uint64_t index) {
    const auto header = read_segment_header(disk(), bench_volume, segment_bytes, index);
    HF_CHECK(header.has_value());
    header_ = *header;
    return bytes_of(header_);
}

Result<bool> ShippedJournal::ship_next(Inbound& inbound, size_t batch_bytes) {
    const Lsn from = inbound.received();
    if (from >= end()) return false;
    if (from % segment_bytes == 0) {
        HF_TRY(inbound.begin_segment(header(from / segment_bytes)));
        return true;
    }
    std::vector<std::byte> batch;
    Reader reader(disk(), bench_volume, segment_bytes, nullptr);
    reader.seek(from);
    do {
        const auto raw = HF_TRY(reader.next_raw());
        if (!raw) break;
        batch.insert(batch.end(), raw->bytes.begin(), raw->bytes.end());
        if (raw->type == HF_SEGMENT_END) break;
    } while (batch.size() < batch_bytes);
    HF_TRY(inbound.append(batch));
    return true;
}

Status ShippedJournal::ship_all(Inbound& inbound, size_t batch_bytes) {
    while (HF_TRY(ship_next(inbound, batch_bytes))) continue;
    return ok();
}

std::string ShippedJournal::difference(MemoryDisk& replica, uint64_t first) {
    const auto mine = disk().list(), theirs = replica.list();
    HF_CHECK(mine.has_value() && theirs.has_value());
    for (const std::string& name : *mine) {
        const auto index = parse_segment_name(name);
        if (!index || *index < first) continue;
        if (std::find(theirs->begin(), theirs->end(), name) == theirs->end()) return name + " is not there";
        if (memory().contents(name) != replica.contents(name)) return name + " differs";
    }
    return "";
}

}  // namespace holdfast::test
