#include "journal/healing.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
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

int descriptors_open() {
    int open = 0;
    for (int fd = 0; fd < 1024; ++fd) open += ::fcntl(fd, F_GETFD) >= 0;
    return open;
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

TEST_CASE("healing: what is asked for by places comes over as it is, and more than one message may concern does not") {
    const std::vector<TouchedPlace> places{{3}, {0, 7}, {1u << 31, 0}};
    const auto bytes = encode(std::span<const TouchedPlace>(places));
    CHECK(decode_places(bytes).value() == places);
    CHECK_FALSE(decode_places(ByteSpan(bytes).first(bytes.size() - 1)));
    CHECK(decode_places({})->empty());
    const std::vector<TouchedPlace> many(heal_places_max + 1);
    CHECK(decode_places(encode(std::span(many).first(heal_places_max))));
    CHECK_FALSE(decode_places(encode(std::span(many))));
}

TEST_CASE("healing: descriptors come over with their answer, in order; an answer that lacks some is an error and leaves none open") {
    const int before = descriptors_open();
    {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        HealPipe asker{UniqueFd(ends[0])};
        std::thread other([end = ends[1]] {
            HealPipe pipe{UniqueFd(end)};
            for (const bool is_whole : {true, false}) {
                HealOpened opened;
                for (size_t i = 0; i < heal_places_max; ++i) {
                    if (i % 2) opened.add(UniqueFd(::open(i == 1 ? "/proc/self/stat" : "/dev/null", O_RDONLY | O_CLOEXEC)));
                    else opened.add(errno_error(ENOENT, "open it"));
                }
                if (!is_whole) opened.descriptors.pop_back();
                if (!pipe.receive(-1) || !pipe.send(HealVerb::answered, encode(std::span<const int32_t>(opened.errors)), opened.descriptors)) return;
            }
        });
        const auto whole = asker.ask_to_open(HealVerb::places, {}, heal_places_max, 10'000);
        const auto lacking = asker.ask_to_open(HealVerb::places, {}, heal_places_max, 10'000);
        other.join();
        REQUIRE(whole);
        CHECK(std::count(whole->errors.begin(), whole->errors.end(), ENOENT) == heal_places_max / 2);
        REQUIRE(whole->descriptors.size() == heal_places_max / 2);
        char first[4] = {}, second = 0;
        CHECK(::read(whole->descriptors[0].get(), first, sizeof first) == sizeof first);
        CHECK(::read(whole->descriptors[1].get(), &second, 1) == 0);
        REQUIRE_FALSE(lacking);
        CHECK(lacking.error().code == ErrorCode::corrupt);
    }
    CHECK(descriptors_open() == before);
}

}  // namespace holdfast::journal
