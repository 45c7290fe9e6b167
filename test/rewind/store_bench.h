// A volume without a mount: a plain directory stands for the live one. What was changed in it is found by the comparison
// of tree and image and recorded as ordinary history; so any changes, by whatever means, become moments.
#pragma once

#include <memory>
#include <string>

#include "rewind/reconcile/journal_target.h"
#include "rewind/store.h"
#include "test/support/scratch.h"

namespace holdfast::test {

// A copy of all that is in FROM, holes and zeros where they are.
void copy_tree(const std::string& from, const std::string& to);

class StoreBench {
public:
    // An empty volume, its first copy done. WINDOW_BYTES_MAX of history; 0: all.
    explicit StoreBench(uint64_t window_bytes_max = 0);
    ~StoreBench();

    std::string live() const { return scratch_ / "live"; }
    std::string live(const std::string& name) const { return live() + "/" + name; }
    int live_fd() const { return live_fd_.get(); }
    rewind::Store& store() { return *store_; }
    const journal::Volume& volume() const { return volume_; }

    // Records everything that differs and applies it. Returns the moment.
    journal::Lsn record();
    // From the next record() on.
    void leave_out(std::vector<std::string> paths) { volume_.left_out = journal::LeftOut::of(std::move(paths)).value(); }
    // A copy of the live tree, to be compared later.
    std::string snapshot();
    // Without the store open: for reconcile_volume().
    void close();
    void open();
    std::string scratch(const std::string& name) const { return scratch_ / name; }

private:
    ScratchDirectory scratch_;
    UniqueFd live_fd_;
    journal::Volume volume_;
    std::unique_ptr<Disk> disk_;
    std::unique_ptr<journal::InflightTable> table_;
    std::unique_ptr<journal::Reader> reader_;
    std::unique_ptr<rewind::Store> store_;
    std::unique_ptr<rewind::JournalPlace> place_;
    std::unique_ptr<rewind::JournalTarget> target_;
    int snapshots_ = 0;
};

}  // namespace holdfast::test
