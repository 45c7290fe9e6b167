#include "base/name_text.h"

#include <cstddef>
#include <cstdint>

namespace holdfast {

namespace {

constexpr uint32_t escape_base = 0xf700;
constexpr uint32_t escape_first = escape_base + 0x80;
constexpr uint32_t escape_last = escape_base + 0xff;

struct Character {
    size_t bytes;  // 0: no UTF-8 character stands here
    uint32_t code;
};

Character character_at(std::string_view text, size_t index) {
    auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
    unsigned char first = byte(index);
    if (first < 0x80) return {1, first};
    size_t bytes = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 && first < 0xe0 ? 2 : 0;
    if (bytes == 0 || index + bytes > text.size()) return {0, 0};
    uint32_t code = first & (0x7fu >> bytes);
    for (size_t at = index + 1; at < index + bytes; ++at) {
        if ((byte(at) & 0xc0) != 0x80) return {0, 0};
        code = code << 6 | (byte(at) & 0x3fu);
    }
    // Longer than needed, a surrogate, or beyond Unicode: JSON libraries refuse them, so they are bytes to us.
    constexpr uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < smallest[bytes] || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return {0, 0};
    return {bytes, code};
}

bool is_escape(uint32_t code) { return code >= escape_first && code <= escape_last; }

void append_escape(std::string& text, unsigned char byte) {
    uint32_t code = escape_base + byte;
    text += static_cast<char>(0xe0 | code >> 12);
    text += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (code & 0x3f));
}

}  // namespace

std::string name_to_text(std::string_view name) {
    std::string text;
    text.reserve(name.size());
    for (size_t index = 0; index < name.size();) {
        Character character = character_at(name, index);
        if (character.bytes == 0 || is_escape(character.code)) {
            append_escape(text, static_cast<unsigned char>(name[index]));
            index += 1;
        } else {
            text += name.substr(index, character.bytes);
            index += character.bytes;
        }
    }
    return text;
}

std::string text_to_name(std::string_view text) {
    std::string name;
    name.reserve(text.size());
    for (size_t index = 0; index < text.size();) {
        Character character = character_at(text, index);
        if (character.bytes != 0 && is_escape(character.code)) {
            name += static_cast<char>(character.code - escape_base);
        } else {
            name += text.substr(index, character.bytes == 0 ? 1 : character.bytes);
        }
        index += character.bytes == 0 ? 1 : character.bytes;
    }
    return name;
}

}  // namespace holdfast
