// A disk in memory that knows the difference between what was written and what was synced.
//
// What pwrite, allocate and truncate did is lost or torn at a power loss unless the file was synced since; what
// open(create_new), rename and remove did, unless the directory was. after_power_loss() draws one of the states that
// a journaling file system may leave: directory operations survive in order, up to some point; of a file's unsynced
// bytes any subset of its 512-byte sectors survives.
//
// Thread rule: as for Disk.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "base/disk.h"
#include "test/support/shared_bytes.h"

namespace holdfast::test {

class MemoryDisk final : public Disk {
public:
    explicit MemoryDisk(uint64_t capacity_bytes = UINT64_MAX) : capacity_bytes_(capacity_bytes) {}

    Result<std::unique_ptr<File>> open(std::string_view name, Open how) override;
    Status rename(std::string_view from, std::string_view to) override;
    Status remove(std::string_view name) override;
    Result<std::vector<std::string>> list() override;
    Status sync_directory() override;
    Result<uint64_t> free_bytes() override;

    // The disk as the next start of the machine may find it. This one is left as it is.
    std::unique_ptr<MemoryDisk> after_power_loss(std::mt19937_64& random) const;
    // The disk as the next process finds it: nothing is lost.
    std::unique_ptr<MemoryDisk> after_process_crash() const;
    // Other users of the disk come and go.
    void set_capacity(uint64_t bytes);
    uint64_t sync_count() const;

    // What is in the file now, for tests that damage it.
    std::vector<std::byte> contents(std::string_view name) const;
    void set_contents(std::string_view name, ByteSpan bytes);

private:
    friend class MemoryFile;
    struct Range {
        uint64_t offset, size;
    };
    struct Inode {
        SharedBytes now;
        SharedBytes durable;
        std::vector<Range> dirty;
    };
    using Names = std::map<std::string, std::shared_ptr<Inode>, std::less<>>;

    void changed_names_locked();
    uint64_t used_locked() const;
    Status grow_locked(Inode& inode, uint64_t size);

    mutable std::mutex mutex_;
    uint64_t capacity_bytes_;
    uint64_t sync_count_ = 0;
    Names names_;
    std::vector<Names> unsynced_names_{Names{}};  // [0] is durable, then the state after every operation since
};

}  // namespace holdfast::test
