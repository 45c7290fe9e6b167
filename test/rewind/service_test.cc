// The store service as its clients see it: a journal with a live writer, a service in this process, its control socket.
#include "rewind/service/service.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <thread>

#include "journal/segment.h"
#include "journal/writer.h"
#include "base/unix_socket.h"
#include "rewind/image.h"
#include "rewind/sync/repair_mark.h"
#include "rewind/sync/sync_pipe.h"
#include "test/support/scratch.h"

namespace holdfast::rewind {
namespace {

using journal::ObjectId;

constexpr ObjectId directory{100, 1, 1}, file{101, 1, 1};
constexpr ObjectId root = journal::root_object;

// Records go in here; they come out of the service.
class Bench {
public:
    Bench() {
        ::setenv("HOLDFAST_RUN_DIR", (scratch_ / "run").c_str(), 1);
        volume.id = journal::random_volume_id();
        volume.directory = scratch_ / "live";
        volume.store = scratch_ / "store";
        volume.journal_directory = volume.store + "/journal";
        volume.segment_bytes = HF_SEGMENT_BYTES_MIN;
        for (const char* part : {"/journal/cursors", "/image", "/graveyard", "/undo", "/index"})
            std::filesystem::create_directories(volume.store + part);
        disk_ = open_disk(volume.journal_directory).value();
        table_ = journal::InflightTable::open(volume.journal_directory + "/inflight", volume.id).value();
        journal::WriterOptions options;
        options.segment_bytes = volume.segment_bytes;
        writer_ = journal::Writer::open(*disk_, *table_, system_clock(), volume.id, {}, options).value();
    }
    ~Bench() { end(); }

    template <typename Body>
    Lsn append(hf_record_type type, ObjectId object, Body body) {
        journal::Record record;
        record.type = type;
        record.object = object;
        record.body = std::move(body);
        REQUIRE(writer_->append(record));
        return writer_->published();
    }
    Lsn make(ObjectId object, ObjectId parent, std::string_view name, uint32_t mode) {
        journal::Birth birth;
        birth.parent = parent;
        birth.name = name;
        birth.attributes = {HF_ATTR_ALL, mode, 0, 0, 1'600'000'000'000'000'001, 1'600'000'000'000'000'002, 0};
        return append(journal::birth_type(mode), object, std::move(birth));
    }
    Lsn write(uint64_t offset, std::string_view bytes) {
        return append(HF_WRITE, file, journal::Write{offset, bytes_of(bytes)});
    }
    Lsn bookmark(std::string_view name) { return append(HF_BOOKMARK, {}, journal::Bookmark{name}); }

    void start(Service::Options options = {}) {
        auto started = Service::start(volume, system_clock(), options);
        INFO((started ? std::string() : started.error().message));
        REQUIRE(started);
        service_ = std::move(*started);
        runner_ = std::thread([this] {
            ended_well = service_->run().has_value();
            service_.reset();
        });
    }
    // As SIGTERM does.
    void end() {
        if (!runner_.joinable()) return;
        service_->ask_to_end();
        runner_.join();
    }
    void join() { runner_.join(); }

