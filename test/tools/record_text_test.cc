#include "tools/cli/record_text.h"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::journal;
using cli::Json;
using cli::record_line;
using cli::record_to_json;

namespace {

Record record_of(hf_record_type type, Body body) {
    Record record;
    record.type = type;
    record.lsn = 4096;
    record.time_ns = 1'772'373'800'123'000'000;
    record.length = 64;
    record.object = {7, 3, 1};
    record.body = std::move(body);
    return record;
}

}  // namespace

TEST_CASE("record text: data is counted, not shown") {
    std::string data = "secret";
    Json json = record_to_json(record_of(HF_WRITE, Write{100, bytes_of(data)}));
    CHECK(json["bytes"] == 6);
    CHECK(json["offset"] == 100);
    CHECK(json["object"] == "1:7:3");
    CHECK(json.dump().find("secret") == std::string::npos);
}

TEST_CASE("record text: a hostile name stays on its line and survives in JSON") {
    std::string line = record_line(record_of(HF_UNLINK, Unlink{root_object, "evil\nforged  BOOKMARK\x1b[2J", true}));
    CHECK(line.find('\n') == line.size() - 1);
    CHECK(line.find('\x1b') == std::string::npos);
    CHECK(line.find("last_link=true") != std::string::npos);
    Json json = record_to_json(record_of(HF_LINK, Link{root_object, "latin-\xe9"}));
    CHECK_NOTHROW(json.dump());
}

TEST_CASE("record text: only the attributes that were set are shown") {
    Attributes attributes{};
    attributes.valid = HF_ATTR_MODE | HF_ATTR_MTIME;
    attributes.mode = 0100644;
    attributes.mtime_ns = -5;
    Json json = record_to_json(record_of(HF_SETATTR, SetAttr{attributes}));
    CHECK(json["attributes"].size() == 2);
    CHECK(json["attributes"]["mode"] == 0100644);
    CHECK(json["attributes"]["mtime_ns"] == -5);
}

TEST_CASE("record text: every kind of record has a line") {
    std::vector<Record> all;
    all.push_back(record_of(HF_TRUNCATE, Truncate{5}));
    all.push_back(record_of(HF_FALLOCATE, Fallocate{0, 10, HF_FALLOC_PUNCH_HOLE | HF_FALLOC_KEEP_SIZE}));
    all.push_back(record_of(HF_SYMLINK, Birth{root_object, "l", {}, 0, "target", {{"user.a", "b"}}}));
    all.push_back(record_of(HF_RENAME, Rename{root_object, "a", root_object, "b", {9, 1, 1}, false, true}));
    all.push_back(record_of(HF_SETXATTR, SetXattr{{"user.a", "value"}}));
    all.push_back(record_of(HF_REMOVEXATTR, RemoveXattr{"user.a"}));
    all.push_back(record_of(HF_ORPHAN_END, OrphanEnd{}));
    all.push_back(record_of(HF_BOOKMARK, Bookmark{"before"}));
    all.push_back(record_of(HF_GAP_BEGIN, Gap{true, HF_GAP_HOST_CRASH, 5, "the host stopped"}));
    all.push_back(record_of(HF_SESSION_CLOSE, Session{false, {}, 2, true}));
    all.push_back(record_of(HF_HEARTBEAT, Marker{}));
    for (const Record& record : all) {
        std::string line = record_line(record);
        INFO(line);
        CHECK(line.starts_with("4096  "));
        CHECK(line.find(journal::to_string(record.type)) != std::string::npos);
    }
}
