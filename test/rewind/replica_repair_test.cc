// A replica's store is made equal to its source's by questions and answers, without engines: filled when it is empty, repaired with
// undo when it has history, and cut off anywhere.
#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "rewind/image.h"
#include "test/rewind/random_tree.h"
#include "test/rewind/replica_bench.h"
#include "test/rewind/same_tree.h"

namespace holdfast::test {

TEST_CASE("replica repair: an empty replica is filled, and is of that moment") {
    const uint64_t seed = tree_seed();
    StoreBench source;
    RandomTree random(source.live(), seed);
    for (int i = 0; i < 3; ++i) {
        random.change(80);
        source.record();
    }
    const Lsn at = source.store().applied();
    Replica replica(source);
    const auto evidence = need(replica.repair(at));
    CHECK(evidence.is_first_copy);
    CHECK(evidence.objects >= random.paths().size());
    CHECK(tree_difference(source.live(), replica.image()) == "");
    CHECK(replica.store().applied() == at);
    CHECK(replica.store().window_begin() == at);
    CHECK(replica.mark() == rewind::RepairMark{true, {at, 1'000'000'000 + at, at - at % source.volume().segment_bytes, {}}});
    replica.close();
    replica.open();
    CHECK(replica.store().applied() == at);
    CHECK(tree_difference(source.live(), replica.image()) == "");
}

TEST_CASE("replica repair: a filling that is cut off, or dies, is continued") {
    const uint64_t seed = tree_seed();
    std::mt19937_64 dice(seed);
    for (const uint32_t version : {1u, 2u, 3u}) {
        INFO("HOLDFAST_TEST_SEED=" << seed << " version " << version);
        StoreBench source;
        RandomTree random(source.live(), dice());
        Replica replica(source);
        replica.source_version = version;
        for (int round = 0; round < 5; ++round) {
            random.change(60);
            const Lsn at = source.record();
            if (round % 2 == 0) (void)replica.repair(at, 1 + dice() % 40).has_value();
            else replica.repair_and_die(at, 1 + dice() % 40);
        }
        const Lsn at = source.store().applied();
        need(replica.repair(at));
        CHECK(tree_difference(source.live(), replica.image()) == "");
        CHECK(replica.store().applied() == at);
    }
}

TEST_CASE("replica repair: names that were given anew after a filling died in a directory that the index had not kept") {
    StoreBench source;
    const auto fill = [&](const std::string& bytes) {
        for (int i = 0; i < 20; ++i) write_file(source.live("directory/file " + std::to_string(i)), bytes);
    };
    fs::create_directory(source.live("directory"));
    fill("x");
    Replica replica(source);
    replica.repair_and_die(source.record(), 12);
    REQUIRE(fs::exists(replica.image() + "/directory/file 1"));
    fs::rename(source.live("directory"), source.live("other"));
    fs::create_directory(source.live("directory"));
    fill("y");
    fs::rename(source.live("directory"), source.live("third"));
    fs::rename(source.live("other"), source.live("directory"));
    for (int i = 0; i < 20; ++i) fs::rename(source.live("third/file " + std::to_string(i)), source.live("directory/file " + std::to_string(i)));
    need(replica.repair(source.record()));
    CHECK(tree_difference(source.live(), replica.image()) == "");
}

TEST_CASE("replica repair: small files come with the catalog, and large ones when they are asked for") {
    StoreBench source;
    for (int i = 0; i < 200; ++i) write_file(source.live("file " + std::to_string(i)), std::string(static_cast<size_t>(i), 'x'));
    fs::create_directory(source.live("empty"));
    fs::create_hard_link(source.live("file 7"), source.live("empty/seven"));
    fs::last_write_time(source.live("empty"), fs::file_time_type() + std::chrono::hours(1));
    write_file(source.live("sparse"), "x");
    fs::resize_file(source.live("sparse"), 50'000);
    write_file(source.live("hole"), "");
    fs::resize_file(source.live("hole"), 5'000);
    write_file(source.live("large"), std::string(rewind::small_file_bytes_max + 1, 'l'));
    const Lsn at = source.record();
    for (const uint32_t version : {2u, 1u}) {
        Replica replica(source, "replica" + std::to_string(version));
        replica.source_version = version;
        need(replica.repair(at));
        CHECK(tree_difference(source.live(), replica.image()) == "");
        // The one with two names and the large one.
        if (version == 2) CHECK(replica.asked[rewind::SyncKind::bytes] == 2);
        if (version == 1) CHECK(replica.asked[rewind::SyncKind::bytes] > 200);
    }
}

TEST_CASE("replica repair: what a filling that was cut off left in the graveyard goes when it is continued") {
    StoreBench source;
    for (int i = 0; i < 20; ++i) write_file(source.live("file " + std::to_string(i)), "x");
    const Lsn at = source.record();
    Replica replica(source);
    REQUIRE(!replica.repair(at, 10).has_value());
    const std::string graveyard = replica.directory() + "/graveyard";
    const auto bury = [&](const std::string& path, const std::string& id) {
        REQUIRE(::setxattr(path.c_str(), rewind::object_id_xattr, id.data(), id.size(), 0) == 0);
    };
    for (const char* id : {"1:900:1", "1:901:1"}) {
        const std::string path = graveyard + "/" + id;
        if (id[4] == '0') write_file(path, "of nobody");
        else fs::create_directory(path);
        bury(path, id);
    }
    write_file(graveyard + "/1:901:1/below", "x");
    bury(graveyard + "/1:901:1/below", "1:902:1");
    write_file(graveyard + "/unfinished", "");
    need(replica.repair(at));
    CHECK(fs::is_empty(graveyard));
    CHECK(tree_difference(source.live(), replica.image()) == "");
}

TEST_CASE("replica repair: a source that goes on meanwhile tells of the moment all the same") {
    const uint64_t seed = tree_seed();
    StoreBench source;
    RandomTree random(source.live(), seed);
    random.change(150);
    const Lsn at = source.record();
    const std::string then = source.snapshot();
    random.change(150);
    source.record();
    Replica replica(source);
    need(replica.repair(at));
    CHECK(tree_difference(then, replica.image()) == "");
}

TEST_CASE("replica repair: a filling that was cut off is not taken for an empty history when the store is opened for its engine again") {
    StoreBench source;
    for (int i = 0; i < 20; ++i) write_file(source.live("file " + std::to_string(i)), "x");
    const Lsn at = source.record();
    Replica replica(source);
    REQUIRE(!replica.repair(at, 10).has_value());
    REQUIRE(replica.store().first_copy_pending());
    replica.close();
    need(rewind::make_replica_store(replica.directory(), source.volume().id, source.volume().segment_bytes, source.volume().origin, 0));
    replica.open();
    CHECK(replica.store().first_copy_pending());
    need(replica.repair(at));
    CHECK(tree_difference(source.live(), replica.image()) == "");
}

TEST_CASE("replica repair: one that got there and could not say so is complete when it is asked again") {
    StoreBench source;
    write_file(source.live("file"), "x");
    Replica replica(source);
    Lsn at = source.record();
    for (const bool is_first : {true, false}) {
        CAPTURE(is_first);
        need(replica.repair(at));
        replica.forget_completion();
        need(replica.repair(at));
        CHECK(replica.mark()->is_complete);
        write_file(source.live("file"), "y");
        at = source.record();
    }
}

TEST_CASE("replica repair: what the replica was before stays in its window") {
    const uint64_t seed = tree_seed();
    StoreBench source;
    RandomTree random(source.live(), seed);
    random.change(80);
    std::vector<std::pair<Lsn, std::string>> moments{{source.record(), source.snapshot()}};
    Replica replica(source);
    need(replica.repair(moments.back().first));
    for (int step = 0; step < 4; ++step) {
        random.change(60);
        // The replica misses what lies between.
        source.record();
        random.change(20);
        const Lsn before = moments.back().first, at = source.record();
        const auto evidence = need(replica.repair(at));
        CHECK(!evidence.is_first_copy);
        CHECK(tree_difference(source.live(), replica.image()) == "");
        CHECK(replica.store().applied() == at);
        CHECK(replica.store().check_moment(at).has_value());
        CHECK(replica.store().check_moment(before).has_value());
        const Status between = replica.store().check_moment(before + 8);
        REQUIRE(!between.has_value());
        CHECK(between.error().code == ErrorCode::gap);
        moments.emplace_back(at, source.snapshot());
        for (const auto& [moment, snapshot] : moments) CHECK(tree_difference(snapshot, replica.restored(moment)) == "");
        // What is equal costs its digests.
        const uint64_t objects = evidence.objects;
        write_file(source.live("one more " + std::to_string(step)), "x");
        const Lsn next = source.record();
        const auto again = need(replica.repair(next));
        CHECK(again.objects == objects + 1);
        CHECK(again.repairs < 10);
        moments.back() = {next, source.snapshot()};
    }
    replica.close();
    replica.open();
    for (const auto& [moment, snapshot] : moments) CHECK(tree_difference(snapshot, replica.restored(moment)) == "");
}

TEST_CASE("replica repair: one that is cut off, or dies, is made again, and history before it is untouched") {
    const uint64_t seed = tree_seed();
    std::mt19937_64 dice(seed);
    for (int story = 0; story < 6; ++story) {
        StoreBench source;
        RandomTree random(source.live(), seed + static_cast<uint64_t>(story));
        INFO("HOLDFAST_TEST_SEED=" << seed << " story " << story);
        random.change(100);
        std::vector<std::pair<Lsn, std::string>> moments{{source.record(), source.snapshot()}};
        Replica replica(source);
        need(replica.repair(moments.back().first));
        for (int round = 0; round < 4; ++round) {
            random.change(80);
            const Lsn at = source.record();
            if (round % 2 == 0) (void)replica.repair(at, 2 + dice() % 30).has_value();
            else replica.repair_and_die(at, 2 + dice() % 60);
            if (replica.store().is_repairing()) CHECK(!replica.store().check_moment(at).has_value());
        }
        const Lsn at = source.store().applied();
        need(replica.repair(at));
        moments.emplace_back(at, source.snapshot());
        CHECK(tree_difference(source.live(), replica.image()) == "");
        for (const auto& [moment, snapshot] : moments) CHECK(tree_difference(snapshot, replica.restored(moment)) == "");
    }
}

TEST_CASE("replica repair: large files travel by what differs in them") {
    StoreBench source;
    std::string bytes(24 << 20, '\0');
    std::mt19937_64 random(7);
    for (char& byte : bytes) byte = static_cast<char>(random());
    write_file(source.live("large"), bytes);
    Replica replica(source);
    const auto filled = need(replica.repair(source.record()));
    CHECK(filled.bytes_received > bytes.size());
    for (const size_t place : {size_t{5}, size_t{9 << 20}, bytes.size() - 1}) bytes[place] ^= 1;
    write_file(source.live("large"), bytes);
    const auto repaired = need(replica.repair(source.record()));
    CHECK(tree_difference(source.live(), replica.image()) == "");
    CHECK(repaired.bytes_received < 4 * rewind::digest_chunk_bytes);
    CHECK(repaired.bytes_written == 3 * 4096);
}

TEST_CASE("replica repair: files of equal size and time are trusted when that is wanted, but not after a repair that was cut off") {
    StoreBench source;
    for (const char* name : {"a", "b"}) write_file(source.live(name), std::string(100'000, 'x'));
    Replica replica(source);
    need(replica.repair(source.record()));
    // What only a comparison of bytes finds: another byte under the same size and time.
    const auto damage = [&](const char* name) {
        struct stat before;
        REQUIRE(stat((replica.image() + "/" + name).c_str(), &before) == 0);
        std::fstream(replica.image() + "/" + name, std::ios::binary | std::ios::in | std::ios::out).put('y');
        const timespec times[2] = {before.st_atim, before.st_mtim};
        REQUIRE(utimensat(AT_FDCWD, (replica.image() + "/" + name).c_str(), times, 0) == 0);
    };
    damage("a");
    write_file(source.live("c"), "c");
    replica.trusts_times = true;
    const auto trusted = need(replica.repair(source.record()));
    CHECK(trusted.files_trusted == 2);
    CHECK(tree_difference(source.live(), replica.image()) != "");
    write_file(source.live("d"), "d");
    const Lsn at = source.record();
    for (uint64_t answers = 1; !replica.store().is_repairing(); ++answers) REQUIRE(!replica.repair(at, answers).has_value());
    const auto compared = need(replica.repair(at));
    CHECK(compared.files_trusted == 0);
    CHECK(tree_difference(source.live(), replica.image()) == "");
}

TEST_CASE("replica repair: the brake stops before anything is deleted") {
    StoreBench source;
    for (int i = 0; i < 1200; ++i) write_file(source.live("file " + std::to_string(i)), "x");
    Replica replica(source);
    need(replica.repair(source.record()));
    for (int i = 0; i < 1100; ++i) fs::remove(source.live("file " + std::to_string(i)));
    const Lsn at = source.record();
    const auto stopped = replica.repair(at, UINT64_MAX, false);
    REQUIRE(!stopped.has_value());
    CHECK(stopped.error().code == ErrorCode::permission);
    CHECK(std::distance(fs::directory_iterator(replica.image()), fs::directory_iterator()) == 1200);
    need(replica.repair(at));
    CHECK(tree_difference(source.live(), replica.image()) == "");
}

TEST_CASE("replica repair: a replica that is ahead of its source is not put below itself") {
    StoreBench source;
    write_file(source.live("file"), "x");
    const Lsn first = source.record();
    write_file(source.live("file"), "y");
    const Lsn second = source.record();
    Replica replica(source);
    need(replica.repair(second));
    const auto refused = replica.repair(first);
    REQUIRE(!refused.has_value());
    CHECK(refused.error().code == ErrorCode::unsupported);
}

namespace {

// Renames, removes, links, writes and makes things in the image, copies objects with their ids, and takes ids away.
void vandalize(const std::string& image, uint64_t seed) {
    RandomTree vandal(image, seed);
    std::mt19937_64 dice(seed);
    vandal.change(40);
    const auto some = [&] {
        const auto paths = vandal.paths();
        return paths.empty() ? std::string() : image + "/" + paths[dice() % paths.size()];
    };
    for (int i = 0; i < 3; ++i) {
        const std::string from = some();
        if (from.empty() || fs::is_directory(fs::symlink_status(from))) continue;
        REQUIRE(::system(("cp -a --preserve=all '" + from + "' '" + some() + ".copy' 2>/dev/null; true").c_str()) == 0);
    }
    for (int i = 0; i < 3; ++i) ::lremovexattr(some().c_str(), rewind::object_id_xattr);
}

}  // namespace

TEST_CASE("replica repair: an image that was changed behind the product's back is mended and made equal, cut off or dead in between or not") {
    const uint64_t seed = tree_seed();
    std::mt19937_64 dice(seed);
    for (int story = 0; story < 8; ++story) {
        StoreBench source;
        RandomTree random(source.live(), dice());
        INFO("HOLDFAST_TEST_SEED=" << seed << " story " << story);
        random.change(120);
        Replica replica(source);
        need(replica.repair(source.record()));
        for (int round = 0; round < 3; ++round) {
            random.change(10);
            const Lsn at = source.record();
            vandalize(replica.image(), dice());
            if (round == 1) (void)replica.repair(at, 2 + dice() % 30).has_value();
            if (round == 2) replica.repair_and_die(at, 2 + dice() % 60);
            if (story % 2 == 1 && replica.store().applied() < at) vandalize(replica.image(), dice());
            need(replica.repair(at));
            CHECK(tree_difference(source.live(), replica.image()) == "");
            fs::remove_all(source.live("one more"));
            write_file(source.live("one more"), std::string(20'000, static_cast<char>('a' + round)));  // addresses for records
            const auto again = need(replica.repair(source.record()));
            CHECK(again.sentence.find("behind the product's back") == std::string::npos);
        }
        replica.close();
        replica.open();
        random.change(30);
        need(replica.repair(source.record()));
        CHECK(tree_difference(source.live(), replica.image()) == "");
    }
}

TEST_CASE("replica repair: what was lost from the image did not exist before, what was moved in it has its past, and what is foreign is kept") {
    StoreBench source;
    fs::create_directories(source.live("directory/below"));
    for (const char* name : {"lost", "moved", "directory/below/lost with its directory", "directory/moved out"}) write_file(source.live(name), "first");
    fs::create_hard_link(source.live("moved"), source.live("directory/second name"));
    const Lsn first = source.record();
    Replica replica(source);
    need(replica.repair(first));
    for (const char* name : {"lost", "moved"}) write_file(source.live(name), "second");
    need(replica.repair(source.record()));

    const std::string image = replica.image();
    fs::remove(image + "/lost");
    fs::rename(image + "/moved", image + "/elsewhere");
    fs::rename(image + "/directory/moved out", image + "/out");
    fs::remove_all(image + "/directory");
    write_file(image + "/foreign", "foreign");
    write_file(source.live("third"), "third");
    const auto evidence = need(replica.repair(source.record()));
    INFO(evidence.sentence);
    CHECK(tree_difference(source.live(), image) == "");
    CHECK(evidence.sentence.find("behind the product's back") != std::string::npos);

    const std::string restored = replica.restored(first);
    const auto text = [&](const std::string& name) {
        std::ifstream stream(restored + "/" + name);
        return std::string(std::istreambuf_iterator<char>(stream), {});
    };
    CHECK(text("moved") == "first");
    CHECK(!fs::exists(restored + "/lost"));
    CHECK(!fs::exists(restored + "/directory"));
    std::vector<std::string> kept;
    for (const auto& entry : fs::recursive_directory_iterator(replica.directory() + "/graveyard/set-aside"))
        if (entry.is_regular_file()) kept.push_back(entry.path());
    // With what lay in the directory that is lost, which has no place any more.
    REQUIRE(kept.size() == 2);
    CHECK(std::any_of(kept.begin(), kept.end(), [](const std::string& path) { return fs::file_size(path) == std::string("foreign").size(); }));
}

}  // namespace holdfast::test
