#include "journal/record.h"

#include <sys/stat.h>

#define XXH_STATIC_LINKING_ONLY  // the streaming state on the stack
#include <xxhash.h>

#include <cstddef>
#include <cstring>
#include <type_traits>

#include "base/check.h"
#include "base/overloaded.h"
#include "journal/record_rules.h"

namespace holdfast::journal {
namespace {

constexpr std::byte zeros[HF_RECORD_ALIGNMENT]{};

uint32_t padded(size_t bytes) {
    return static_cast<uint32_t>((bytes + HF_RECORD_ALIGNMENT - 1) & ~size_t{HF_RECORD_ALIGNMENT - 1});
}

// Bytes of the payload that go into the head: everything but the data of a WRITE.
size_t head_payload(const Body& body) {
    return std::visit(
        Overloaded{
            [](const Write&) -> size_t { return 0; },
            [](const Truncate&) -> size_t { return 0; },
            [](const Fallocate&) { return sizeof(hf_fallocate); },
            [](const Birth& b) {
                size_t bytes = sizeof(hf_birth) + b.name.size() + b.target.size();
                for (const Xattr& x : b.xattrs) bytes += sizeof(hf_xattr) + x.name.size() + x.value.size();
                return bytes;
            },
            [](const Link& b) { return sizeof(hf_name_change) + b.name.size(); },
            [](const Unlink& b) { return sizeof(hf_name_change) + b.name.size(); },
            [](const Rename& b) { return sizeof(hf_rename) + b.old_name.size() + b.new_name.size(); },
            [](const SetAttr&) { return sizeof(hf_attributes); },
            [](const SetXattr& b) { return sizeof(hf_xattr) + b.xattr.name.size() + b.xattr.value.size(); },
            [](const RemoveXattr& b) { return sizeof(hf_xattr) + b.name.size(); },
            [](const OrphanEnd&) -> size_t { return 0; },
            [](const Bookmark& b) { return b.name.size(); },
            [](const Gap& b) { return sizeof(hf_gap) + b.sentence.size(); },
            [](const Session&) { return sizeof(hf_session); },
            [](const SegmentEnd&) { return sizeof(hf_segment_end); },
            [](const Marker&) -> size_t { return 0; },
        },
        body);
}

// Appends values and text to a buffer whose size was computed before, so that it never moves.
class Appender {
public:
    explicit Appender(std::vector<std::byte>& out) : out_(out) {}
    template <typename T>
        requires std::is_trivially_copyable_v<T>
    void value(const T& value) {
        append(bytes_of(value));
    }
    void text(std::string_view text) { append(bytes_of(text)); }
    void xattr(const Xattr& x) {
        value(hf_xattr{static_cast<uint32_t>(x.value.size()), static_cast<uint16_t>(x.name.size()), 0});
        text(x.name);
        text(x.value);
    }

private:
    void append(ByteSpan bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
    std::vector<std::byte>& out_;
};

void append_birth(Appender& out, const Birth& b) {
    hf_birth raw{};
    raw.parent = to_disk(b.parent);
    raw.attributes = b.attributes;
    raw.rdev = b.rdev;
    raw.name_length = static_cast<uint16_t>(b.name.size());
    raw.target_length = static_cast<uint16_t>(b.target.size());
    raw.xattr_count = static_cast<uint16_t>(b.xattrs.size());
    out.value(raw);
    out.text(b.name);
    out.text(b.target);
    for (const Xattr& x : b.xattrs) out.xattr(x);
}

void append_name_change(Appender& out, const ObjectId& parent, std::string_view name) {
    out.value(hf_name_change{to_disk(parent), static_cast<uint16_t>(name.size()), 0, 0});
    out.text(name);
}

void append_rename(Appender& out, const Rename& b) {
    hf_rename raw{};
    raw.old_parent = to_disk(b.old_parent);
    raw.new_parent = to_disk(b.new_parent);
    raw.other = to_disk(b.other);
    raw.flags = b.exchange ? HF_RENAME_EXCHANGE : 0;
    raw.old_name_length = static_cast<uint16_t>(b.old_name.size());
    raw.new_name_length = static_cast<uint16_t>(b.new_name.size());
    out.value(raw);
    out.text(b.old_name);
    out.text(b.new_name);
}

void append_session(Appender& out, const Session& b) {
    hf_session raw{};
    memcpy(raw.boot_id, b.boot_id.data(), sizeof raw.boot_id);
    raw.session = b.session;
    raw.clean = b.clean;
    out.value(raw);
}

void append_segment_end(Appender& out, const SegmentEnd& b) {
    hf_segment_end raw{};
    memcpy(raw.chain_before, b.chain_before.data(), sizeof raw.chain_before);
    memcpy(raw.chain_after, b.chain_after.data(), sizeof raw.chain_after);
    raw.record_count = b.record_count;
    out.value(raw);
}

void append_payload(Appender& out, const Body& body) {
    std::visit(
        Overloaded{
            [&](const Write&) {},
            [&](const Truncate&) {},
            [&](const Fallocate& b) { out.value(hf_fallocate{b.length, b.mode, 0}); },
            [&](const Birth& b) { append_birth(out, b); },
            [&](const Link& b) { append_name_change(out, b.parent, b.name); },
            [&](const Unlink& b) { append_name_change(out, b.parent, b.name); },
            [&](const Rename& b) { append_rename(out, b); },
            [&](const SetAttr& b) { out.value(b.attributes); },
            [&](const SetXattr& b) { out.xattr(b.xattr); },
            [&](const RemoveXattr& b) { out.xattr({b.name, {}}); },
            [&](const OrphanEnd&) {},
            [&](const Bookmark& b) { out.text(b.name); },
            [&](const Gap& b) {
                out.value(hf_gap{b.reason, static_cast<uint32_t>(b.sentence.size()), b.since_ns});
                out.text(b.sentence);
            },
            [&](const Session& b) { append_session(out, b); },
            [&](const SegmentEnd& b) { append_segment_end(out, b); },
            [&](const Marker&) {},
        },
        body);
}

uint64_t offset_field(const Body& body) {
    if (const auto* write = std::get_if<Write>(&body)) return write->offset;
    if (const auto* truncate = std::get_if<Truncate>(&body)) return truncate->size;
    if (const auto* fallocate = std::get_if<Fallocate>(&body)) return fallocate->offset;
    return 0;
}

bool took_last_link(const Body& body) {
    if (const auto* unlink = std::get_if<Unlink>(&body)) return unlink->last_link;
    if (const auto* rename = std::get_if<Rename>(&body)) return rename->last_link;
    return false;
}

}  // namespace

hf_record_type birth_type(uint32_t mode) {
    switch (mode & S_IFMT) {
        case S_IFREG: return HF_CREATE;
        case S_IFDIR: return HF_MKDIR;
        case S_IFLNK: return HF_SYMLINK;
        default: return HF_MKNOD;
    }
}

bool is_birth(hf_record_type type) {
    return type == HF_CREATE || type == HF_MKDIR || type == HF_MKNOD || type == HF_SYMLINK;
}

uint32_t encoded_length(const Body& body) {
    size_t data = 0;
    if (const auto* write = std::get_if<Write>(&body)) data = write->data.size();
    return padded(sizeof(hf_record_header) + head_payload(body) + data);
}

EncodedRecord::EncodedRecord(const Record& record, uint32_t length) : length_(length) {
    HF_CHECK(length % HF_RECORD_ALIGNMENT == 0);
    HF_CHECK(length >= encoded_length(record.body));
    // Said with the rule's own words, which tell more than the condition would.
    if (const char* rule = broken_rule(record)) check_failed(rule, __FILE__, __LINE__);
    HF_CHECK(length <= record_bytes_max(record.type));

    ByteSpan data;
    if (const auto* write = std::get_if<Write>(&record.body)) data = write->data;
    const size_t head_bytes = head_payload(record.body);

    hf_record_header header{};
    header.length = length;
    header.type = static_cast<uint16_t>(record.type);
    header.flags = static_cast<uint16_t>(record.flags & ~HF_RECORD_LAST_LINK);
    if (took_last_link(record.body)) header.flags |= HF_RECORD_LAST_LINK;
    header.lsn = record.lsn;
    header.time_ns = record.time_ns;
    header.object = to_disk(record.object);
    header.offset = offset_field(record.body);
    header.data_length = static_cast<uint32_t>(head_bytes + data.size());

    head_.reserve(sizeof header + head_bytes + HF_RECORD_ALIGNMENT);
    Appender out(head_);
    out.value(header);
    append_payload(out, record.body);

    // The checksum is taken while its own field is still zero. The one-shot function is the faster one for small
    // heads, and a head is all that most records have.
    if (data.empty()) {
        checksum_ = xxh3_64(head_);
    } else {
        XXH3_state_t state;
        XXH3_64bits_reset(&state);
        XXH3_64bits_update(&state, head_.data(), head_.size());
        XXH3_64bits_update(&state, data.data(), data.size());
        checksum_ = XXH3_64bits_digest(&state);
    }
    memcpy(head_.data() + offsetof(hf_record_header, checksum), &checksum_, sizeof checksum_);

    const size_t used = sizeof header + header.data_length;
    const size_t padding = padded(used) - used;
    pieces_[piece_count_++] = head_;
    if (!data.empty()) pieces_[piece_count_++] = data;
    if (padding != 0) pieces_[piece_count_++] = ByteSpan(zeros, padding);
}

uint64_t xxh3_64(ByteSpan bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t xxh3_64_without(ByteSpan bytes, size_t field) {
    HF_CHECK(field + sizeof(uint64_t) <= bytes.size());
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, bytes.data(), field);
    XXH3_64bits_update(&state, zeros, sizeof(uint64_t));
    const ByteSpan rest = bytes.subspan(field + sizeof(uint64_t));
    XXH3_64bits_update(&state, rest.data(), rest.size());
    return XXH3_64bits_digest(&state);
}

}  // namespace holdfast::journal
