// The keys of the index as bytes. Keys of one table sort by their fields, in the order in which they are written here;
// docs/store_format.md lists the tables.
//
// A number is written as the count of its significant bytes and then those bytes, highest first: this sorts as the
// number does, small numbers stay small, and neighbours share their beginnings, which the block format of RocksDB
// leaves out.
// Thread rule: plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "journal/ids.h"

namespace holdfast::rewind {

using journal::Lsn;
using journal::ObjectId;

enum class IndexTable : char {
    data = 'd',       // object, level, block, lsn [, start in block]
    event = 'e',      // object, EventClass, lsn
    life = 'l',       // object, lsn
    by_name = 'n',    // directory, name, lsn
    by_lsn = 'c',     // directory, lsn, name
    xattr = 'x',      // object, name, lsn
    name_event = 'g', // object, lsn, gained, directory, name
    held_name = 'h',  // object, directory, name
    location = 'p',   // object
    time = 't',       // level, number
    address = 'u',    // lsn, undo address
    meta = 'm',       // name
};

// What a record says about an object. Apart from each other, because questions about attributes must not have to
// step over any number of events without them, and the other way round.
enum class EventClass : char {
    with_attributes = 0,  // an event of the object that has its attributes
    attributes_only = 1,  // its attributes, in a record that is about something else
    event_only = 2,
};

class KeyWriter {
public:
    explicit KeyWriter(IndexTable table) : bytes_(1, static_cast<char>(table)) {}
    KeyWriter& byte(uint8_t value) { bytes_.push_back(static_cast<char>(value)); return *this; }
    KeyWriter& number(uint64_t value);
    KeyWriter& object(const ObjectId& id) { return number(id.inode).number(id.generation).number(id.origin); }
    KeyWriter& name(std::string_view name);  // closed by a NUL, which no name has in it
    KeyWriter& rest(std::string_view name) { bytes_.append(name); return *this; }  // to the key's end
    KeyWriter& u16(uint16_t value) { return byte(static_cast<uint8_t>(value >> 8)).byte(static_cast<uint8_t>(value)); }

    const std::string& bytes() const& { return bytes_; }
    std::string bytes() && { return std::move(bytes_); }

private:
    std::string bytes_;
};

// Reads what a KeyWriter wrote. After the first field that does not fit, is_whole() is false and every field is zero.
class KeyReader {
public:
    explicit KeyReader(std::string_view key) : rest_(key) {}
    uint8_t byte();
    uint64_t number();
    ObjectId object();
    std::string_view name();
    std::string_view rest() { return std::exchange(rest_, {}); }
    uint16_t u16();
    size_t left() const { return rest_.size(); }
    bool is_whole() const { return whole_; }

private:
    std::string_view rest_;
    bool whole_ = true;
};

// The key after all keys that begin with PREFIX. REQUIRES: PREFIX has a byte below 0xff.
std::string key_behind(std::string prefix);

// The LSN by which an entry leaves the window; nothing for tables that do not age by LSN, or for a damaged key.
std::optional<Lsn> lsn_of_key(std::string_view key);

// Values: LEB128 numbers.
void put_varint(std::string& out, uint64_t value);
bool get_varint(std::string_view& in, uint64_t& value);

}  // namespace holdfast::rewind
