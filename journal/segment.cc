#include "journal/segment.h"

#define XXH_STATIC_LINKING_ONLY  // the streaming state without a factory
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "base/text.h"

namespace holdfast::journal {
namespace {

constexpr std::string_view name_suffix = ".seg";
constexpr std::string_view spare_prefix = "spare-";
constexpr std::string_view spare_suffix = ".new";
constexpr size_t digits = 16;
constexpr size_t checksum_field = offsetof(hf_segment_header, checksum);

std::string digits_of(uint64_t index) {
    char text[digits + 1];
    snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(index));
    return text;
}

std::optional<uint64_t> parse_digits(std::string_view text) {
    if (text.size() != digits) return std::nullopt;
    uint64_t index = 0;
    for (char c : text) {
        uint64_t digit;
        if (c >= '0' && c <= '9') digit = static_cast<uint64_t>(c - '0');
        else if (c >= 'a' && c <= 'f') digit = static_cast<uint64_t>(c - 'a') + 10;
        else return std::nullopt;
        index = index << 4 | digit;
    }
    return index;
}

bool is_zero(ByteSpan bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

Error corrupt_header(std::string_view why) {
    return {ErrorCode::corrupt, "the header of a journal segment is damaged: " + std::string(why)};
}

}  // namespace

std::string segment_name(uint64_t index) {
    return digits_of(index) + std::string(name_suffix);
}

std::optional<uint64_t> parse_segment_name(std::string_view name) {
    if (!name.ends_with(name_suffix)) return std::nullopt;
    return parse_digits(name.substr(0, name.size() - name_suffix.size()));
}

std::string spare_name(uint64_t index) {
    return std::string(spare_prefix) + digits_of(index) + std::string(spare_suffix);
}

bool is_spare_name(std::string_view name) {
    return name.size() == spare_prefix.size() + digits + spare_suffix.size() && name.starts_with(spare_prefix) &&
           name.ends_with(spare_suffix);
}

bool is_segment_size(uint64_t bytes) {
    return std::has_single_bit(bytes) && bytes >= HF_SEGMENT_BYTES_MIN && bytes <= HF_SEGMENT_BYTES_MAX;
}

std::vector<std::byte> encode_segment_header(const SegmentHeader& header) {
    HF_CHECK(is_segment_size(header.segment_bytes));
    hf_segment_header raw{};
    raw.magic = HF_JOURNAL_MAGIC;
    raw.version = HF_JOURNAL_VERSION;
    raw.header_bytes = HF_SEGMENT_HEADER_BYTES;
    memcpy(raw.volume, header.volume.bytes.data(), sizeof raw.volume);
    raw.segment_index = header.index;
    raw.segment_bytes = header.segment_bytes;
    raw.term = header.term;
    raw.timeline = header.timeline;
    raw.created_ns = header.created_ns;
    std::vector<std::byte> bytes(HF_SEGMENT_HEADER_BYTES);
    memcpy(bytes.data(), &raw, sizeof raw);
    raw.checksum = xxh3_64(bytes);
    memcpy(bytes.data(), &raw, sizeof raw);
    return bytes;
}

Result<SegmentHeader> decode_segment_header(ByteSpan bytes) {
    if (bytes.size() < HF_SEGMENT_HEADER_BYTES)
        return Error{ErrorCode::torn, "a journal segment ends inside its header"};
    bytes = bytes.first(HF_SEGMENT_HEADER_BYTES);
    hf_segment_header raw;
    memcpy(&raw, bytes.data(), sizeof raw);
    if (raw.magic == 0 && is_zero(bytes)) return Error{ErrorCode::torn, "the header of a journal segment was never written"};
    if (raw.magic != HF_JOURNAL_MAGIC) return Error{ErrorCode::foreign, "this is no segment of a journal"};
    // The version comes before the checksum: a later one may place it elsewhere.
    if (raw.version > HF_JOURNAL_VERSION)
        return Error{ErrorCode::unsupported, "a journal segment has format version " + std::to_string(raw.version) +
                                                 ", this version of holdfast knows up to " +
                                                 std::to_string(HF_JOURNAL_VERSION) + "; use the newer one"};
    if (xxh3_64_without(bytes, checksum_field) != raw.checksum) return corrupt_header("its checksum is wrong");
    if (raw.version == 0 || raw.header_bytes != HF_SEGMENT_HEADER_BYTES || raw.reserved0 != 0 ||
        !is_zero(bytes.subspan(sizeof raw)))
        return corrupt_header("a field has a value that this version never writes");
    if (!is_segment_size(raw.segment_bytes) || raw.segment_index > UINT64_MAX / raw.segment_bytes - 1)
        return corrupt_header("its size and index do not fit");
    SegmentHeader header;
    memcpy(header.volume.bytes.data(), raw.volume, sizeof raw.volume);
    header.index = raw.segment_index;
    header.segment_bytes = raw.segment_bytes;
    header.term = raw.term;
    header.timeline = raw.timeline;
    header.created_ns = raw.created_ns;
    return header;
}

Result<SegmentHeader> decode_segment_header(ByteSpan bytes, const VolumeId& volume, uint64_t segment_bytes,
                                            uint64_t index) {
    SegmentHeader header = HF_TRY(decode_segment_header(bytes));
    if (header.volume != volume)
        return Error{ErrorCode::foreign, "a journal segment belongs to the volume " + to_string(header.volume) +
                                             ", not to " + to_string(volume)};
    if (header.segment_bytes != segment_bytes)
        return corrupt_header("it says that segments have " + std::to_string(header.segment_bytes) + " bytes, not " +
                              std::to_string(segment_bytes));
    if (header.index != index)
        return corrupt_header("it is that of segment " + std::to_string(header.index) + ", not of " + std::to_string(index));
    return header;
}

Result<hf_segment_header> read_segment_header(File& file, const VolumeId& volume, uint64_t segment_bytes, uint64_t index) {
    std::byte bytes[HF_SEGMENT_HEADER_BYTES];
    const size_t got = HF_TRY(file.pread(bytes, 0));
    HF_TRY(decode_segment_header(ByteSpan(bytes, got), volume, segment_bytes, index));
    hf_segment_header raw;
    memcpy(&raw, bytes, sizeof raw);
    return raw;
}

Result<hf_segment_header> read_segment_header(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, uint64_t index) {
    const std::string name = segment_name(index);
    const auto file = HF_TRY(disk.open(name, Disk::Open::existing_read_only));
    auto header = read_segment_header(*file, volume, segment_bytes, index);
    if (!header) return std::move(header).error().within("journal segment " + name);
    return header;
}

struct ChainHash::State {
    XXH3_state_t hash;
};

ChainHash::ChainHash(const Value& before) : state_(new State), before_(before) {
    XXH3_128bits_reset(&state_->hash);
    XXH3_128bits_update(&state_->hash, before.data(), before.size());
}
ChainHash::~ChainHash() = default;
ChainHash::ChainHash(const ChainHash& other)
    : state_(new State(*other.state_)), before_(other.before_), count_(other.count_) {}
ChainHash::ChainHash(ChainHash&&) noexcept = default;
ChainHash& ChainHash::operator=(ChainHash&&) noexcept = default;

void ChainHash::add(uint64_t checksum) {
    XXH3_128bits_update(&state_->hash, &checksum, sizeof checksum);
    ++count_;
}

ChainHash::Value ChainHash::after() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(&state_->hash);
    Value value;
    memcpy(value.data(), &hash.low64, sizeof hash.low64);
    memcpy(value.data() + sizeof hash.low64, &hash.high64, sizeof hash.high64);
    return value;
}

