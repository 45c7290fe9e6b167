// A store in the simulator: follows a journal, and is one value that depends on every record up to the moment that it stands at. The value
// has parts, so that two stores can be compared and made equal one by one.
//
// What it stands at is on its disk whole after each call. The moments that it can go back to are remembered beside the disk: the undo
// log is no subject of the simulator.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <random>

#include "journal/ids.h"
#include "test/support/memory_disk.h"

namespace holdfast::sim {

using journal::Lsn;

class ModelStore {
public:
    static constexpr size_t parts = 8;
    using Image = std::array<uint64_t, parts>;

    Lsn applied() const { return state_.applied; }
    const Image& image() const { return state_.image; }
    test::MemoryDisk& disk() { return *disk_; }

    // Applies what the journal has below END, which is a moment of it.
    void follow(Disk& journal, const journal::VolumeId& volume, Lsn end);
    // Fails the run when it never stood there.
    void take_back(Lsn at);
    void set_part(size_t part, uint64_t value);
    // The image is that of AT, and nothing is known of what was before.
    void jump(Lsn at);

    void kill() { load(disk_->after_process_crash()); }
    void lose_power(std::mt19937_64& random) { load(disk_->after_power_loss(random)); }

private:
    struct State {
        Lsn applied = 0;
        Image image{};
    };
    void load(std::unique_ptr<test::MemoryDisk> disk);
    void save();

    std::unique_ptr<test::MemoryDisk> disk_ = std::make_unique<test::MemoryDisk>();
    State state_;
    std::map<Lsn, Image> past_{{0, Image{}}};
};

}  // namespace holdfast::sim
