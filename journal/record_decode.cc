#include <cstddef>
#include <cstring>

#include "base/text.h"
#include "journal/record.h"
#include "journal/record_rules.h"

namespace holdfast::journal {
namespace {

constexpr uint16_t known_flags = HF_RECORD_FROM_MMAP | HF_RECORD_REPAIR | HF_RECORD_LAST_LINK;

Error torn(std::string_view why) {
    return {ErrorCode::torn, "no whole record stands here: " + std::string(why)};
}
Error corrupt(std::string_view why) {
    return {ErrorCode::corrupt, "the record makes no sense: " + std::string(why)};
}

// Takes values and text off the front of a payload. The first request that exceeds what is left makes it fail, and
// from then on it yields nothing, so callers check once, at the end.
class Cursor {
public:
    explicit Cursor(ByteSpan bytes) : rest_(bytes) {}

    template <typename T>
    T value() {
        T value{};
        if (const ByteSpan bytes = take(sizeof value); !bytes.empty()) memcpy(&value, bytes.data(), sizeof value);
        return value;
    }
    std::string_view text(size_t size) {
        const ByteSpan bytes = take(size);
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    std::string_view all_text() { return text(rest_.size()); }
    ByteSpan all() { return take(rest_.size()); }
    // Everything was there and everything was used.
    bool is_finished() const { return !failed_ && rest_.empty(); }
    bool failed() const { return failed_; }
    void require(bool condition) { failed_ |= !condition; }

private:
    ByteSpan take(size_t size) {
        if (failed_ || size > rest_.size()) {
            failed_ = true;
            return {};
        }
        const ByteSpan taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }
    ByteSpan rest_;
    bool failed_ = false;
};

Xattr take_xattr(Cursor& in) {
    const auto raw = in.value<hf_xattr>();
    in.require(raw.reserved == 0);
    Xattr xattr;
    xattr.name = in.text(raw.name_length);
    xattr.value = in.text(raw.value_length);
    return xattr;
}

Body take_birth(Cursor& in) {
    const auto raw = in.value<hf_birth>();
    in.require(raw.reserved == 0);
    Birth body;
    body.parent = from_disk(raw.parent);
    body.attributes = raw.attributes;
    body.rdev = raw.rdev;
    body.name = in.text(raw.name_length);
    body.target = in.text(raw.target_length);
    // Grows only while bytes are left, so the count alone cannot make it allocate.
    for (uint16_t i = 0; i < raw.xattr_count && !in.failed(); ++i) body.xattrs.push_back(take_xattr(in));
    return body;
}

hf_name_change take_name_change(Cursor& in) {
    const auto raw = in.value<hf_name_change>();
    in.require(raw.reserved0 == 0 && raw.reserved1 == 0);
    return raw;
}

Body take_link(Cursor& in) {
    const hf_name_change raw = take_name_change(in);
    return Link{from_disk(raw.parent), in.text(raw.name_length)};
}

Body take_unlink(Cursor& in, uint16_t flags) {
    const hf_name_change raw = take_name_change(in);
    return Unlink{from_disk(raw.parent), in.text(raw.name_length), (flags & HF_RECORD_LAST_LINK) != 0};
}

Body take_rename(Cursor& in, uint16_t flags) {
    const auto raw = in.value<hf_rename>();
    in.require((raw.flags & ~HF_RENAME_EXCHANGE) == 0);
    Rename body;
    body.old_parent = from_disk(raw.old_parent);
    body.new_parent = from_disk(raw.new_parent);
    body.other = from_disk(raw.other);
    body.old_name = in.text(raw.old_name_length);
    body.new_name = in.text(raw.new_name_length);
    body.exchange = (raw.flags & HF_RENAME_EXCHANGE) != 0;
    body.last_link = (flags & HF_RECORD_LAST_LINK) != 0;
    return body;
}

Body take_fallocate(Cursor& in, uint64_t offset) {
    const auto raw = in.value<hf_fallocate>();
    in.require(raw.reserved == 0);
    return Fallocate{offset, raw.length, raw.mode};
}

Body take_remove_xattr(Cursor& in) {
    const Xattr xattr = take_xattr(in);
    in.require(xattr.value.empty());
    return RemoveXattr{xattr.name};
}

Body take_gap(Cursor& in, bool begin) {
    const auto raw = in.value<hf_gap>();
    return Gap{begin, static_cast<hf_gap_reason>(raw.reason), raw.since_ns, in.text(raw.sentence_length)};
}

Body take_session(Cursor& in, bool open) {
    const auto raw = in.value<hf_session>();
    in.require(raw.reserved == 0 && raw.clean <= 1);
    Session body{open, {}, raw.session, raw.clean == 1};
    memcpy(body.boot_id.data(), raw.boot_id, sizeof raw.boot_id);
    return body;
}

Body take_segment_end(Cursor& in) {
    const auto raw = in.value<hf_segment_end>();
    SegmentEnd body{{}, {}, raw.record_count};
    memcpy(body.chain_before.data(), raw.chain_before, sizeof raw.chain_before);
    memcpy(body.chain_after.data(), raw.chain_after, sizeof raw.chain_after);
    return body;
}

Body take_body(Cursor& in, const hf_record_header& header) {
    switch (header.type) {
        case HF_WRITE: return Write{header.offset, in.all()};
        case HF_TRUNCATE: return Truncate{header.offset};
        case HF_FALLOCATE: return take_fallocate(in, header.offset);
        case HF_CREATE:
        case HF_MKDIR:
        case HF_MKNOD:
        case HF_SYMLINK: return take_birth(in);
        case HF_LINK: return take_link(in);
        case HF_UNLINK:
        case HF_RMDIR: return take_unlink(in, header.flags);
        case HF_RENAME: return take_rename(in, header.flags);
        case HF_SETATTR: return SetAttr{in.value<hf_attributes>()};
        case HF_SETXATTR: return SetXattr{take_xattr(in)};
        case HF_REMOVEXATTR: return take_remove_xattr(in);
        case HF_ORPHAN_END: return OrphanEnd{};
        case HF_BOOKMARK: return Bookmark{in.all_text()};
        case HF_GAP_BEGIN:
        case HF_GAP_END: return take_gap(in, header.type == HF_GAP_BEGIN);
        case HF_SESSION_OPEN:
        case HF_SESSION_CLOSE: return take_session(in, header.type == HF_SESSION_OPEN);
        case HF_SEGMENT_END: return take_segment_end(in);
        default: return Marker{};
    }
}

bool uses_offset(uint16_t type) {
    return type == HF_WRITE || type == HF_TRUNCATE || type == HF_FALLOCATE;
}

// Before the checksum vouches for anything: could this be the header of a record at LSN?
Result<hf_record_header> take_header(ByteSpan bytes, Lsn lsn) {
    hf_record_header header;
    if (bytes.size() < sizeof header) return torn("the bytes end inside its header");
    memcpy(&header, bytes.data(), sizeof header);
    if (header.length == 0) return torn("its length is zero");
    if (header.lsn != lsn) return torn("it does not carry this address");
    if (header.length % HF_RECORD_ALIGNMENT != 0 || written_length(header) > header.length)
        return torn("its lengths contradict each other");
    if (written_length(header) > HF_RECORD_BYTES_MAX) return torn("it is longer than a record can be");
    return header;
}

Status check_whole_header(const hf_record_header& header) {
    if (!is_known_type(header.type))
        return Error{ErrorCode::unsupported, "a record has the type " + std::to_string(header.type) +
                                                 ", which this version of holdfast does not know; a newer version wrote "
                                                 "it, so use that one"};
    if (header.flags & ~known_flags)
        return Error{ErrorCode::unsupported, "a record has flags that this version of holdfast does not know; a newer "
                                             "version wrote it, so use that one"};
    if (header.length > record_bytes_max(static_cast<hf_record_type>(header.type)))
        return corrupt("it is longer than a record can be");
    if (header.reserved != 0) return corrupt("a reserved field is not zero");
    if (!uses_offset(header.type) && header.offset != 0) return corrupt("it has an offset without a use for one");
    return ok();
}

// Reasons are added as types are: an unknown one is a newer writer's, not damage.
bool is_newer_gap(const Record& record) {
    const Gap* gap = std::get_if<Gap>(&record.body);
    return gap && gap->reason > HF_GAP_BYPASS;
}

}  // namespace

uint64_t written_length(const hf_record_header& header) {
    const uint64_t used = sizeof header + uint64_t{header.data_length};
    return (used + HF_RECORD_ALIGNMENT - 1) & ~uint64_t{HF_RECORD_ALIGNMENT - 1};
}

std::optional<uint32_t> bytes_to_decode(ByteSpan head, Lsn lsn) {
    const auto header = take_header(head, lsn);
    if (!header) return std::nullopt;
    return static_cast<uint32_t>(written_length(*header));
}

Result<Record> decode_record(ByteSpan bytes, Lsn lsn) {
    const auto header = HF_TRY(take_header(bytes, lsn));
    const size_t used = sizeof header + header.data_length;
    if (bytes.size() < written_length(header)) return torn("the bytes end inside its payload");
    if (xxh3_64_without(bytes.first(used), offsetof(hf_record_header, checksum)) != header.checksum)
        return torn("its checksum is wrong");

    HF_TRY(check_whole_header(header));
    for (std::byte padding : bytes.subspan(used, written_length(header) - used)) {
        if (padding != std::byte{0}) return corrupt("its padding is not zero");
    }

    Record record;
    record.type = static_cast<hf_record_type>(header.type);
    record.flags = header.flags;
    record.lsn = lsn;
    record.time_ns = header.time_ns;
    record.length = header.length;
    record.object = from_disk(header.object);
    Cursor in(bytes.subspan(sizeof header, header.data_length));
    record.body = take_body(in, header);
    if (!in.is_finished()) return corrupt("its payload and the lengths in it do not fit");
    if (is_newer_gap(record))
        return Error{ErrorCode::unsupported, "a gap has a reason that this version of holdfast does not know; a newer "
                                             "version wrote it, so use that one"};
    if (const char* rule = broken_rule(record)) return corrupt(rule);
    return record;
}

}  // namespace holdfast::journal
