// Names, attributes, xattrs and events: the index against a model that is too simple to be wrong.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "test/rewind/index_bench.h"

namespace holdfast::rewind {
namespace {

using namespace holdfast::test;

struct NameModel {
    std::map<std::pair<ObjectId, std::string>, ObjectId> entries;
    std::map<ObjectId, ObjectAttributes> attributes;
    std::map<ObjectId, std::map<std::string, std::string>> xattrs;
};

struct NameBench : Bench {
    UndoSamples samples;
    NameModel now;
    std::vector<std::pair<Lsn, NameModel>> before;
    std::map<ObjectId, std::vector<Lsn>> events;
    std::map<ObjectId, std::vector<Index::NameEvent>> names;
    std::map<ObjectId, std::vector<std::pair<Lsn, bool>>> lives;  // true: birth
    uint64_t next_inode = 1000;
    std::vector<ObjectId> directories{journal::root_object, {2, 1, 1}, {3, 1, 1}};

    ObjectId bound(const ObjectId& directory, const std::string& name) const {
        const auto found = now.entries.find({directory, name});
        return found == now.entries.end() ? ObjectId{} : found->second;
    }
    UndoItem save_entry(const ObjectId& directory, const std::string& name) {
        return samples.dirent(directory, name, bound(directory, name));
    }
    UndoItem save_attributes(const ObjectId& object) { return samples.attributes(object, now.attributes[object]); }
    void touch(const ObjectId& object, std::mt19937_64& random) { now.attributes[object].mtime_ns = static_cast<int64_t>(random() >> 2); }

