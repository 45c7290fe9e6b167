#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "base/disk.h"
#include "journal/segment.h"
#include "rewind/service/verify_journal.h"
#include "test/rewind/store_story.h"

namespace holdfast::rewind {
namespace {

using test::StoreStory;

// Three segments of writes, all of one length. Two journals of one volume with different fill have their records at the
// same addresses.
struct Journal {
    journal::Volume volume;
    std::unique_ptr<test::WrittenJournal> written;
    Lsn second_record = 0;

    Journal(const std::string& directory, const journal::VolumeId& id, char fill) : volume(StoreStory::need(test::make_volume(directory))) {
        volume.id = id;
        written = StoreStory::need(test::WrittenJournal::open(volume));
        const std::string bytes(64 << 10, fill);
        for (int i = 0; segment() < 2; ++i) {
            journal::Record record;
            record.type = HF_WRITE;
            record.object = {100, 1, 1};
            record.body = journal::Write{0, bytes_of(std::string_view(bytes))};
            const Lsn at = StoreStory::need(written->writer().append(record));
            if (i == 1) second_record = at;
        }
    }
    uint64_t segment() const { return journal::segment_of(written->writer().published(), volume.segment_bytes); }
    std::string path(uint64_t index) const { return volume.journal_directory + "/" + journal::segment_name(index); }
    std::vector<std::string> problems() const {
        return StoreStory::need(verify_journal(volume, written->writer().published(), [](uint64_t) { return ok(); })).problems;
    }
};

struct TwoJournals {
    test::ScratchDirectory scratch;
    journal::VolumeId id = journal::random_volume_id();
    Journal journal{scratch / "a", id, 'a'};
    Journal forged{scratch / "b", id, 'b'};

    // LENGTH bytes at OFFSET of a segment come from the other journal.
    void forge(uint64_t index, uint64_t offset, size_t length) {
        std::vector<std::byte> bytes(length);
        const UniqueFd from(::open(forged.path(index).c_str(), O_RDONLY | O_CLOEXEC)), to(::open(journal.path(index).c_str(), O_WRONLY | O_CLOEXEC));
        REQUIRE(::pread(from.get(), bytes.data(), length, static_cast<off_t>(offset)) == static_cast<ssize_t>(length));
        REQUIRE(::pwrite(to.get(), bytes.data(), length, static_cast<off_t>(offset)) == static_cast<ssize_t>(length));
    }
};

}  // namespace

TEST_CASE("verify journal: a sound one has no problem") { CHECK(TwoJournals().journal.problems().empty()); }

TEST_CASE("verify journal: a segment that was replaced by one that is whole breaks the chain") {
    TwoJournals two;
    two.forge(1, 0, two.journal.volume.segment_bytes);
    const auto problems = two.journal.problems();
    REQUIRE(!problems.empty());
    CHECK(problems[0].find("does not continue the chain") != std::string::npos);
}

TEST_CASE("verify journal: a record that was replaced by one that is whole does not fit the seal") {
    TwoJournals two;
    REQUIRE(two.journal.second_record == two.forged.second_record);
    two.forge(0, two.journal.second_record, two.journal.second_record - HF_SEGMENT_HEADER_BYTES);
    const auto problems = two.journal.problems();
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].find("seal does not fit") != std::string::npos);
}

}  // namespace holdfast::rewind
