// A volume without a mount, in a directory of its own: a journal that tests write themselves, and a store that follows it.
// Journal and store are opened apart, because a process that forks must not have a store open.
#pragma once

#include <memory>
#include <string>

#include "journal/reader.h"
#include "journal/writer.h"
#include "rewind/store.h"

namespace holdfast::test {

// Makes the directories of a volume beneath DIRECTORY and its description. HAS_STANDBY: of a replica with a standby directory.
Result<journal::Volume> make_volume(const std::string& directory, bool has_standby = false);

class WrittenJournal {
public:
    static Result<std::unique_ptr<WrittenJournal>> open(const journal::Volume& volume);
    journal::Writer& writer() { return *writer_; }

private:
    std::unique_ptr<Disk> disk_;
    std::unique_ptr<journal::InflightTable> table_;
    std::unique_ptr<journal::Writer> writer_;
};

// What a replica does with its journal after its store was taken back to AT. REQUIRES: nobody has the journal open.
Status cut_journal(const journal::Volume& volume, journal::Lsn at);

class FollowingStore {
public:
    // WITH_TABLE: follows what the writer has published; without, the end is where whole records end, as after a reboot.
    static Result<std::unique_ptr<FollowingStore>> open(const journal::Volume& volume, bool with_table = true);
    rewind::Store& store() { return *store_; }
    journal::Reader& reader() { return *reader_; }
    Status apply_all();

private:
    std::unique_ptr<Disk> disk_;
    std::unique_ptr<journal::InflightTable> table_;
    std::unique_ptr<journal::Reader> reader_;
    std::unique_ptr<rewind::Store> store_;
};

// A directory beneath the current one, gone with its owner.
class ScratchHere {
public:
    explicit ScratchHere(const std::string& prefix);
    ~ScratchHere();
    ScratchHere(const ScratchHere&) = delete;
    ScratchHere& operator=(const ScratchHere&) = delete;
    std::string path;
};

}  // namespace holdfast::test