    void bind(const ObjectId& directory, const std::string& name, const ObjectId& object, Lsn lsn) {
        if (const ObjectId old = bound(directory, name)) names[old].push_back({lsn, directory, name, false});
        now.entries.erase({directory, name});
        if (!object) return;
        now.entries[{directory, name}] = object;
        names[object].push_back({lsn, directory, name, true});
    }
    void step(std::mt19937_64& random);
};

void NameBench::step(std::mt19937_64& random) {
    const ObjectId from = directories[random() % 3], to = directories[random() % 3];
    const std::string name = "n" + std::to_string(random() % 6), other_name = "n" + std::to_string(random() % 6) + "\xff";
    const ObjectId object = bound(from, name), replaced = bound(to, other_name);
    const NameModel state = now;
    UndoRecord record;
    const auto touches = [&](std::initializer_list<ObjectId> objects) {
        for (const ObjectId& one : objects) record.items.push_back(save_attributes(one));
    };
    if (!object) {
        const ObjectId born{next_inode++, 1, 1};
        record = samples.record(HF_CREATE, born, {samples.plain(UndoKind::birth, born), save_entry(from, name)});
        touches({from});
        touch(from, random), touch(born, random);
        lives[born].push_back({record.lsn, true});
        bind(from, name, born, record.lsn);
        events[born].push_back(record.lsn);
    } else if (random() % 4 == 0) {
        record = samples.record(HF_UNLINK, object, {save_entry(from, name), samples.plain(UndoKind::death, object)});
        touches({object, from});
        touch(object, random), touch(from, random);
        lives[object].push_back({record.lsn, false});
        bind(from, name, {}, record.lsn);
        events[object].push_back(record.lsn);
    } else if (random() % 3 == 0 && replaced && replaced != object) {
        const bool exchange = random() % 2;
        record = samples.record(HF_RENAME, object, {save_entry(from, name), save_entry(to, other_name)});
        record.exchange = exchange;
        touches({replaced, from});
        if (to != from) touches({to});
        touch(replaced, random), touch(from, random), touch(to, random);
        bind(from, name, {}, record.lsn);
        bind(to, other_name, {}, record.lsn);
        if (exchange) bind(from, name, replaced, record.lsn);
        bind(to, other_name, object, record.lsn);
        events[object].push_back(record.lsn);
        events[replaced].push_back(record.lsn);
    } else if (random() % 2 && !replaced) {
        record = samples.record(HF_LINK, object, {save_entry(to, other_name)});
        touches({object, to});
        touch(object, random), touch(to, random);
        bind(to, other_name, object, record.lsn);
        events[object].push_back(record.lsn);
    } else if (random() % 2) {
        auto& xattrs = now.xattrs[object];
        const std::string key = "user." + std::to_string(random() % 3);
        record = samples.record(HF_SETXATTR, object, {samples.xattr(object, key, xattrs.count(key), xattrs.count(key) ? xattrs[key] : "")});
        if (random() % 3 == 0)
            xattrs.erase(key);
        else
            xattrs[key] = random_bytes(random, random() % 50);
        events[object].push_back(record.lsn);
    } else {
        record = samples.record(HF_SETATTR, object, {save_attributes(object)});
        touch(object, random);
        events[object].push_back(record.lsn);
    }
    before.push_back({record.lsn, state});
    append(record);
}

void check_state(const NameBench& bench, Lsn at, const NameModel& state) {
    for (const ObjectId& directory : bench.directories) {
        std::map<std::string, ObjectId> listed;
        for (const auto& [key, object] : bench.now.entries)
            if (key.first == directory) listed[key.second] = object;
        for (const DirentUndo& undo : value_of(bench.index->dirents_at(directory, at))) {
            const auto single = value_of(bench.index->dirent_at(directory, undo.name, at));
            REQUIRE(single);
            CHECK((single->lsn == undo.lsn && single->previous == undo.previous));
            if (undo.previous)
                listed[undo.name] = undo.previous;
            else
                listed.erase(undo.name);
        }
        std::map<std::string, ObjectId> expected;
        for (const auto& [key, object] : state.entries)
            if (key.first == directory) expected[key.second] = object;
        if (listed != expected) FAIL("directory " << journal::to_string(directory) << " at LSN " << at);
    }
    for (const auto& [object, attributes] : state.attributes) {
        const auto undo = value_of(bench.index->attributes_at(object, at));
        if ((undo ? *undo : bench.now.attributes.at(object)) != attributes) FAIL("attributes at LSN " << at);
    }
    for (const auto& [object, lives] : bench.lives) {
        const bool born_later = lives[0].first >= at;
        CHECK(value_of(bench.index->existed_at(object, at)) == !born_later);
    }
    for (const auto& [object, xattrs_now] : bench.now.xattrs) {
        auto xattrs = xattrs_now;
        for (const auto& undo : value_of(bench.index->xattrs_at(object, at))) {
            if (undo.present)
                xattrs[undo.name] = undo.value;
            else
                xattrs.erase(undo.name);
        }
        const auto found = state.xattrs.find(object);
        const auto expected = found == state.xattrs.end() ? std::map<std::string, std::string>() : found->second;
        if (xattrs != expected) FAIL("xattrs at LSN " << at);
    }
}

// The names an object had at AT, by what names_of tells.
std::set<std::pair<ObjectId, std::string>> names_at(const std::vector<Index::NameEvent>& events, Lsn at) {
    std::set<std::pair<ObjectId, std::string>> held;
    for (const auto& event : events) {
        if (event.lsn >= at) break;
        if (event.gained)
            held.insert({event.directory, event.name});
        else
            held.erase({event.directory, event.name});
    }
    return held;
}

void check_names(const NameBench& bench, Lsn from) {
    for (const auto& [object, expected] : bench.names) {
        const auto told = value_of(bench.index->names_of(object));
        for (size_t i = 1; i < told.size(); ++i) CHECK(told[i - 1].lsn <= told[i].lsn);
        for (const auto& [lsn, state] : bench.before)
            if (lsn >= from && names_at(told, lsn) != names_at(expected, lsn)) FAIL("names of " << journal::to_string(object) << " at LSN " << lsn);
        CHECK(names_at(told, journal::lsn_max) == names_at(expected, journal::lsn_max));
    }
}

TEST_CASE("index: names, attributes, xattrs and lives at every moment are those of the model") {
    const uint64_t seed = seed_of_run();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    NameBench bench;
    for (int i = 0; i < 400; ++i) {
        bench.step(random);
        if (i == 200) require(bench.index->flush());
    }
    for (const auto& [lsn, state] : bench.before) check_state(bench, lsn, state);
    check_names(bench, 0);
    for (const auto& [object, expected] : bench.events) {
        std::vector<Lsn> told;
        for (const Event& event : value_of(bench.index->events_of(object, 0, 1000))) {
            told.push_back(event.lsn);
            require(bench.log->scan(event.record, [&](const UndoRecord& record) {
                CHECK((record.lsn == event.lsn && record.type == event.type && record.time_ns == event.time_ns));
                return false;
            }));
        }
        CHECK(told == expected);
        const auto some = value_of(bench.index->events_of(object, expected[expected.size() / 2], 2));
        CHECK(some[0].lsn == expected[expected.size() / 2]);
        CHECK(some.size() == std::min<size_t>(2, expected.size() - expected.size() / 2));
    }

    bench.crash();
    bench.catch_up();
    for (size_t i = 0; i < bench.before.size(); i += 17) check_state(bench, bench.before[i].first, bench.before[i].second);
    check_names(bench, 0);

    const Lsn limit = bench.before[150].first;
    require(bench.index->prune_below(limit));
    for (int compacted = 0; compacted < 2; ++compacted) {
        for (size_t i = 150; i < bench.before.size(); ++i) check_state(bench, bench.before[i].first, bench.before[i].second);
        check_names(bench, limit);
        for (const auto& [object, expected] : bench.events)
            for (const Event& event : value_of(bench.index->events_of(object, 0, 1000))) CHECK(event.lsn >= limit);
        for (const DirentUndo& binding : value_of(bench.index->bindings_of(bench.directories[0], "n1"))) CHECK(binding.lsn >= limit);
        require(bench.index->compact());
    }
}

TEST_CASE("index: parts of one record give one event, and the first attributes are those before it") {
    Bench bench;
    UndoSamples samples;
    const ObjectId file{9, 1, 1};
    ObjectAttributes before{0100644, 1, 2, 3, 4, 5, 6, 7, 8}, later = before;
    later.size = 99;
    const UndoRecord model = samples.record(HF_TRUNCATE, file, {});
    const bool attributes_first = GENERATE(true, false);
    for (int i = 0; i < 3; ++i) {
        UndoRecord part = model;
        part.continued = i < 2;
        part.items = {samples.data(file, static_cast<uint64_t>(i) * 4096, std::string(4096, static_cast<char>('a' + i)))};
        if (attributes_first || i > 0) part.items.push_back(samples.attributes(file, i == (attributes_first ? 0 : 1) ? before : later));
        const UndoAddress indexed_to = bench.index->indexed_to();
        bench.append(part);
        CHECK((bench.index->indexed_to() > indexed_to) == (i == 2));
    }
    CHECK(value_of(bench.index->events_of(file, 0, 10)).size() == 1);
    CHECK(value_of(bench.index->attributes_at(file, 0)) == before);
    CHECK(value_of(bench.index->data_at(file, 0, 12288, 0)).size() == 3);
    CHECK(bench.index->inserted_records() == 1);
}

TEST_CASE("index: an id that was used twice did not exist in between") {
    Bench bench;
    UndoSamples samples;
    const ObjectId file{9, 1, 1};
    std::vector<Lsn> lsns;
    for (const UndoKind kind : {UndoKind::birth, UndoKind::death, UndoKind::birth}) {
        lsns.push_back(samples.next_lsn);
        bench.append(samples.record(kind == UndoKind::birth ? HF_CREATE : HF_UNLINK, file, {samples.plain(kind, file)}));
    }
    CHECK_FALSE(value_of(bench.index->existed_at(file, lsns[0])));
    CHECK(value_of(bench.index->existed_at(file, lsns[1])));
    CHECK_FALSE(value_of(bench.index->existed_at(file, lsns[2])));
    CHECK(value_of(bench.index->existed_at(file, lsns[2] + 1)));
}

TEST_CASE("index: locations and the names of a first copy live beside the history") {
    Bench bench;
    const ObjectId file{9, 1, 1};
    CHECK_FALSE(value_of(bench.index->location(file)));
    const ImageLocation there{std::string("\0\1handle\xff", 9), 0100644, 2};
    require(bench.index->insert({}, {{file, there}}, {{file, journal::root_object, "a", true}, {file, journal::root_object, "b", true}}));
    require(bench.index->insert({}, {}, {{file, journal::root_object, "b", false}}));
    for (int reopened = 0; reopened < 2; ++reopened) {
        const auto found = value_of(bench.index->location(file));
        REQUIRE(found);
        CHECK((found->handle == there.handle && found->mode == there.mode && found->links == 2));
        const auto names = value_of(bench.index->names_of(file));
        REQUIRE(names.size() == 1);
        CHECK((names[0].lsn == 0 && names[0].name == "a" && names[0].gained));
        bench.open();
    }
    require(bench.index->insert({}, {{file, std::nullopt}}));
    CHECK_FALSE(value_of(bench.index->location(file)));
}

TEST_CASE("index: bookmarks and gaps are events of no object; heartbeats are none; gaps outlive pruning") {
    Bench bench;
    UndoSamples samples;
    std::vector<Lsn> lsns;
    for (const hf_record_type type : {HF_GAP_BEGIN, HF_GAP_END, HF_HEARTBEAT, HF_BOOKMARK, HF_SYNC_POINT, HF_BOOKMARK}) {
        lsns.push_back(samples.next_lsn);
        bench.append(samples.record(type, {}, {samples.event("payload")}));
    }
    const auto lsns_told = [&](Lsn from) {
        std::vector<Lsn> told;
        for (const Event& event : value_of(bench.index->events_of({}, from, 100))) told.push_back(event.lsn);
        return told;
    };
    CHECK(lsns_told(0) == std::vector<Lsn>{lsns[0], lsns[1], lsns[3], lsns[5]});
    CHECK(lsns_told(lsns[2]) == std::vector<Lsn>{lsns[3], lsns[5]});
    require(bench.index->prune_below(lsns[4]));
    CHECK(lsns_told(0) == std::vector<Lsn>{lsns[0], lsns[1], lsns[5]});
    require(bench.index->compact());
    CHECK(lsns_told(0) == std::vector<Lsn>{lsns[0], lsns[1], lsns[5]});
}

TEST_CASE("index: the time of a change that nothing has settled since is that of its record") {
    Bench bench;
    UndoSamples samples;
    const ObjectId file{9, 1, 1}, root = journal::root_object;
    const UndoRecord create = samples.record(HF_CREATE, file, {samples.plain(UndoKind::birth, file), samples.dirent(root, "f", {})});
    const UndoRecord write = samples.write(file, 0, "a"), again = samples.write(file, 0, "b");
    const UndoRecord mark = samples.record(HF_SETXATTR, file, {samples.xattr(file, "user.a", false, "")});
    const UndoRecord settle = samples.record(HF_SETATTR, file, {samples.attributes(file, {})});
    const UndoRecord settle_root = samples.record(HF_SETATTR, root, {samples.attributes(root, {})});
    for (const UndoRecord* record : {&create, &write, &again, &mark, &settle, &settle_root}) bench.append(*record);
    const auto time_at = [&](const ObjectId& object, Lsn at) { return value_of(bench.index->unsettled_time_at(object, at)); };
    CHECK(time_at(file, create.lsn) == std::nullopt);
    CHECK(time_at(file, create.end_lsn) == std::nullopt);
    CHECK(time_at(file, write.end_lsn) == write.time_ns);
    CHECK(time_at(file, again.end_lsn) == again.time_ns);
    CHECK(time_at(file, mark.end_lsn) == again.time_ns);
    CHECK(time_at(file, settle.end_lsn) == std::nullopt);
    CHECK(time_at(root, create.lsn) == std::nullopt);
    CHECK(time_at(root, settle.end_lsn) == create.time_ns);
    CHECK(time_at(root, settle_root.end_lsn) == std::nullopt);
}

}  // namespace
}  // namespace holdfast::rewind
