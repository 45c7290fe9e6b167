#include "rewind/index/index_keys.h"

#include <catch2/catch.hpp>
#include <vector>

namespace holdfast::rewind {
namespace {

TEST_CASE("index: numbers in keys sort as numbers and come back") {
    std::vector<uint64_t> numbers{0, 1, 255, 256, 65535, 65536, UINT32_MAX, 1ULL << 32, UINT64_MAX - 1, UINT64_MAX};
    std::string before;
    for (const uint64_t number : numbers) {
        const std::string key = KeyWriter(IndexTable::data).number(number).bytes();
        CHECK(before < key);
        before = key;
        KeyReader reader(std::string_view(key).substr(1));
        CHECK(reader.number() == number);
        CHECK((reader.is_whole() && reader.left() == 0));
        std::string value;
        put_varint(value, number);
        std::string_view rest = value;
        uint64_t back = 1;
        CHECK((get_varint(rest, back) && back == number && rest.empty()));
        for (size_t cut = 0; cut + 1 < key.size(); ++cut) {
            KeyReader torn(std::string_view(key).substr(1, cut));
            torn.number();
            CHECK_FALSE(torn.is_whole());
        }
    }
}

}  // namespace
}  // namespace holdfast::rewind
