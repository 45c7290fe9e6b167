#include "test/support/faulty_disk.h"

#include <cerrno>
#include <vector>

namespace holdfast::test {

class FaultyFile final : public File {
public:
    FaultyFile(FaultyDisk& disk, std::unique_ptr<File> inner) : disk_(disk), inner_(std::move(inner)) {}

    Result<size_t> pread(MutableByteSpan data, uint64_t offset) override {
        if (disk_.meet("pread")) return disk_.error("pread");
        return inner_->pread(data, offset);
    }

    Status pwrite(std::span<const ByteSpan> pieces, uint64_t offset) override {
        const auto fault = disk_.meet("pwrite");
        if (!fault) return inner_->pwrite(pieces, offset);
        if (fault == Fault::fail_midway) {
            std::vector<std::byte> all;
            for (ByteSpan piece : pieces) all.insert(all.end(), piece.begin(), piece.end());
            HF_TRY(inner_->File::pwrite(ByteSpan(all).first(all.size() / 2), offset));
        }
        return disk_.error("pwrite");
    }

    Status sync() override {
        const auto fault = disk_.meet("sync");
        if (!fault) return inner_->sync();
        if (fault == Fault::fail_midway) HF_TRY(inner_->sync());
        if (auto* forgetful = dynamic_cast<LosesDirtyPages*>(inner_.get()); forgetful && fault != Fault::stop)
            forgetful->lose_dirty_pages();
        return disk_.error("sync");
    }

    Status allocate(uint64_t bytes) override {
        const auto fault = disk_.meet("allocate");
        if (!fault) return inner_->allocate(bytes);
        if (fault == Fault::fail_midway) HF_TRY(inner_->allocate(bytes / 2));
        return disk_.error("allocate");
    }

    Status truncate(uint64_t bytes) override {
        const auto fault = disk_.meet("truncate");
        if (!fault || fault == Fault::fail_midway) HF_TRY(inner_->truncate(bytes));
        return fault ? Status(disk_.error("truncate")) : ok();
    }

    Result<uint64_t> size() override {
        if (disk_.meet("size")) return disk_.error("size");
        return inner_->size();
    }

    int fd() const override { return inner_->fd(); }

private:
    FaultyDisk& disk_;
    std::unique_ptr<File> inner_;
};

void FaultyDisk::fail_at(uint64_t call, Fault fault, int sys_errno) {
    fault_ = fault;
    sys_errno_ = sys_errno;
    is_off_ = false;
    calls_ = 0;
    fail_at_ = call;
}

std::string FaultyDisk::failed_call() const {
    std::lock_guard lock(mutex_);
    return failed_call_;
}

std::optional<Fault> FaultyDisk::meet(const char* call) {
    const uint64_t number = ++calls_;
    if (is_off_) return fault_;
    if (number != fail_at_) return std::nullopt;
    if (fault_ == Fault::stop) is_off_ = true;
    std::lock_guard lock(mutex_);
    failed_call_ = call;
    return fault_;
}

Error FaultyDisk::error(const char* call) const {
    return errno_error(sys_errno_, std::string(call) + " (made to fail)");
}

Result<std::unique_ptr<File>> FaultyDisk::open(std::string_view name, Open how) {
    const auto fault = meet("open");
    if (fault && fault != Fault::fail_midway) return error("open");
    std::unique_ptr<File> file = HF_TRY(inner_.open(name, how));
    if (fault) return error("open");
    return std::unique_ptr<File>(new FaultyFile(*this, std::move(file)));
}

Status FaultyDisk::rename(std::string_view from, std::string_view to) {
    const auto fault = meet("rename");
    if (!fault || fault == Fault::fail_midway) HF_TRY(inner_.rename(from, to));
    return fault ? Status(error("rename")) : ok();
}

Status FaultyDisk::remove(std::string_view name) {
    const auto fault = meet("remove");
    if (!fault || fault == Fault::fail_midway) HF_TRY(inner_.remove(name));
    return fault ? Status(error("remove")) : ok();
}

Result<std::vector<std::string>> FaultyDisk::list() {
    if (meet("list")) return error("list");
    return inner_.list();
}

Status FaultyDisk::sync_directory() {
    const auto fault = meet("sync_directory");
    if (!fault || fault == Fault::fail_midway) HF_TRY(inner_.sync_directory());
    return fault ? Status(error("sync_directory")) : ok();
}

Result<uint64_t> FaultyDisk::free_bytes() {
    if (meet("free_bytes")) return error("free_bytes");
    return inner_.free_bytes();
}

}  // namespace holdfast::test
