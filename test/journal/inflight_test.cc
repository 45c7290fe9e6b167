#include "journal/inflight.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "test/support/scratch.h"

namespace holdfast::journal {
namespace {

const VolumeId volume{{1}}, other_volume{{2}};

std::unique_ptr<InflightTable> open(const std::string& path, const VolumeId& id = volume) {
    auto table = InflightTable::open(path, id);
    REQUIRE(table.has_value());
    return std::move(table).value();
}

void use(InflightTable& table) {
    table.head().published.store(100);
    table.head().reserved.store(300);
    Slot& slot = table.slots()[5];
    slot.lsn = 200;
    slot.length = 64;
    slot.intent_length = 3;
    memcpy(slot.intent, "abc", 3);
    slot.state.store(static_cast<uint32_t>(SlotState::intent));
    table.stamp_boot();
}

void overwrite(const std::string& path, size_t offset, char byte) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(byte);
}

TEST_CASE("inflight: a fresh table is idle and did not survive anything") {
    test::ScratchDirectory scratch;
    auto table = open(scratch / "inflight");
    CHECK_FALSE(table->survived());
    CHECK(table->head().published.load() == 0);
    CHECK(table->slots().size() == inflight_slots_max);
    for (Slot& slot : table->slots()) CHECK(slot.state.load() == static_cast<uint32_t>(SlotState::idle));
    CHECK_FALSE(std::filesystem::exists(scratch / "inflight.new"));
}

TEST_CASE("inflight: what a process stored is there for the next one") {
    test::ScratchDirectory scratch;
    use(*open(scratch / "inflight"));
    auto table = open(scratch / "inflight");
    CHECK(table->survived());
    CHECK(table->head().published.load() == 100);
    CHECK(table->head().reserved.load() == 300);
    const Slot& slot = table->slots()[5];
    CHECK(slot.state.load() == static_cast<uint32_t>(SlotState::intent));
    CHECK(slot.lsn == 200);
    CHECK(memcmp(slot.intent, "abc", 3) == 0);
}

TEST_CASE("inflight: a table that was made and never used did not survive, however often it is opened") {
    test::ScratchDirectory scratch;
    open(scratch / "inflight")->head().reserved.store(8);
    auto reader = InflightTable::open_existing(scratch / "inflight");
    REQUIRE(reader.has_value());
    auto table = open(scratch / "inflight");
    CHECK_FALSE(table->survived());
    CHECK(table->head().reserved.load() == 0);
    // Whoever mapped it before still looks at the same words.
    table->head().published.store(77);
    CHECK((*reader)->head().published.load() == 77);
}

TEST_CASE("inflight: of another volume, another boot, another version or another size nothing survives") {
    test::ScratchDirectory scratch;
    const std::string path = scratch / "inflight";
    auto remade = [&](auto damage) {
        std::filesystem::remove(path);
        use(*open(path));
        damage();
        auto table = open(path);
        return !table->survived() && table->head().published.load() == 0 &&
               table->slots()[5].state.load() == static_cast<uint32_t>(SlotState::idle);
    };
    CHECK_FALSE(remade([] {}));
    CHECK(remade([&] { overwrite(path, offsetof(SharedHead, magic), 'x'); }));
    CHECK(remade([&] { overwrite(path, offsetof(SharedHead, version), 9); }));
    CHECK(remade([&] { overwrite(path, offsetof(SharedHead, slot_count), 9); }));
    CHECK(remade([&] { overwrite(path, offsetof(SharedHead, volume), 9); }));
    CHECK(remade([&] { overwrite(path, offsetof(SharedHead, boot_id), static_cast<char>(current_boot_id()[0] ^ 1)); }));
    CHECK(remade([&] { std::filesystem::resize_file(path, 100); }));
    CHECK(remade([&] { std::filesystem::resize_file(path, 0); }));
    CHECK(remade([&] { std::filesystem::remove(path); }));
    CHECK_FALSE(open(path, other_volume)->survived());
}

TEST_CASE("inflight: a reader finds the table of this run of the host, and no other") {
    test::ScratchDirectory scratch;
    const std::string path = scratch / "inflight";
    auto code = [&] {
        const auto table = InflightTable::open_existing(path);
        REQUIRE_FALSE(table.has_value());
        return table.error().code;
    };
    CHECK(code() == ErrorCode::not_found);
    use(*open(path));
    {
        auto table = InflightTable::open_existing(path);
        REQUIRE(table.has_value());
        CHECK((*table)->survived());
        CHECK((*table)->head().published.load() == 100);
    }
    overwrite(path, offsetof(SharedHead, boot_id), static_cast<char>(current_boot_id()[0] ^ 1));
    CHECK(code() == ErrorCode::not_found);
    std::filesystem::resize_file(path, 50);
    CHECK(code() == ErrorCode::not_found);
}

TEST_CASE("inflight: the file has all its blocks, so that a store into the mapping cannot meet a full disk") {
    test::ScratchDirectory scratch;
    auto table = open(scratch / "inflight");
    ::sync();
    struct stat status;
    REQUIRE(::stat((scratch / "inflight").c_str(), &status) == 0);
    CHECK(status.st_blocks * 512 >= status.st_size);
}

TEST_CASE("inflight: whoever waits wakes when the published address grows, also in another mapping") {
    test::ScratchDirectory scratch;
    auto writer = open(scratch / "inflight");
    writer->stamp_boot();
    auto reader = InflightTable::open_existing(scratch / "inflight");
    REQUIRE(reader.has_value());
    CHECK((*reader)->wait_published(0, 0) == 0);

    constexpr uint64_t steps = 2'000;
    std::thread follower([&] {
        uint64_t seen = 0;
        // A wake that is lost would cost a minute.
        while (seen < steps) seen = (*reader)->wait_published(seen, 60'000);
    });
    for (uint64_t step = 1; step <= steps; ++step) {
        writer->head().published.store(step);
        writer->wake_readers();
        if (step % 16 == 0) std::this_thread::yield();
    }
    follower.join();
    CHECK(writer->head().published.load() == steps);
}

TEST_CASE("inflight: waking costs no change of the word while nobody waits") {
    test::ScratchDirectory scratch;
    auto table = open(scratch / "inflight");
    const uint32_t before = table->head().wake.wakes();
    table->wake_readers();
    CHECK(table->head().wake.wakes() == before);
    CHECK(table->wait_published(0, 1) == 0);  // leaves its announcement behind, as a killed reader does
    table->wake_readers();
    table->wake_readers();
    CHECK(table->head().wake.wakes() == before + 1);
}

}  // namespace
}  // namespace holdfast::journal
