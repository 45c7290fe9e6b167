// Arbitrary bytes as what the processes of one host say to each other: of what a gap touched, through the door of a confined store service, of
// comparisons, and of what the engine would have its launcher run. One of them may have been taken over by what another host sent.
//
// Input: which of them, then the bytes.

#include "base/check.h"
#include "base/json.h"
#include "journal/healing.h"
#include "replicator/launch/task.h"
#include "rewind/service/door_message.h"
#include "rewind/sync/comparison.h"
#include "rewind/sync/repair_mark.h"
#include "rewind/sync/sync_pipe.h"
#include "test/fuzz/target.h"

using namespace holdfast;

namespace {

constexpr size_t kinds = 10;

// What is taken must be written as what it was taken from.
template <typename T>
void check_same(const Result<T>& taken, ByteSpan bytes) {
    if (!taken) return;
    const auto again = journal::encode(*taken);
    HF_CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
}

// Flags and ids have bits that nobody reads.
template <typename Decode>
void check_stable(Decode decode, ByteSpan bytes) {
    const auto taken = decode(bytes);
    if (!taken) return;
    const auto written = journal::encode(*taken);
    check_same(decode(written), written);
}

// At most as many as one message may concern.
template <typename Decode>
void try_values(Decode decode, ByteSpan bytes) {
    const auto values = decode(bytes);
    if (!values) return;
    HF_CHECK(values->size() <= journal::heal_places_max);
    const auto again = journal::encode(std::span(*values));
    HF_CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
}

void try_records(ByteSpan bytes) {
    const auto records = journal::records_of(bytes);
    if (!records) return;
    std::vector<std::byte> written, again;
    for (const journal::Record& record : *records) journal::add_record(written, record);
    const auto reread = journal::records_of(written);
    HF_CHECK(reread && reread->size() == records->size());
    for (const journal::Record& record : *reread) journal::add_record(again, record);
    HF_CHECK(again == written);
}

void try_door(std::string_view text) {
    const auto answer = rewind::decode_answer(std::string(text));
    if (!answer) return;
    const auto again = rewind::decode_answer(rewind::encode_answer(*answer));
    HF_CHECK(again && *again == *answer);
}

void try_json(std::string_view text) {
    const Json json = Json::parse(text, nullptr, false);
    if (const auto part = rewind::compared_part_of(json)) {
        const auto again = rewind::compared_part_of(rewind::to_json(*part));
        HF_CHECK(again && rewind::to_json(*again) == rewind::to_json(*part));
    }
    if (const auto point = rewind::repair_point_of(json)) HF_CHECK(rewind::repair_point_of(rewind::to_json(*point)).value() == *point);
    (void)rewind::moment_of(json).has_value();
    (void)error_of(json);
}

void try_task(std::string_view text) {
    const auto task = replicator::task_of(Json::parse(text, nullptr, false));
    if (!task) return;
    const auto again = replicator::task_of(replicator::to_json(*task));
    HF_CHECK(again && replicator::to_json(*again) == replicator::to_json(*task));
}

journal::Touched some_touched() {
    journal::TouchedObject file{{1, 2, 3}, "handle", {{0, 4096}, {8192, 1}}, {}}, directory{{1, 2, 4}, "other", {}, {"a", "b"}};
    return {{file, directory}, {file}};
}

constexpr journal::TouchedPlace some_places[] = {{0}, {1, 1}};
constexpr int32_t some_errors[] = {0, 2, 116};

std::vector<std::byte> some_records() {
    journal::Record record;
    record.type = HF_TRUNCATE;
    record.object = {1, 2, 3};
    record.body = journal::Truncate{4096};
    std::vector<std::byte> body;
    journal::add_record(body, record);
    journal::add_record(body, record);
    return body;
}

}  // namespace

std::vector<fuzz::Input> fuzz::seeds() {
    rewind::ComparedPart part;
    part.at = 4096;
    part.listed.push_back({"a/b", "its bytes"});
    const rewind::RepairPoint point{8192, 5, 4096, {}};
    return {joined({0}, input_of(journal::encode(some_touched()))),
            joined({1}, input_of(journal::encode(journal::HealState{true, false, true, 4096, 7}))),
            joined({2}, input_of(journal::encode(journal::HealAppended{4096, 3}))),
            joined({3}, input_of(journal::encode(journal::Lsn{4096}))),
            joined({4}, input_of(rewind::encode_answer(std::vector<std::string>{"/srv", "x"}))),
            joined({4}, input_of(rewind::encode_answer(Error{ErrorCode::busy, "in use", 16}))),
            joined({6}, input_of(some_records())),
            joined({7}, input_of(journal::encode(std::span<const journal::TouchedPlace>(some_places)))),
            joined({8}, input_of(journal::encode(std::span<const int32_t>(some_errors)))),
            joined({5}, input_of(rewind::to_json(part).dump())),
            joined({5}, input_of(rewind::to_json(point).dump())),
            joined({9}, input_of(replicator::to_json({.kind = replicator::Task::Kind::hook, .command = {"/bin/true", "x"}, .input = "y"}).dump())),
            joined({9}, input_of(replicator::to_json({.kind = replicator::Task::Kind::make_store, .store = "/srv/s", .number = 1 << 21}).dump())),
            // Found: a number that no integer holds; a difference without its second half, whose first half was never freed.
            joined({5}, input_of(R"({"at": 8.1e50, "objects": 1})")),
            joined({5}, input_of(R"({"at": 1, "objects": 0, "bytes": 0, "differences": 0, "is_last": false, "position": {"after": "", "offset": 0}, "listed": [{"path": "longer than what needs no memory"}]})")),
            joined({5}, input_of(R"({"at": 1, "time_ns": 2, "chain": "00", "code": "io", "message": "x", "errno": 5})"))};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const auto bytes = fuzz::copy_of(data + 1, size - 1);
    switch (data[0] % kinds) {
        case 0: check_stable(journal::decode_touched, bytes); break;
        case 1: check_stable(journal::decode_heal_state, bytes); break;
        case 2: check_same(journal::decode_appended(bytes), bytes); break;
        case 3: check_same(journal::decode_lsn(bytes), bytes); break;
        case 4: try_door(fuzz::text_of(data + 1, size - 1)); break;
        case 5: try_json(fuzz::text_of(data + 1, size - 1)); break;
        case 6: try_records(bytes); break;
        case 7: try_values(journal::decode_places, bytes); break;
        case 8: try_values(journal::decode_errors, bytes); break;
        case 9: try_task(fuzz::text_of(data + 1, size - 1)); break;
    }
    return 0;
}
