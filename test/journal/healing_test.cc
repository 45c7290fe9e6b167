#include "journal/healing.h"

#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <thread>

namespace holdfast::journal {
namespace {

Touched sample() {
    Touched touched;
    touched.objects.push_back({{7, 8, 1}, "handle", {{0, 65536}, {1 << 20, UINT64_MAX}}, {"a", "name with\nlines"}});
    touched.objects.push_back({root_object, "", {}, {}});
    touched.nameless.push_back({{9, 1, 1}, "other", {}, {}});
    return touched;
}

bool same(const std::vector<TouchedObject>& a, const std::vector<TouchedObject>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const TouchedObject& x, const TouchedObject& y) {
        return x.id == y.id && x.handle == y.handle && x.ranges == y.ranges && x.names == y.names;
    });
}

}  // namespace

TEST_CASE("healing: what was touched comes over as it is, and cut off anywhere it is an error") {
    const auto bytes = encode(sample());
    const auto decoded = decode_touched(bytes);
    REQUIRE(decoded);
    CHECK(same(decoded->objects, sample().objects));
    CHECK(same(decoded->nameless, sample().nameless));
    for (size_t size = 0; size < bytes.size(); ++size) CHECK_FALSE(decode_touched(ByteSpan(bytes).first(size)));
    auto longer = bytes;
    longer.push_back(std::byte{0});
    CHECK_FALSE(decode_touched(longer));
}

TEST_CASE("healing: a count that cannot come is an error and takes no memory") {
    auto bytes = encode(sample());
    for (const size_t at : {size_t{0}, size_t{4 + 16}}) {
        auto bad = bytes;
        for (size_t i = 0; i < 4; ++i) bad[at + i] = std::byte{0xff};
        CHECK_FALSE(decode_touched(bad));
    }
}

TEST_CASE("healing: records come over whole, and damaged ones do not") {
    std::vector<std::byte> body;
    const std::vector<std::byte> data(5000, std::byte{'x'});
    Record write{.type = HF_WRITE, .flags = HF_RECORD_REPAIR, .lsn = 800, .object = {5, 6, 1}, .body = Write{4096, data}};
    Record link{.type = HF_LINK, .flags = HF_RECORD_REPAIR, .object = {5, 6, 1}, .body = Link{root_object, "again"}};
    add_record(body, write);
    add_record(body, link);
    const auto records = records_of(body);
    REQUIRE(records);
    REQUIRE(records->size() == 2);
    CHECK((*records)[0].as<Write>().data.size() == data.size());
    CHECK((*records)[0].flags == HF_RECORD_REPAIR);
    CHECK((*records)[1].as<Link>().name == "again");
    for (const size_t at : {size_t{2}, size_t{40}, size_t{3000}, body.size() - 60}) {
        auto bad = body;
        bad[at] ^= std::byte{0x40};
        CHECK_FALSE(records_of(bad));
    }
    CHECK(records_of({})->empty());
}

TEST_CASE("healing: an answer or an error comes back, and silence has an end") {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    HealPipe asker{UniqueFd(ends[0])};
    std::thread other([end = ends[1]] {
        HealPipe pipe{UniqueFd(end)};
        const auto first = pipe.receive(-1);
        if (first && first->verb == HealVerb::state) (void)pipe.send(HealVerb::answered, encode(HealState{true, false, true, 77, 5})).has_value();
        if (pipe.receive(-1)) (void)pipe.fail({ErrorCode::no_space, "full"}).has_value();
        (void)pipe.receive(-1).has_value();
        (void)pipe.receive(-1).has_value();
    });
    const auto answer = asker.ask(HealVerb::state, {}, 10'000);
    REQUIRE(answer);
    const auto state = decode_heal_state(*answer);
    REQUIRE(state);
    CHECK((state->is_paused && !state->is_everything && state->has_room));
    CHECK((state->published == 77 && state->objects == 5));
    const auto failed = asker.ask(HealVerb::records, {}, 10'000);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == ErrorCode::no_space);
    CHECK(failed.error().message == "full");
    const auto silent = asker.ask(HealVerb::done, {}, 20);
    REQUIRE_FALSE(silent);
    CHECK(silent.error().code == ErrorCode::unavailable);
    asker = HealPipe{UniqueFd()};
    other.join();
}

}  // namespace holdfast::journal
