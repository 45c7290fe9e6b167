// Two stores are compared at one moment: nothing is told of what both have, everything of what one has otherwise, and what happens after the
// moment is no difference.
#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "rewind/replica_store.h"
#include "rewind/sync/comparison.h"
#include "rewind/sync/replica_repair.h"
#include "test/rewind/direct_line.h"
#include "test/rewind/random_tree.h"
#include "test/rewind/store_bench.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using journal::Lsn;
using rewind::ComparedPart;

template <typename T>
T need(Result<T> result) {
    if (!result) FAIL(result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

// A replica that is made equal to the source again and again.
class Replica {
public:
    explicit Replica(StoreBench& source) : source_(source) {
        ::setenv("HOLDFAST_STATE_DIR", source.scratch("state").c_str(), 1);
        volume_ = need(rewind::make_replica_store(source.scratch("replica"), source.volume().id, source.volume().segment_bytes, source.volume().origin, 0));
        disk_ = need(open_disk(volume_.store));
        journal_disk_ = need(open_disk(volume_.journal_directory));
        reader_ = std::make_unique<journal::Reader>(*journal_disk_, volume_.id, volume_.segment_bytes, nullptr);
        store_ = need(rewind::Store::open(volume_, *reader_, system_clock()));
    }
    void make_equal(Lsn at) {
        DirectLine line(source_.store(), at);
        rewind::RepairOptions options;
        options.accept_deletions = true;
        need(rewind::repair_replica(*store_, *disk_, volume_.store, {at, 1'000'000'000 + at, at - at % volume_.segment_bytes, {}}, line, options, system_clock()));
    }
    Result<ComparedPart> part(DirectLine& line, Lsn at, const rewind::CompareOptions& options = {}) { return rewind::compare_stores(*store_, at, line, options); }
    Result<ComparedPart> part(Lsn at, const rewind::CompareOptions& options) {
        DirectLine line(source_.store(), at);
        return part(line, at, options);
    }
    ComparedPart compare(Lsn at) { return need(part(at, {})); }
    std::string image(const std::string& name) const { return volume_.store + "/image/" + name; }

private:
    StoreBench& source_;
    journal::Volume volume_;
    std::unique_ptr<Disk> disk_, journal_disk_;
    std::unique_ptr<journal::Reader> reader_;
    std::unique_ptr<rewind::Store> store_;
};

std::map<std::string, std::string> told(const ComparedPart& part) {
    std::map<std::string, std::string> told;
    for (const rewind::Difference& one : part.listed) told[one.path] = one.what;
    return told;
}

std::string all(const ComparedPart& part) {
    std::string text;
    for (const rewind::Difference& one : part.listed) text += one.path + ": " + one.what + "\n";
    return text;
}

}  // namespace

TEST_CASE("comparison: nothing is told of what both have, whatever happens on either side after the moment") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    StoreBench source;
    RandomTree random(source.live(), seed);
    Replica replica(source);
    std::vector<Lsn> moments;
    for (int round = 0; round < 8; ++round) {
        random.change(80);
        moments.push_back(source.record());
        if (round % 2 == 0) replica.make_equal(moments.back());
        for (size_t i = 0; i < moments.size(); i += 2) {
            const ComparedPart part = replica.compare(moments[i]);
            INFO("moment " << i << " of " << moments.size() << ":\n" << all(part));
            REQUIRE(part.differences == 0);
            CHECK(part.is_last);
            CHECK(part.objects > 0);
        }
    }
}

TEST_CASE("comparison: what one side has otherwise is told, each with its path") {
    StoreBench source;
    write_file(source.live("bytes"), std::string(300'000, 'b'));
    write_file(source.live("longer"), "four");
    write_file(source.live("mode"), "m");
    write_file(source.live("owner"), "o");
    write_file(source.live("attribute"), "a");
    write_file(source.live("same"), "s");
    write_file(source.live("hole"), std::string(8192, '\0'));
    fs::create_directory(source.live("directory"));
    write_file(source.live("directory/gone"), "g");
    fs::create_symlink("somewhere", source.live("link"));
    write_file(source.live("sparse"), "");
    REQUIRE(truncate(source.live("sparse").c_str(), 1LL << 33) == 0);
    const Lsn at = source.record();
    Replica replica(source);
    replica.make_equal(at);
    REQUIRE(replica.compare(at).differences == 0);

    std::fstream file(replica.image("bytes"), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(200'000) << "x" << std::flush;
    write_file(replica.image("longer"), "longer");
    REQUIRE(chmod(replica.image("mode").c_str(), 0600) == 0);
    REQUIRE(chown(replica.image("owner").c_str(), 7, 8) == 0);
    REQUIRE(setxattr(replica.image("attribute").c_str(), "user.a", "1", 1, 0) == 0);
    REQUIRE(truncate(replica.image("hole").c_str(), 0) == 0);
    REQUIRE(truncate(replica.image("hole").c_str(), 8192) == 0);
    REQUIRE(unlink(replica.image("directory/gone").c_str()) == 0);
    const int sparse = open(replica.image("sparse").c_str(), O_WRONLY);
    REQUIRE(pwrite(sparse, "y", 1, 1LL << 32) == 1);
    close(sparse);

    const ComparedPart part = replica.compare(at);
    const auto found = told(part);
    INFO(all(part));
    CHECK(found.at("\"bytes\"").find("bytes between") == 0);
    CHECK(found.at("\"longer\"").find("size 6 here, 4 there") == 0);
    CHECK(found.at("\"mode\"") == "mode 600 here, 644 there");
    CHECK(found.at("\"owner\"") == "owner 7 here, 0 there; group 8 here, 0 there");
    CHECK(found.at("\"attribute\"") == "extended attributes");
    CHECK(found.at("\"directory\"") == "entries");
    CHECK(found.at("\"directory/gone\"") == "damaged here");
    CHECK(found.at("\"sparse\"").find("bytes between") == 0);
    CHECK(found.count("\"same\"") + found.count("\"hole\"") + found.count("\"link\"") == 0);
    CHECK(part.differences == found.size());
}

TEST_CASE("comparison: it may be done in parts, each at a moment of its own, also within one file") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 dice(seed);
    StoreBench source;
    RandomTree random(source.live(), seed);
    random.change(150);
    std::string large(12 << 20, '\0');
    for (size_t i = 0; i < large.size(); i += 4096) large[i + i % 4096] = static_cast<char>(1 + i % 250);
    write_file(source.live("large file"), large);
    Lsn at = source.record();
    Replica replica(source);
    replica.make_equal(at);
    const uint64_t objects = replica.compare(at).objects;
    uint64_t seen = 0, parts = 0;
    rewind::CompareOptions options;
    bool is_within = false;
    for (;;) {
        options.bytes_max = 4096 + dice() % (3 << 20);
        const ComparedPart part = need(replica.part(at, options));
        INFO(all(part));
        REQUIRE(part.differences == 0);
        seen += part.objects;
        ++parts;
        REQUIRE(parts < 10'000);
        if (part.is_last) break;
        is_within |= part.position.offset > 0;
        options.from = need(rewind::compare_position_of(to_json(part.position)));
    }
    CHECK(seen == objects);
    CHECK(parts > 3);
    CHECK(is_within);
}

TEST_CASE("comparison: a part that tells a difference tells it in the part in which it lies") {
    StoreBench source;
    std::string large(12 << 20, 'l');
    write_file(source.live("large file"), large);
    const Lsn at = source.record();
    Replica replica(source);
    replica.make_equal(at);
    std::fstream file(replica.image("large file"), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(9 << 20) << "x" << std::flush;
    rewind::CompareOptions options;
    options.bytes_max = 1 << 20;
    uint64_t differences = 0;
    for (int parts = 0; parts < 100; ++parts) {
        const ComparedPart part = need(replica.part(at, options));
        differences += part.differences;
        if (part.is_last) break;
        options.from = part.position;
    }
    CHECK(differences == 1);
}

TEST_CASE("comparison: a source that tells nonsense is refused, and the line that breaks ends it") {
    StoreBench source;
    write_file(source.live("file"), "x");
    const Lsn at = source.record();
    Replica replica(source);
    replica.make_equal(at);
    for (uint64_t answers = 0; answers < 2; ++answers) {
        DirectLine line(source.store(), at);
        line.answers_left = answers;
        const auto part = replica.part(line, at);
        CHECK((!part && part.error().code == ErrorCode::unavailable));
    }
    const auto refused = [](std::vector<std::byte> payload) {
        const auto page = rewind::decode_objects(payload, {5, 0, 0});
        return !page && page.error().code == ErrorCode::corrupt;
    };
    rewind::ObjectDigest object;
    object.object = {7, 0, 0};
    object.mode = S_IFREG | 0644;
    CHECK_FALSE(refused(rewind::encode_objects({{9, 0, 0}, {object}})));
    CHECK(refused({}));
    CHECK(refused(rewind::encode_objects({{5, 0, 0}, {}})));
    CHECK(refused(rewind::encode_objects({{6, 0, 0}, {object}})));
    CHECK(refused(rewind::encode_objects({{9, 0, 0}, {object, object}})));
    object.size = 4;
    CHECK(refused(rewind::encode_objects({{9, 0, 0}, {object}})));
    object.bytes.end = 5;
    CHECK(refused(rewind::encode_objects({{9, 0, 0}, {object}})));
    auto cut = rewind::encode_objects({{9, 0, 0}, {object}});
    cut.pop_back();
    CHECK(refused(cut));
    CHECK_FALSE(rewind::decode_stretch(rewind::encode_stretch(rewind::Stretch{4096, 1, {}}), 4096).has_value());
}

}  // namespace holdfast::test
