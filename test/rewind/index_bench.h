// An index over an undo log, for the tests of the index.
#pragma once

#include <catch2/catch.hpp>

#include "rewind/index/index.h"
#include "test/rewind/undo_samples.h"
#include "test/support/memory_disk.h"
#include "test/support/scratch.h"

namespace holdfast::test {

using rewind::Index;
using rewind::UndoAddress;
using rewind::UndoLog;

template <typename T>
T value_of(Result<T> result) {
    INFO((result ? std::string() : result.error().message));
    REQUIRE(result);
    return std::move(result).value();
}

inline void require(Status status) {
    INFO((status ? std::string() : status.error().message));
    REQUIRE(status);
}

// An undo log and an index over it.
class Bench {
public:
    Bench() { open(); }
    void open() {
        index.reset();
        log.reset();
        log = value_of(UndoLog::open(disk, sample_volume, nullptr, 256 << 10, 1));
        index = value_of(Index::open(scratch / "index", *log));
    }
    // As a crash leaves it: the index is as of its last flush, the log is whole.
    void crash() {
        std::filesystem::remove_all(scratch / "crashed");
        std::filesystem::copy(scratch / "index", scratch / "crashed");
        index.reset();
        std::filesystem::remove_all(scratch / "index");
        std::filesystem::rename(scratch / "crashed", scratch / "index");
        open();
    }
    void append(UndoRecord record) {
        require(log->append(record));
        require(index->insert({record}, {}));
    }
    // What the store does when it opens.
    size_t catch_up() {
        size_t count = 0;
        require(log->scan(index->indexed_to(), [&](const UndoRecord& record) {
            ++count;
            return static_cast<bool>(index->insert({record}, {}));
        }));
        return count;
    }

    MemoryDisk disk;
    ScratchDirectory scratch;
    std::unique_ptr<UndoLog> log;
    std::unique_ptr<Index> index;
};

// `--rng-seed N` repeats a run.
inline uint64_t seed_of_run() {
    return Catch::rngSeed() ? Catch::rngSeed() : std::random_device{}();
}

}  // namespace holdfast::test