    Result<Json> call(Json request) { return json_call(journal::store_socket(volume.id), request); }
    Json ask(Json request) {
        auto answer = call(request);
        INFO(request.dump() + ": " + (answer ? std::string() : answer.error().message));
        REQUIRE(answer);
        return *answer;
    }
    ErrorCode refusal(Json request) {
        auto answer = call(request);
        REQUIRE(!answer);
        return answer.error().code;
    }
    bool comes_to(std::string_view state) {
        for (int attempt = 0; attempt < 2000; ++attempt) {
            if (ask({{"verb", "status"}})["state"] == state) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return false;
    }
    Lsn published() const { return writer_->published(); }
    void damage(Lsn at) {
        const UniqueFd segment(::open((volume.journal_directory + "/" + journal::segment_name(0)).c_str(), O_WRONLY));
        REQUIRE(::pwrite(segment.get(), "X", 1, static_cast<off_t>(at)) == 1);
    }

    journal::Volume volume;
    std::atomic<bool> ended_well{false};

private:
    test::ScratchDirectory scratch_;
    std::unique_ptr<Disk> disk_;
    std::unique_ptr<journal::InflightTable> table_;
    std::unique_ptr<journal::Writer> writer_;
    std::unique_ptr<Service> service_;
    std::thread runner_;
};

bool is_root() {
    if (::geteuid() == 0) return true;
    WARN("skipped: needs root for owners and trusted xattrs");
    return false;
}

TEST_CASE("service: what is published is applied, and a bookmark is there as soon as it was made") {
    if (!is_root()) return;
    Bench bench;
    bench.start();
    bench.make(directory, root, "d", S_IFDIR | 0755);
    bench.make(file, directory, "f", S_IFREG | 0640);
    bench.write(0, "one");
    const Lsn at = bench.bookmark("first");
    CHECK(bench.ask({{"verb", "moment"}, {"at", "first"}})["lsn"] < at);
    bench.write(3, "two");

    CHECK(bench.ask({{"verb", "wait"}, {"lsn", bench.published()}, {"timeout_ms", 20000}})["applied"] ==
          bench.published());
    Json then = bench.ask({{"verb", "ls"}, {"path", "d"}, {"at", "first"}})["entries"];
    REQUIRE(then.size() == 1);
    CHECK(then[0]["name"] == "f");
    CHECK(then[0]["type"] == "file");
    CHECK(then[0]["mode"] == 0640);
    CHECK(then[0]["size"] == 3);
    CHECK(bench.ask({{"verb", "ls"}, {"path", "/d/f"}, {"at", "now"}})["entries"][0]["size"] == 6);
    CHECK(bench.refusal({{"verb", "ls"}, {"path", "none"}, {"at", "now"}}) == ErrorCode::not_found);
    CHECK(bench.refusal({{"verb", "ls"}, {"path", "d"}, {"at", "never"}}) == ErrorCode::not_found);
    CHECK(bench.refusal({{"verb", "ls"}, {"at", "now"}}) == ErrorCode::invalid_argument);
    CHECK(bench.refusal({{"verb", "conjure"}}) == ErrorCode::invalid_argument);

    const Json status = bench.ask({{"verb", "status"}});
    CHECK(status["state"] == "following");
    CHECK(status["bookmarks"] == 1);
    CHECK(status["applied"] == bench.published());
    CHECK(!status.contains("failure"));
}

TEST_CASE("service: bookmarks are listed, renamed and deleted") {
    if (!is_root()) return;
    Bench bench;
    bench.start();
    bench.make(file, root, "f", S_IFREG | 0644);
    bench.bookmark("one");
    bench.bookmark("two");
    CHECK(bench.ask({{"verb", "bookmarks"}})["bookmarks"].size() == 2);
    bench.ask({{"verb", "bookmark-rename"}, {"from", "one"}, {"to", "eins"}});
    bench.ask({{"verb", "bookmark-delete"}, {"name", "two"}});
    const Json left = bench.ask({{"verb", "bookmarks"}})["bookmarks"];
    REQUIRE(left.size() == 1);
    CHECK(left[0]["name"] == "eins");
    CHECK(left[0]["offered"] == true);
    CHECK(bench.refusal({{"verb", "bookmark-rename"}, {"from", "one"}, {"to", "x"}}) == ErrorCode::not_found);
}

TEST_CASE("service: ended in order it has applied everything, and goes on there") {
    if (!is_root()) return;
    Bench bench;
    bench.start();
    bench.make(file, root, "f", S_IFREG | 0644);
    for (int i = 0; i < 200; ++i) bench.write(static_cast<uint64_t>(i) * 1000, std::string(1000, 'x'));
    const Lsn all = bench.published();
    bench.end();
    CHECK(bench.ended_well);
    bench.start();
    CHECK(bench.ask({{"verb", "status"}})["applied"] == all);
    CHECK(bench.ask({{"verb", "ls"}, {"path", "f"}, {"at", "now"}})["entries"][0]["size"] == 200'000);
    CHECK(bench.ask({{"verb", "checkpoint"}})["lsn"] == all);
}

TEST_CASE("service: damage to the journal is told and stays told, and what was applied can still be looked at") {
    if (!is_root()) return;
    Bench bench;
    bench.make(file, root, "f", S_IFREG | 0644);
    const Lsn before = bench.write(0, "whole");
    const Lsn damaged = bench.write(5, "damaged");
    bench.damage(damaged - 16);
    bench.start();
    REQUIRE(bench.comes_to("failed"));
    const Json status = bench.ask({{"verb", "status"}});
    CHECK(status["failure"].get<std::string>().find(journal::segment_name(0)) != std::string::npos);
    CHECK(status["applied"] <= before);
    // The present cannot be told any more, and the reason is the damage.
    CHECK(bench.refusal({{"verb", "ls"}, {"path", ""}, {"at", "now"}}) == ErrorCode::torn);
    CHECK(bench.ask({{"verb", "ls"}, {"path", ""}, {"at", "lsn:0"}})["entries"] == Json::array());
    bench.end();
    CHECK(!bench.ended_well);
}

TEST_CASE("service: a store that cannot go on is there for a repair that begins, whenever it is asked for, and goes on failing when none came of it") {
    if (!is_root()) return;
    Bench bench;
    bench.volume.role = journal::VolumeRole::replica;
    bench.make(file, root, "f", S_IFREG | 0644);
    const Lsn damaged = bench.write(0, "damaged");
    bench.damage(damaged - 16);
    bench.start();
    for (int attempt = 0; attempt < 5; ++attempt) {
        CHECK(bench.comes_to("failed"));
        SyncPipe engine(connect_unix(journal::sync_socket(bench.volume.id)).value());
        REQUIRE(engine.send({{"role", "repair"}, {"point", to_json(RepairPoint{1 << 20, 1, 0, {}})}}));
        CHECK(engine.receive()->part == SyncPart::peer);
    }
    CHECK(bench.comes_to("failed"));
    bench.end();
    CHECK_FALSE(load_repair_mark(*open_disk(bench.volume.store).value())->has_value());
}

TEST_CASE("service: a journal whose in-flight table comes later than the service is followed from then on") {
    Bench bench;
    const std::string table = bench.volume.journal_directory + "/inflight";
    // As another process would see it before the journal's writer has come.
    std::filesystem::rename(table, table + ".later");
    bench.start();
    bench.make(file, root, "f", S_IFREG | 0644);
    std::filesystem::rename(table + ".later", table);
    bench.write(0, std::string(100, 'x'));
    CHECK(bench.ask({{"verb", "wait"}, {"lsn", bench.published()}, {"timeout_ms", 20000}})["applied"] == bench.published());
    const Json status = bench.ask({{"verb", "status"}});
    CHECK(status["published"] == bench.published());
    CHECK(status["state"] == "following");
}

TEST_CASE("service: a held store stays where it is until it may go on") {
    Bench bench;
    bench.start();
    bench.make(file, root, "f", S_IFREG | 0644);
    bench.ask({{"verb", "wait"}, {"lsn", bench.published()}, {"timeout_ms", 20000}});
    const Lsn held = bench.ask({{"verb", "hold"}})["applied"];
    CHECK(held == bench.published());
    bench.write(0, "later");
    CHECK(bench.ask({{"verb", "wait"}, {"lsn", bench.published()}, {"timeout_ms", 200}})["applied"] == held);
    CHECK(bench.ask({{"verb", "status"}})["state"] == "held");
    CHECK(bench.ask({{"verb", "ls"}, {"path", "f"}, {"at", "lsn:" + std::to_string(held)}})["entries"][0]["size"] == 0);
    bench.ask({{"verb", "go-on"}});
    CHECK(bench.ask({{"verb", "wait"}, {"lsn", bench.published()}, {"timeout_ms", 20000}})["applied"] == bench.published());
}

TEST_CASE("service: the store of a replica is not rewound") {
    Bench bench;
    bench.volume.role = journal::VolumeRole::replica;
    bench.volume.directory.clear();
    bench.start();
    bench.make(file, root, "f", S_IFREG | 0644);
    CHECK(bench.refusal({{"verb", "rewind"}, {"path", ""}, {"to", "now"}, {"dry_run", true}}) == ErrorCode::unsupported);
    CHECK(bench.ask({{"verb", "ls"}, {"path", ""}, {"at", "now"}})["entries"].size() == 1);
}

TEST_CASE("service: told to end while it waits for another host's answer, it ends, and the store is as it was") {
    if (!is_root()) return;
    Bench bench;
    bench.volume.role = journal::VolumeRole::replica;
    bench.start();
    SyncPipe engine(connect_unix(journal::sync_socket(bench.volume.id)).value());
    REQUIRE(engine.send({{"role", "repair"}, {"point", to_json(RepairPoint{1 << 20, 1, 0, {}})}}));
    REQUIRE(engine.receive()->part == SyncPart::peer);  // it asks, and is not answered
    bench.end();
    auto store = open_disk(bench.volume.store).value();
    CHECK_FALSE(load_repair_mark(*store)->has_value());
}

TEST_CASE("service: the sync socket refuses what it does not know, and a source's store is not made equal to another") {
    if (!is_root()) return;
    Bench bench;
    bench.start();
    const struct { Json says; ErrorCode code; } table[] = {
        {{{"role", "drop"}}, ErrorCode::invalid_argument},
        {{{"role", 7}}, ErrorCode::invalid_argument},
        {{{"role", "repair"}, {"point", to_json(RepairPoint{1 << 20, 1, 0, {}})}}, ErrorCode::unsupported},
    };
    for (const auto& [says, code] : table) {
        CAPTURE(says.dump());
        SyncPipe engine(connect_unix(journal::sync_socket(bench.volume.id)).value());
        REQUIRE(engine.send(says));
        const SyncMessage told = engine.receive().value();
        const auto answer = control_of(told);
        REQUIRE(!answer);
        CHECK(answer.error().code == code);
    }
    SyncPipe engine(connect_unix(journal::sync_socket(bench.volume.id)).value());
    REQUIRE(engine.send(Json{{"role", "serve"}}));
    const SyncMessage told = engine.receive().value();
    CHECK(control_of(told)->contains("at"));
}

TEST_CASE("service: verify finds nothing wrong in a sound store, and what is wrong in a damaged one") {
    if (!is_root()) return;
    Bench bench;
    bench.start();
    bench.make(directory, root, "d", S_IFDIR | 0755);
    bench.make(file, directory, "f", S_IFREG | 0644);
    bench.write(0, "one");
    bench.write(0, "two");
    bench.ask({{"verb", "wait"}, {"lsn", bench.published()}, {"timeout_ms", 20000}});
    Json report = bench.ask({{"verb", "verify"}});
    CHECK(report["problems"] == Json::array());
    CHECK(report["undo_records"] == 4);
    CHECK(report["journal_records"] == 4);
    CHECK(report["objects"] == 2);

    REQUIRE(::rename((bench.volume.store + "/image/d/f").c_str(), (bench.volume.store + "/image/d/g").c_str()) == 0);
    REQUIRE(::removexattr((bench.volume.store + "/image/d/g").c_str(), object_id_xattr) == 0);
    report = bench.ask({{"verb", "verify"}});
    REQUIRE(report["problems"].size() == 1);
    CHECK(report["problems"][0].get<std::string>().find("\"g\"") != std::string::npos);
}

TEST_CASE("service: one that a command started makes way for the one of the mount, which does not") {
    if (!is_root()) return;
    Bench bench;
    bench.make(file, root, "f", S_IFREG | 0644);
    bench.start();
    CHECK(bench.ask({{"verb", "status"}})["supervised"] == false);
    // A second unsupervised one does not push the first away.
    auto second = Service::start(bench.volume, system_clock(), {});
    REQUIRE(!second);
    CHECK(second.error().code == ErrorCode::busy);

    int until[2];
    REQUIRE(::pipe2(until, O_CLOEXEC) == 0);
    auto supervised = Service::start(bench.volume, system_clock(), {until[0]});
    REQUIRE(supervised);
    bench.join();
    CHECK(bench.ended_well);
    CHECK(bench.ask({{"verb", "status"}})["supervised"] == true);
    CHECK(bench.refusal({{"verb", "stop"}}) == ErrorCode::busy);
    std::thread runner([&] { CHECK((*supervised)->run()); });
    ::close(until[1]);
    runner.join();
    CHECK(bench.refusal({{"verb", "status"}}) == ErrorCode::unavailable);
}

}  // namespace
}  // namespace holdfast::rewind
