#include "rewind/undo/undo_segment.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "base/text.h"

namespace holdfast::rewind {

namespace {

constexpr std::string_view suffix = ".undo";
constexpr size_t digits = 16;
// Who looks at one record reads little, who walks the log soon reads much at once.
constexpr size_t read_ahead_bytes_first = 32 << 10;
constexpr size_t read_ahead_bytes_max = 1 << 20;

}  // namespace

std::string undo_segment_name(uint64_t index) {
    char text[digits + 1];
    snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(index));
    return std::string(text).append(suffix);
}

std::optional<uint64_t> parse_undo_segment_name(std::string_view name) {
    if (name.size() != digits + suffix.size() || !name.ends_with(suffix)) return std::nullopt;
    uint64_t index = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + digits, index, 16);
    if (error != std::errc() || end != name.data() + digits) return std::nullopt;
    // Capital letters parse too, but such a file is not ours.
    if (undo_segment_name(index) != name) return std::nullopt;
    return index;
}

struct UndoChain::State {
    XXH3_state_t xxh3;
};

UndoChain::UndoChain(const ChainHash& before) : before_(before), state_(std::make_unique<State>()) {
    HF_CHECK(XXH3_128bits_reset(&state_->xxh3) == XXH_OK);
    HF_CHECK(XXH3_128bits_update(&state_->xxh3, before.data(), before.size()) == XXH_OK);
}

UndoChain::UndoChain(const UndoChain& other) : before_(other.before_), state_(std::make_unique<State>()) {
    XXH3_copyState(&state_->xxh3, &other.state_->xxh3);
}

UndoChain& UndoChain::operator=(const UndoChain& other) {
    before_ = other.before_;
    if (!state_) state_ = std::make_unique<State>();
    if (this != &other) XXH3_copyState(&state_->xxh3, &other.state_->xxh3);
    return *this;
}

UndoChain::UndoChain(UndoChain&&) noexcept = default;
UndoChain& UndoChain::operator=(UndoChain&&) noexcept = default;
UndoChain::~UndoChain() = default;

void UndoChain::add(uint64_t checksum) {
    HF_CHECK(XXH3_128bits_update(&state_->xxh3, &checksum, sizeof checksum) == XXH_OK);
}

ChainHash UndoChain::after() const {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->xxh3));
    ChainHash hash;
    static_assert(sizeof canonical.digest == sizeof hash);
    memcpy(hash.data(), canonical.digest, hash.size());
    return hash;
}

Status write_undo_segment_header(File& file, hf_undo_segment_header header) {
    header.checksum = 0;
    header.checksum = journal::xxh3_64(bytes_of(header));
    return file.pwrite(bytes_of(header), 0);
}

Result<hf_undo_segment_header> read_undo_segment_header(File& file, const journal::VolumeId& volume, uint64_t index) {
    hf_undo_segment_header header{};
    const auto name = [&] { return "undo segment " + undo_segment_name(index); };
    const size_t got = HF_TRY(file.pread({reinterpret_cast<std::byte*>(&header), sizeof header}, 0));
    const uint64_t size = HF_TRY(file.size());
    const size_t field = offsetof(hf_undo_segment_header, checksum);
    const bool whole = got == sizeof header && journal::xxh3_64_without(bytes_of(header), field) == header.checksum;
    if (!whole) {
        // Records are written only after the header is durable, so a file with more than a header had a whole one.
        if (size <= sizeof header) return Error{ErrorCode::torn, name() + " has no header yet"};
        if (header.magic != HF_UNDO_MAGIC) return Error{ErrorCode::foreign, name() + " is no undo segment, or its first bytes are damaged"};
        return Error{ErrorCode::corrupt, name() + ": its header is damaged"};
    }
    if (header.magic != HF_UNDO_MAGIC) return Error{ErrorCode::foreign, name() + " is no undo segment"};
    if (header.version != HF_UNDO_VERSION || header.header_bytes != sizeof header)
        return Error{ErrorCode::unsupported, name() + " has format version " + std::to_string(header.version) +
                                                 "; this program knows version " + std::to_string(HF_UNDO_VERSION)};
    if (memcmp(header.volume, volume.bytes.data(), sizeof header.volume) != 0)
        return Error{ErrorCode::foreign, name() + " belongs to another volume"};
    if (header.segment_index != index)
        return Error{ErrorCode::foreign, name() + " is really number " + std::to_string(header.segment_index)};
    if (header.segment_bytes < undo_segment_bytes_min || header.segment_bytes > undo_segment_bytes_max ||
        header.segment_bytes % HF_UNDO_ALIGNMENT != 0)
        return Error{ErrorCode::corrupt, name() + ": its header names an impossible size"};
    return header;
}

UndoSegmentScanner::UndoSegmentScanner(File& file, UndoAddress base, uint64_t offset, uint64_t stop)
    : file_(file), base_(base), offset_(offset), stop_(stop), read_ahead_(read_ahead_bytes_first) {}

// Makes the buffer hold BYTES from offset_ on, or what there is of them before STOP.
Status UndoSegmentScanner::fill(size_t bytes) {
    const uint64_t wanted = std::min<uint64_t>(bytes, stop_ - offset_);
    if (offset_ >= buffer_start_ && offset_ + wanted <= buffer_start_ + buffer_used_) return ok();
    const size_t size = std::min<uint64_t>(std::max<uint64_t>(wanted, read_ahead_), stop_ - offset_);
    read_ahead_ = std::min(read_ahead_ * 2, read_ahead_bytes_max);
    if (buffer_.size() < size) buffer_.resize(size);
    buffer_start_ = offset_;
    buffer_used_ = 0;
    buffer_used_ = HF_TRY(file_.pread(MutableByteSpan(buffer_).first(size), offset_));
    return ok();
}

Result<std::optional<DecodedUndo>> UndoSegmentScanner::next() {
    if (offset_ >= stop_) return std::optional<DecodedUndo>();
    HF_TRY(fill(sizeof(hf_undo_record)));
    const auto held = [&] {
        const size_t skipped = static_cast<size_t>(offset_ - buffer_start_);
        return ByteSpan(buffer_).subspan(skipped, buffer_used_ - std::min(skipped, buffer_used_));
    };
    const size_t length = claimed_undo_length(held());
    if (length > held().size()) HF_TRY(fill(length));
    auto decoded = HF_TRY(decode_undo(held(), base_ + offset_));
    offset_ += length;
    return std::optional(std::move(decoded));
}

}  // namespace holdfast::rewind
