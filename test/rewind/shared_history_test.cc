// What a repair need not look at, because both stores had the same history up to some position.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <random>

#include "rewind/sync/catalog.h"
#include "rewind/sync/sync_source.h"
#include "test/rewind/random_tree.h"
#include "test/rewind/replica_bench.h"
#include "test/rewind/same_tree.h"

namespace holdfast::test {

TEST_CASE("replica repair: what neither side changed since both had the same history is not looked at, and all is equal") {
    const uint64_t seed = tree_seed();
    std::mt19937_64 dice(seed);
    uint64_t trusted = 0;
    for (int round = 0; round < 3; ++round) {
        INFO("HOLDFAST_TEST_SEED=" << seed << " round " << round);
        StoreBench source;
        const auto file = [&](uint64_t number) { return source.live("file " + std::to_string(number)); };
        for (uint64_t number = 0; number < 40; ++number) write_file(file(number), std::string(1000 * number, 'x'));
        fs::create_directory(source.live("random"));
        RandomTree random(source.live("random"), dice());
        const auto go_on = [&](int steps) {
            for (int step = 0; step < steps; ++step) {
                random.change(30);
                std::fstream changed(file(1 + dice() % 39), std::ios::in | std::ios::out | std::ios::binary);
                changed << step << ' ' << dice();
                std::string much(1 << 20, '\0');
                for (char& byte : much) byte = static_cast<char>(dice());
                write_file(source.live("much"), much);
                changed.close();
                source.record();
            }
        };
        go_on(2);
        Replica replica(source);
        need(replica.repair(source.store().applied()));
        std::vector<Lsn> moments;
        for (int attempt = 0; attempt < 3; ++attempt) {
            for (int step = 0; step < 3; ++step) {
                go_on(1 + static_cast<int>(dice() % 6));
                replica.follow();
                moments.push_back(replica.store().applied());
            }
            REQUIRE(tree_difference(source.live(), replica.image()) == "");
            if (dice() % 3 == 0) need(replica.store().take_back(moments[moments.size() - 1 - dice() % 3]));
            go_on(2 + static_cast<int>(dice() % 6));
            if (dice() % 2) (void)replica.repair(source.store().applied(), 1 + dice() % 60).has_value();
            else if (dice() % 2) replica.repair_and_die(source.store().applied(), 1 + dice() % 60);
            if (dice() % 2) go_on(1);
            const auto evidence = need(replica.repair(source.record()));
            INFO(evidence.sentence);
            CHECK(tree_difference(source.live(), replica.image()) == "");
            trusted += evidence.files_trusted;
        }
    }
    CHECK(trusted > 20);
}

TEST_CASE("replica repair: what a replica has beyond the history that it shares with its new source is looked at") {
    StoreBench source;
    for (int number = 0; number < 10; ++number) write_file(source.live("file " + std::to_string(number)), "as both have it");
    source.record();
    Replica kept(source, "kept"), ahead(source, "ahead");
    for (Replica* replica : {&kept, &ahead}) need(replica->repair(source.store().applied()));
    const auto go_on = [&](std::string_view text) {
        for (int step = 0; step < 12; ++step) {
            write_file(source.live("much"), std::string((1 << 20) + step, static_cast<char>('a' + step)));
            std::fstream(source.live("file " + std::to_string(step % 5)), std::ios::in | std::ios::out | std::ios::binary) << text;
            source.record();
        }
    };
    go_on("as both");
    for (Replica* replica : {&kept, &ahead}) replica->follow();
    go_on("AS ONE ");
    ahead.follow();
    REQUIRE(tree_difference(kept.image(), ahead.image()) != "");
    CHECK(ahead.repair_from(kept).files_trusted == 5);
    CHECK(tree_difference(kept.image(), ahead.image()) == "");
}

TEST_CASE("replica repair: what a source forgets while it tells of its tree counts as changed") {
    StoreBench source(1);
    write_file(source.live("quiet"), "as it was");
    for (int step = 0; step < 30; ++step) {
        write_file(source.live("much"), std::string((1 << 20) + step, static_cast<char>('a' + step)));
        source.record();
    }
    const auto positions = source.store().chains();
    REQUIRE(positions.size() > 1);
    const auto count = [&](rewind::SyncSource& told) {
        const auto page = need(rewind::decode_answer(told.answer(rewind::encode_question({}))));
        rewind::Catalog catalog = need(rewind::Catalog::make(source.scratch("")));
        int unchanged = 0;
        need(catalog.add(page.payload, [&](const rewind::CatalogObject& object) -> Status { return unchanged += object.object.is_unchanged, ok(); }));
        return unchanged;
    };
    const auto ask = [&](rewind::SyncSource& told) { return need(rewind::shared_of(need(rewind::decode_answer(told.answer(rewind::encode_question({.kind = rewind::SyncKind::shared, .positions = {positions.front()}})))))); };
    rewind::SyncSource before(source.store(), source.store().applied(), {}), during(source.store(), source.store().applied(), {});
    CHECK(ask(before) == positions.front().lsn);
    CHECK(ask(during) == positions.front().lsn);
    CHECK(count(before) == 1);
    need(source.store().checkpoint());
    need(source.store().prune());
    REQUIRE(source.store().window_begin() > positions.front().lsn);
    CHECK(count(during) == 0);
    rewind::SyncSource after(source.store(), source.store().applied(), {});
    CHECK(ask(after) == 0);
}

TEST_CASE("replica repair: chains beyond the last checkpoint are not believed when a store is opened") {
    StoreBench source;
    Replica replica(source);
    need(replica.repair(source.record()));
    for (int step = 0; step < 6; ++step) {
        write_file(source.live("much"), std::string((1 << 20) + step, static_cast<char>('a' + step)));
        source.record();
    }
    replica.follow();
    const auto points = replica.store().chains();
    REQUIRE_FALSE(points.empty());
    replica.close();
    const auto disk = need(open_disk(replica.directory()));
    rewind::Chains chains;
    need(chains.load(*disk));
    chains.add({points.back().lsn + (1 << 30), {}});
    need(chains.save(*disk, 0));
    replica.open();
    CHECK(replica.store().chains() == points);
}

TEST_CASE("replica repair: a file that nobody changed is not looked at but when somebody asks for the repair, or when the two never had the same history") {
    StoreBench source;
    const auto go_on = [&] {
        for (int step = 0; step < 6; ++step) {
            write_file(source.live("much"), std::string((1 << 20) + step, static_cast<char>('a' + step)));
            source.record();
        }
    };
    write_file(source.live("quiet"), "as it was");
    source.record();
    Replica replica(source);
    need(replica.repair(source.store().applied()));
    const auto rots = [&] { write_file(replica.image() + "/quiet", "as it rot"); };
    const auto is_equal = [&] { return tree_difference(source.live(), replica.image()) == ""; };
    // Filled, and no segment has ended since: nothing shows that the histories are one.
    rots();
    write_file(source.live("other"), "x");
    CHECK(need(replica.repair(source.record())).files_trusted == 0);
    CHECK(is_equal());
    go_on();
    replica.follow();
    REQUIRE(is_equal());
    rots();
    go_on();
    CHECK(need(replica.repair(source.store().applied())).files_trusted > 0);
    CHECK_FALSE(is_equal());
    // An earlier version of the source does not know what that is.
    replica.source_version = 2;
    write_file(source.live("other"), "xy");
    CHECK(need(replica.repair(source.record())).files_trusted == 0);
    CHECK(is_equal());
    replica.source_version = rewind::sync_version;
    rots();
    write_file(source.live("other"), "xyz");
    replica.want_repair();
    CHECK_FALSE(replica.repair(source.record(), 4));
    CHECK(replica.mark()->is_of_everything);
    CHECK(need(replica.repair(source.store().applied())).files_trusted == 0);
    CHECK(is_equal());
}

}  // namespace holdfast::test
