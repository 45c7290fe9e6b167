// A damaged index says so or answers as before; it never answers wrongly. It can be made anew, so saying so is enough.
#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "test/rewind/index_bench.h"

namespace holdfast::rewind {
namespace {

using namespace holdfast::test;

void flip_bit(const std::string& path, std::mt19937_64& random) {
    const UniqueFd fd(::open(path.c_str(), O_RDWR));
    REQUIRE(fd);
    const off_t size = ::lseek(fd.get(), 0, SEEK_END);
    if (size == 0) return;
    const auto at = static_cast<off_t>(random() % static_cast<uint64_t>(size));
    char byte = 0;
    REQUIRE(::pread(fd.get(), &byte, 1, at) == 1);
    byte = static_cast<char>(byte ^ 1 << random() % 8);
    REQUIRE(::pwrite(fd.get(), &byte, 1, at) == 1);
}

TEST_CASE("index: a flipped bit in any of its files is noticed, or changes no answer") {
    const uint64_t seed = seed_of_run();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    Bench bench;
    UndoSamples samples;
    const ObjectId file{300, 7, 1};
    std::vector<Lsn> lsns;
    for (int i = 0; i < 2000; ++i) {
        UndoRecord record = samples.write(file, random() % 100 * 4096, random_bytes(random, 100));
        lsns.push_back(record.lsn);
        bench.append(record);
    }
    require(bench.index->compact());
    const auto ask = [&](const Index& index, Lsn at) { return index.data_at(file, 0, 100 * 4096, at); };
    std::vector<std::vector<DataUndo>> expected;
    for (const Lsn lsn : lsns) expected.push_back(value_of(ask(*bench.index, lsn)));
    bench.index.reset();
    std::filesystem::rename(bench.scratch / "index", bench.scratch / "whole");

    int noticed = 0;
    for (int round = 0; round < 25; ++round) {
        std::filesystem::remove_all(bench.scratch / "index");
        std::filesystem::copy(bench.scratch / "whole", bench.scratch / "index");
        std::vector<std::string> tables;
        for (const auto& entry : std::filesystem::directory_iterator(bench.scratch / "index")) {
            const std::string name = entry.path().filename();
            if (entry.path().extension() == ".sst" || name.starts_with("MANIFEST")) tables.push_back(entry.path());
        }
        REQUIRE_FALSE(tables.empty());
        flip_bit(tables[random() % tables.size()], random);
        auto index = Index::open(bench.scratch / "index", *bench.log);
        if (!index) {
            ++noticed;
            continue;
        }
        // The store puts in again what it thinks is missing; an index that lost its manifest's end is not wrong.
        if ((*index)->indexed_to() != bench.log->end()) continue;
        for (size_t i = 0; i < lsns.size(); i += 37) {
            const auto found = ask(**index, lsns[i]);
            if (!found) {
                ++noticed;
                break;
            }
            REQUIRE(found->size() == expected[i].size());
            for (size_t j = 0; j < found->size(); ++j) {
                const DataUndo &a = (*found)[j], &b = expected[i][j];
                REQUIRE((a.lsn == b.lsn && a.offset == b.offset && a.length == b.length && a.item == b.item && a.skip == b.skip));
            }
        }
    }
    CHECK(noticed > 0);
}

}  // namespace
}  // namespace holdfast::rewind
