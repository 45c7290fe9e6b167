// Records as typed values, and their encoding into the bytes of journal/format.h.
//
// A Record borrows: its names, targets, values and data point into the buffer that it was decoded from, or
// at the caller's own memory when it is about to be encoded. Nothing here touches a disk.
//
// decode() trusts nothing: every length is checked against the record before it is used.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "base/disk.h"
#include "base/result.h"
#include "journal/ids.h"

namespace holdfast::journal {

struct Xattr {
    std::string_view name;
    std::string_view value;
};

using Attributes = hf_attributes;

struct Write { uint64_t offset; ByteSpan data; };
struct Truncate { uint64_t size; };
struct Fallocate { uint64_t offset; uint64_t length; uint32_t mode; };
// CREATE, MKDIR, MKNOD and SYMLINK: the type bits of attributes.mode say which. An empty name means born
// nameless (O_TMPFILE).
struct Birth {
    ObjectId parent;
    std::string_view name;
    Attributes attributes;
    uint64_t rdev = 0;
    std::string_view target;
    std::vector<Xattr> xattrs;
};
struct Link { ObjectId parent; std::string_view name; };
struct Unlink { ObjectId parent; std::string_view name; bool last_link; };  // UNLINK and RMDIR
struct Rename {
    ObjectId old_parent;
    std::string_view old_name;
    ObjectId new_parent;
    std::string_view new_name;
    ObjectId other;  // replaced or exchanged
    bool exchange = false;
    bool last_link = false;  // the replaced object lost its last name
};
struct SetAttr { Attributes attributes; };
struct SetXattr { Xattr xattr; };
struct RemoveXattr { std::string_view name; };
struct OrphanEnd {};
struct Bookmark { std::string_view name; };
struct Gap { bool begin; hf_gap_reason reason; uint64_t since_ns; std::string_view sentence; };
struct Session { bool open; std::array<uint8_t, 16> boot_id; uint64_t session; bool clean; };
struct SegmentEnd { std::array<uint8_t, 16> chain_before, chain_after; uint64_t record_count; };
// Everything without a payload of its own: VOID, HEARTBEAT, SYNC_POINT.
struct Marker {};

using Body = std::variant<Write, Truncate, Fallocate, Birth, Link, Unlink, Rename, SetAttr, SetXattr, RemoveXattr,
                          OrphanEnd, Bookmark, Gap, Session, SegmentEnd, Marker>;

struct Record {
    hf_record_type type = HF_VOID;
    uint16_t flags = 0;
    Lsn lsn = 0;
    uint64_t time_ns = 0;
    uint32_t length = 0;  // bytes in the stream; set by decode, ignored by encode
    ObjectId object;
    Body body = Marker{};

    Lsn end() const { return lsn + length; }
    template <typename T>
    const T& as() const { return std::get<T>(body); }
};

// The type that goes with a birth of this mode.
hf_record_type birth_type(uint32_t mode);
// A record of this type carries a Birth.
bool is_birth(hf_record_type type);
const char* to_string(hf_record_type type);

// Bytes that a record with this body takes in the stream.
uint32_t encoded_length(const Body& body);

// A record ready to be written: its head (header and all payload but bulk data), the borrowed bulk data of a
// WRITE, which is never copied, and zeros up to the next multiple of eight.
class EncodedRecord {
public:
    // REQUIRES: names, targets, values and data within the maxima of format.h; TYPE fits BODY.
    // LENGTH is at least encoded_length(body) and goes into the header. What lies between the two is padding that
    // nobody reads (a short write leaves some, and a VOID is all of it), so the pieces do not contain it.
    EncodedRecord(const Record& record, uint32_t length);
    EncodedRecord(EncodedRecord&&) = default;
    EncodedRecord(const EncodedRecord&) = delete;  // the pieces point into the head

    std::span<const ByteSpan> pieces() const { return {pieces_, piece_count_}; }
    uint64_t checksum() const { return checksum_; }
    uint32_t length() const { return length_; }

private:
    std::vector<std::byte> head_;
    ByteSpan pieces_[3];
    size_t piece_count_ = 0;
    uint64_t checksum_ = 0;
    uint32_t length_ = 0;
};

// What stands at the start of BYTES, expected at LSN. Errors: torn (zeros, cut off, another address, wrong
// checksum: nothing whole was written here), corrupt (whole by checksum, yet its insides make no sense),
// unsupported (a type, flag or reason this program does not know). The record borrows from BYTES, which may end
// after the payload and the zeros behind it: padding is not looked at.
Result<Record> decode_record(ByteSpan bytes, Lsn lsn);

// How many bytes decode_record() needs to see of the record whose first bytes these are: a hint for readers, to
// be trusted only as far as it is at most HF_RECORD_BYTES_MAX. Nothing when HEAD is no header of a record at LSN.
std::optional<uint32_t> bytes_to_decode(ByteSpan head, Lsn lsn);

// What is written of a record in the stream: header, payload, and zeros up to a multiple of eight. The rest of
// header.length is neither written nor read. From the payload's length alone, which may be anything in bytes that no
// checksum has vouched for yet.
uint64_t written_length(const hf_record_header& header);

uint64_t xxh3_64(ByteSpan bytes);
// Of BYTES as if the 8 bytes at FIELD were zero: a checksum that lies inside of what it covers.
uint64_t xxh3_64_without(ByteSpan bytes, size_t field);

}  // namespace holdfast::journal
