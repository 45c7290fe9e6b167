// A disk that fails at the Nth call, over a real directory or a MemoryDisk.
//
// Every call of every method counts, in the order in which they are made, so a test runs its story once without a
// fault to learn the number of calls and then once for every N. Stories with several threads have no fixed order;
// they are run with every N up to the number of calls all the same.
//
// Thread rule: as for Disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/disk.h"

namespace holdfast::test {

// A file whose kernel forgets what it could not sync: the pages are clean afterwards and the data is not on disk.
class LosesDirtyPages {
public:
    virtual ~LosesDirtyPages() = default;
    virtual void lose_dirty_pages() = 0;
};

enum class Fault {
    fail,         // the call does nothing and returns the error; a failed sync loses what was dirty
    fail_midway,  // a write takes some of its bytes and fails; any other call succeeds and says that it failed
    stop,         // like fail, and so does every call after it: the power is off
};

class FaultyDisk final : public Disk {
public:
    explicit FaultyDisk(Disk& inner) : inner_(inner) {}

    // The Nth call from now on, counting from 1, meets FAULT.
    void fail_at(uint64_t call, Fault fault, int sys_errno);
    uint64_t call_count() const { return calls_.load(); }
    // The name of the call that met the fault, or nothing.
    std::string failed_call() const;

    Result<std::unique_ptr<File>> open(std::string_view name, Open how) override;
    Status rename(std::string_view from, std::string_view to) override;
    Status remove(std::string_view name) override;
    Result<std::vector<std::string>> list() override;
    Status sync_directory() override;
    Result<uint64_t> free_bytes() override;

private:
    friend class FaultyFile;
    // What to do about this call: nothing, or the fault that it meets.
    std::optional<Fault> meet(const char* call);
    Error error(const char* call) const;

    Disk& inner_;
    std::atomic<uint64_t> calls_{0};
    std::atomic<uint64_t> fail_at_{0};
    std::atomic<bool> is_off_{false};
    Fault fault_ = Fault::fail;
    int sys_errno_ = 0;
    mutable std::mutex mutex_;
    std::string failed_call_;
};

}  // namespace holdfast::test
