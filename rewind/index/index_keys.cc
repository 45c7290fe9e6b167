#include "rewind/index/index_keys.h"

#include <utility>

#include "base/check.h"

namespace holdfast::rewind {

KeyWriter& KeyWriter::number(uint64_t value) {
    const int count = value == 0 ? 0 : (64 - __builtin_clzll(value) + 7) / 8;
    bytes_.push_back(static_cast<char>(count));
    for (int i = count - 1; i >= 0; --i) bytes_.push_back(static_cast<char>(value >> (8 * i)));
    return *this;
}

KeyWriter& KeyWriter::name(std::string_view name) {
    HF_CHECK(name.find('\0') == name.npos);
    bytes_.append(name);
    bytes_.push_back('\0');
    return *this;
}

uint8_t KeyReader::byte() {
    if (rest_.empty()) {
        whole_ = false;
        return 0;
    }
    const auto value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
}

uint64_t KeyReader::number() {
    const size_t count = byte();
    if (count > sizeof(uint64_t) || count > rest_.size()) {
        whole_ = false;
        rest_ = {};
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(rest_[i]);
    rest_.remove_prefix(count);
    return value;
}

ObjectId KeyReader::object() {
    ObjectId id;
    id.inode = number();
    id.generation = static_cast<uint32_t>(number());
    id.origin = static_cast<uint32_t>(number());
    return id;
}

std::string_view KeyReader::name() {
    const size_t end = rest_.find('\0');
    if (end == rest_.npos) {
        whole_ = false;
        rest_ = {};
        return {};
    }
    const std::string_view name = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return name;
}

uint16_t KeyReader::u16() {
    const uint16_t high = byte();
    return static_cast<uint16_t>(high << 8 | byte());
}

std::string key_behind(std::string prefix) {
    while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
    HF_CHECK(!prefix.empty());
    ++prefix.back();
    return prefix;
}

std::optional<Lsn> lsn_of_key(std::string_view key) {
    if (key.empty()) return std::nullopt;
    KeyReader reader(key.substr(1));
    switch (static_cast<IndexTable>(key.front())) {
        case IndexTable::data:
            reader.object();
            reader.byte();
            reader.number();
            break;
        case IndexTable::event:
            reader.object();
            reader.byte();
            break;
        case IndexTable::by_name:
        case IndexTable::xattr:
            reader.object();
            reader.name();
            break;
        case IndexTable::life:
        case IndexTable::by_lsn:
        case IndexTable::name_event: reader.object(); break;
        case IndexTable::address: break;
        case IndexTable::held_name:
        case IndexTable::location:
        case IndexTable::time:
        case IndexTable::meta: return std::nullopt;
    }
    const Lsn lsn = reader.number();
    return reader.is_whole() ? std::optional(lsn) : std::nullopt;
}

void put_varint(std::string& out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
    out.push_back(static_cast<char>(value));
}

bool get_varint(std::string_view& in, uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
        const auto byte = static_cast<uint8_t>(in.front());
        in.remove_prefix(1);
        value |= static_cast<uint64_t>(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

}  // namespace holdfast::rewind
