// The disk seam: everything that the journal and the undo log ask of a disk goes through these two
// interfaces, so that tests can fail, shorten or stop at the Nth call (test/support/faulty_disk.h). They
// mirror system calls one to one and add no caching.
//
// Thread rule: a Disk may be used from any thread; a File's pread and pwrite may run concurrently.
// Durability: pwrite reaches the page cache; sync makes the file's data and size durable; a created,
// renamed or removed name is durable after sync_directory.
// After a failed sync the data must be taken as lost: the kernel has marked the pages clean.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast {

using ByteSpan = std::span<const std::byte>;
using MutableByteSpan = std::span<std::byte>;

class File {
public:
    virtual ~File() = default;
    // Reads until DATA is full or the file ends; returns the bytes read.
    virtual Result<size_t> pread(MutableByteSpan data, uint64_t offset) = 0;
    // Writes all of the pieces, one after the other, or fails.
    virtual Status pwrite(std::span<const ByteSpan> pieces, uint64_t offset) = 0;
    virtual Status sync() = 0;  // fdatasync
    // Lets the disk begin with what was written there, so that a sync that follows has less to wait for. Promises
    // nothing and reports nothing; errors are told by that sync.
    virtual void start_sync(uint64_t /*offset*/, uint64_t /*bytes*/) {}
    virtual Status allocate(uint64_t bytes) = 0;
    virtual Status truncate(uint64_t bytes) = 0;
    virtual Result<uint64_t> size() = 0;
    virtual int fd() const = 0;  // borrowed, for mmap and reflink; -1 where there is none

    Status pwrite(ByteSpan data, uint64_t offset) { return pwrite(std::span<const ByteSpan>(&data, 1), offset); }
};

// One directory of regular files with plain names.
class Disk {
public:
    enum class Open { existing, existing_read_only, create_new };

    virtual ~Disk() = default;
    virtual Result<std::unique_ptr<File>> open(std::string_view name, Open how) = 0;
    virtual Status rename(std::string_view from, std::string_view to) = 0;
    virtual Status remove(std::string_view name) = 0;
    virtual Result<std::vector<std::string>> list() = 0;  // sorted
    virtual Status sync_directory() = 0;
    virtual Result<uint64_t> free_bytes() = 0;
};

// The real thing. The directory must exist.
Result<std::unique_ptr<Disk>> open_disk(const std::string& directory);

inline ByteSpan bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

template <typename T>
    requires std::is_trivially_copyable_v<T>
ByteSpan bytes_of(const T& value) {
    return {reinterpret_cast<const std::byte*>(&value), sizeof value};
}

}  // namespace holdfast
