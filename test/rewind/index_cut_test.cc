// The index after its end was cut off, against one that never had that end: key by key.
#include <catch2/catch.hpp>
#include <rocksdb/db.h>

#include <map>
#include <set>

#include "rewind/index/index_keys.h"
#include "test/rewind/index_bench.h"

namespace holdfast::rewind {
namespace {

using namespace holdfast::test;

constexpr int record_count = 400;

using Dump = std::map<std::string, std::string>;

// All that an index holds. Since when a name is held is left out: after a cut it is not known any more, and nobody asks.
Dump dump(Bench& bench) {
    require(bench.index->flush());
    bench.index.reset();
    rocksdb::DB* opened = nullptr;
    REQUIRE(rocksdb::DB::OpenForReadOnly({}, bench.scratch / "index", &opened).ok());
    const std::unique_ptr<rocksdb::DB> db(opened);
    Dump entries;
    const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator({}));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
        const std::string key = at->key().ToString();
        entries[key] = key.front() == static_cast<char>(IndexTable::held_name) ? "" : at->value().ToString();
    }
    bench.open();
    return entries;
}

std::vector<std::string> difference(const Dump& a, const Dump& b) {
    std::vector<std::string> keys;
    const auto note = [&](const char* where, const std::string& key) {
        keys.push_back(std::string(where) + " " + key.substr(0, 1) + " " + std::to_string(lsn_of_key(key).value_or(0)));
    };
    for (const auto& [key, value] : a) {
        const auto other = b.find(key);
        if (other == b.end()) note("only left", key);
        if (other != b.end() && other->second != value) note("differs", key);
    }
    for (const auto& [key, value] : b)
        if (!a.count(key)) note("only right", key);
    return keys;
}

// Counts and the log's end: where the cut is made may be in another segment than where the shorter log ends.
Dump without_meta(Dump entries) {
    std::erase_if(entries, [](const auto& entry) { return entry.first.front() == static_cast<char>(IndexTable::meta); });
    return entries;
}

// Names come and go, bytes are overwritten, the clock jumps.
std::vector<UndoRecord> random_history(UndoSamples& samples, std::mt19937_64& random) {
    std::vector<UndoRecord> history;
    std::map<std::string, ObjectId> bound;
    uint64_t next_inode = 10;
    for (int i = 0; i < record_count; ++i) {
        const std::string name = "n" + std::to_string(random() % 12);
        const ObjectId object = bound[name];
        UndoRecord record;
        if (!object) {
            bound[name] = {next_inode++, 1, 1};
            record = samples.record(HF_CREATE, bound[name], {samples.plain(UndoKind::birth, bound[name]), samples.dirent(journal::root_object, name, {})});
        } else if (random() % 6 == 0) {
            record = samples.record(HF_UNLINK, object, {samples.dirent(journal::root_object, name, object), samples.plain(UndoKind::death, object)});
            bound[name] = {};
        } else if (random() % 5 == 0) {
            record = samples.record(HF_SETXATTR, object, {samples.xattr(object, "user.a", true, "old"), samples.attributes(object, {})});
        } else if (random() % 9 == 0) {
            record = samples.record(HF_BOOKMARK, {}, {samples.event("name")});
        } else {
            record = samples.write(object, random() % 100'000, std::string(random() % 30'000, 'x'));
        }
        if (random() % 3 == 0) record.time_ns = sample_start_ns + random() % 1000;
        history.push_back(record);
    }
    return history;
}

// Who holds the names that the records from FIRST on touch, before them.
std::vector<Index::HeldName> held_before(const std::vector<UndoRecord>& history, size_t first) {
    std::vector<Index::HeldName> held;
    std::set<std::string> seen;
    for (size_t i = first; i < history.size(); ++i)
        for (const UndoItem& item : history[i].items)
            if (item.kind == UndoKind::dirent && seen.insert(std::string(item.name)).second && item.other)
                held.push_back({item.other, item.object, std::string(item.name), true});
    return held;
}

TEST_CASE("index: a cut leaves what there would be had the rest never come") {
    const uint64_t seed = seed_of_run();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    UndoSamples samples;
    const auto history = random_history(samples, random);
    for (const size_t kept : {size_t{0}, random() % record_count, size_t{record_count - 1}}) {
        INFO("of " << kept << " records");
        Bench cut, shorter;
        UndoAddress address = 0;
        for (size_t i = 0; i < history.size(); ++i) {
            if (i == kept) address = cut.log->end();
            cut.append(history[i]);
            if (i < kept) shorter.append(history[i]);
        }
        // Where the next record begins, behind the header of a segment that was made for it.
        require(cut.log->scan(address == cut.log->begin() ? 0 : address, [&](const UndoRecord& record) {
            if (record.lsn < history[kept].lsn) return true;
            address = record.address;
            return false;
        }));
        const Dump whole = dump(cut);
        require(cut.index->cut(address, history[kept].lsn, held_before(history, kept)));
        CHECK(difference(without_meta(dump(cut)), without_meta(dump(shorter))) == std::vector<std::string>());
        CHECK(cut.index->inserted_records() == kept);
        CHECK(cut.index->indexed_to() == address);

        // The log was not cut any more before the power failed.
        cut.crash();
        CHECK(cut.catch_up() == history.size() - kept);
        CHECK(difference(dump(cut), whole) == std::vector<std::string>());
    }
}

}  // namespace
}  // namespace holdfast::rewind
