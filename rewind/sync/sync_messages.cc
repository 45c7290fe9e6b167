#include "rewind/sync/sync_messages.h"

#include <algorithm>
#include <cstring>

#include "base/json.h"

namespace holdfast::rewind {

namespace {

struct WireQuestion {
    uint32_t kind;
    uint32_t length;
    uint64_t offset;
    hf_object_id object;
};
static_assert(sizeof(WireQuestion) == 32);

struct WireAnswer {
    uint32_t kind;
    uint32_t flags;
};
static_assert(sizeof(WireAnswer) == 8);

struct WirePosition {
    uint64_t lsn;
    uint8_t chain[16];
};
static_assert(sizeof(WirePosition) == 24);

constexpr uint32_t flag_last = 1, flag_failed = 2;

bool is_kind(uint32_t kind) {
    return kind >= static_cast<uint32_t>(SyncKind::begin) && kind <= static_cast<uint32_t>(SyncKind::shared);
}

// Nothing: it may be asked.
const char* objection_to(const SyncQuestion& question) {
    const bool is_whole_object = question.kind == SyncKind::objects || question.kind == SyncKind::path;
    if (is_whole_object || question.kind == SyncKind::stretch) {
        if (question.length != 0 || (is_whole_object && question.offset != 0)) return "it names a range where none belongs";
        if (!question.object && question.kind != SyncKind::objects) return "it names no object";
        return question.offset > INT64_MAX ? "its range is beyond all files" : nullptr;
    }
    const bool is_range = question.kind == SyncKind::digests || question.kind == SyncKind::bytes;
    const uint32_t length_max = question.kind == SyncKind::catalog ? small_file_bytes_max : 0;
    if (!is_range) return question.length > length_max || question.offset != 0 || question.object ? "it names a range where none belongs" : nullptr;
    if (!question.object) return "it names no object";
    if (question.length == 0 || question.offset > INT64_MAX - uint64_t{question.length}) return "its range is empty or beyond all files";
    if (question.kind == SyncKind::bytes) return question.length > sync_bytes_at_once_max ? "it asks for too much at once" : nullptr;
    if (question.length > digested_at_once_max) return "it asks for too many digests at once";
    return question.offset % digest_chunk_bytes != 0 ? "its digests do not begin at a chunk" : nullptr;
}

Error no_message(const char* what, const char* why) {
    return {ErrorCode::corrupt, std::string("what came as ") + what + " of a comparison is none: " + why};
}

Result<std::vector<ChainPoint>> decode_positions(ByteSpan bytes) {
    if (bytes.size() % sizeof(WirePosition) != 0 || bytes.size() > shared_positions_max * sizeof(WirePosition)) return no_message("a question", "its length is wrong");
    std::vector<ChainPoint> positions;
    for (size_t at = 0; at < bytes.size(); at += sizeof(WirePosition)) {
        WirePosition wire;
        std::memcpy(&wire, &bytes[at], sizeof wire);
        ChainPoint& point = positions.emplace_back(ChainPoint{wire.lsn, {}});
        std::memcpy(point.chain.data(), wire.chain, sizeof wire.chain);
    }
    return positions;
}

template <typename Number>
SyncAnswer number_answer(SyncKind kind, Number number) {
    SyncAnswer answer{kind, false, {}, std::vector<std::byte>(sizeof number)};
    std::memcpy(answer.payload.data(), &number, sizeof number);
    return answer;
}

}  // namespace

std::vector<std::byte> encode_question(const SyncQuestion& question) {
    const WireQuestion head{static_cast<uint32_t>(question.kind), question.length, question.offset,
                            {question.object.inode, question.object.generation, question.object.origin}};
    std::vector<std::byte> bytes(sizeof head + (question.secret ? sync_secret_bytes : 0) + question.positions.size() * sizeof(WirePosition));
    std::memcpy(bytes.data(), &head, sizeof head);
    if (question.secret) std::memcpy(bytes.data() + sizeof head, question.secret->data(), sync_secret_bytes);
    for (size_t i = 0; i < question.positions.size(); ++i) {
        WirePosition wire{question.positions[i].lsn, {}};
        std::memcpy(wire.chain, question.positions[i].chain.data(), sizeof wire.chain);
        std::memcpy(bytes.data() + sizeof head + i * sizeof wire, &wire, sizeof wire);
    }
    return bytes;
}

Result<SyncQuestion> decode_question(ByteSpan bytes) {
    WireQuestion head;
    if (bytes.size() < sizeof head) return no_message("a question", "it is too short");
    std::memcpy(&head, bytes.data(), sizeof head);
    if (!is_kind(head.kind)) return no_message("a question", "its kind is unknown");
    SyncQuestion question{static_cast<SyncKind>(head.kind), {head.object.inode, head.object.generation, head.object.origin}, head.offset, head.length, {}};
    if (question.kind == SyncKind::shared) question.positions = HF_TRY(decode_positions(bytes.subspan(sizeof head)));
    const size_t bytes_behind = question.kind == SyncKind::begin ? sync_secret_bytes : question.positions.size() * sizeof(WirePosition);
    if (bytes.size() != sizeof head + bytes_behind) return no_message("a question", "its length is wrong");
    if (question.kind == SyncKind::begin) std::memcpy(question.secret.emplace().data(), bytes.data() + sizeof head, sync_secret_bytes);
    if (const char* why = objection_to(question)) return no_message("a question", why);
    return question;
}

std::vector<std::byte> encode_answer(const SyncAnswer& answer) {
    const std::string failure = answer.failure ? line_of(json_of(*answer.failure)) : std::string();
    const ByteSpan payload = answer.failure ? bytes_of(failure) : ByteSpan(answer.payload);
    const WireAnswer head{static_cast<uint32_t>(answer.kind), (answer.is_last ? flag_last : 0) | (answer.failure ? flag_failed : 0)};
    std::vector<std::byte> bytes(sizeof head + payload.size());
    std::memcpy(bytes.data(), &head, sizeof head);
    if (!payload.empty()) std::memcpy(bytes.data() + sizeof head, payload.data(), payload.size());
    return bytes;
}

Result<SyncAnswer> decode_answer(ByteSpan bytes) {
    WireAnswer head;
    if (bytes.size() < sizeof head) return no_message("an answer", "it is too short");
    std::memcpy(&head, bytes.data(), sizeof head);
    if (!is_kind(head.kind) || (head.flags & ~(flag_last | flag_failed)) != 0) return no_message("an answer", "its kind is unknown");
    const ByteSpan payload = bytes.subspan(sizeof head);
    SyncAnswer answer{static_cast<SyncKind>(head.kind), (head.flags & flag_last) != 0, {}, {payload.begin(), payload.end()}};
    if (head.flags & flag_failed) {
        const char* text = reinterpret_cast<const char*>(payload.data());
        answer.failure = error_of(Json::parse(text, text + payload.size(), nullptr, false)).within("the source cannot tell of its tree");
    }
    return answer;
}

SyncAnswer version_answer() {
    return number_answer(SyncKind::begin, sync_version);
}

Result<uint32_t> version_of(const SyncAnswer& answer) {
    uint32_t version = 1;
    if (answer.payload.empty()) return version;
    if (answer.payload.size() != sizeof version) return no_message("an answer", "its version has another length");
    std::memcpy(&version, answer.payload.data(), sizeof version);
    if (version == 0) return no_message("an answer", "there is no version 0");
    return version;
}

SyncAnswer shared_answer(journal::Lsn at) {
    return number_answer(SyncKind::shared, at);
}

Result<journal::Lsn> shared_of(const SyncAnswer& answer) {
    journal::Lsn at = 0;
    if (answer.payload.size() != sizeof at) return no_message("an answer", "its position has another length");
    std::memcpy(&at, answer.payload.data(), sizeof at);
    return at;
}

void append_record(journal::Record record, std::vector<std::byte>& into) {
    record.lsn = sync_record_lsn;
    const journal::EncodedRecord encoded(record, journal::encoded_length(record.body));
    for (const ByteSpan piece : encoded.pieces()) into.insert(into.end(), piece.begin(), piece.end());
}

Result<FoundRecord> take_record(ByteSpan bytes) {
    const auto length = journal::bytes_to_decode(bytes, sync_record_lsn);
    if (!length || *length > bytes.size()) return no_message("an answer", "a record in it is cut off");
    auto record = journal::decode_record(bytes.first(*length), sync_record_lsn);
    if (!record) return no_message("an answer", record.error().message.c_str());
    if (record->length > bytes.size()) return no_message("an answer", "a record in it is cut off");
    const size_t taken = record->length;
    return FoundRecord{std::move(*record), taken};
}

}  // namespace holdfast::rewind
