#include "journal/inbound_batch.h"

#include <cstring>

#include "base/check.h"

namespace holdfast::journal {
namespace {

Error refused(Lsn at, std::string_view why) {
    return {ErrorCode::corrupt, "the record that came for the address " + std::to_string(at) + " is refused: " + std::string(why)};
}

void add_run(InboundBatch& batch, Lsn lsn, ByteSpan bytes) {
    if (!batch.runs.empty()) {
        InboundBatch::Run& last = batch.runs.back();
        if (last.lsn + last.bytes.size() == lsn) {
            last.bytes = ByteSpan(last.bytes.data(), last.bytes.size() + bytes.size());
            return;
        }
    }
    batch.runs.push_back({lsn, bytes});
}

}  // namespace

Result<InboundBatch> check_batch(ByteSpan records, Lsn at, Lsn segment_end) {
    HF_CHECK(!records.empty());
    InboundBatch batch;
    while (!records.empty()) {
        if (batch.seal) return refused(at, "it follows the end of its segment in one batch");
        auto record = decode_record(records, at);
        if (!record && record.error().code == ErrorCode::unsupported) return std::move(record).error();
        if (!record) return refused(at, record.error().message);
        const bool is_seal = record->type == HF_SEGMENT_END;
        if (is_seal && record->end() != segment_end) return refused(at, "it seals a segment and does not reach to its end");
        if (!is_seal && record->end() > segment_end - HF_SEGMENT_END_BYTES) return refused(at, "it leaves no room for the seal of its segment");

        hf_record_header header;
        memcpy(&header, records.data(), sizeof header);
        const ByteSpan written = records.first(written_length(header));
        add_run(batch, at, written);
        if (is_seal) batch.seal = record->as<SegmentEnd>();
        else batch.checksums.push_back(header.checksum);
        batch.written_end = at + written.size();
        batch.end = at = record->end();
        records = records.subspan(written.size());
    }
    return batch;
}

}  // namespace holdfast::journal