Record seal_record(const ChainHash& chain, Lsn lsn, uint64_t time_ns) {
    Record record;
    record.type = HF_SEGMENT_END;
    record.lsn = lsn;
    record.time_ns = time_ns;
    record.body = SegmentEnd{chain.before(), chain.after(), chain.count()};
    return record;
}

Result<std::optional<SegmentEnd>> read_seal(File& file, uint64_t index, uint64_t segment_bytes) {
    const uint64_t size = HF_TRY(file.size());
    if (size < HF_SEGMENT_HEADER_BYTES + HF_SEGMENT_END_BYTES || size > segment_bytes) return std::optional<SegmentEnd>();
    const uint64_t place = size - HF_SEGMENT_END_BYTES;
    std::byte bytes[HF_SEGMENT_END_BYTES];
    const size_t got = HF_TRY(file.pread(bytes, place));
    const Lsn lsn = segment_begin(index, segment_bytes) + place;
    const auto record = decode_record(ByteSpan(bytes, got), lsn);
    if (!record || record->type != HF_SEGMENT_END || record->end() != segment_end(index, segment_bytes))
        return std::optional<SegmentEnd>();
    return std::optional<SegmentEnd>(record->as<SegmentEnd>());
}

std::string to_text(const ChainHash::Value& chain) {
    return hex(chain.data(), chain.size());
}

Result<ChainHash::Value> parse_chain(std::string_view text) {
    ChainHash::Value chain{};
    const auto bytes = unhex(text);
    if (!bytes || bytes->size() != chain.size()) return Error{ErrorCode::corrupt, "no value of a hash chain"};
    std::copy(bytes->begin(), bytes->end(), chain.begin());
    return chain;
}

}  // namespace holdfast::journal
