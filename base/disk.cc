#include "base/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast {
namespace {

// Pieces handed to one pwritev. More pieces than this are written with several calls.
constexpr size_t pieces_per_call_max = 64;
static_assert(pieces_per_call_max <= IOV_MAX);

// Names are our own, never a user's: a separator in one is a mistake of this program.
std::string checked_name(std::string_view name) {
    HF_CHECK(!name.empty() && name != "." && name != "..");
    HF_CHECK(name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos);
    return std::string(name);
}

class PosixFile final : public File {
public:
    PosixFile(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

    Result<size_t> pread(MutableByteSpan data, uint64_t offset) override {
        size_t done = 0;
        while (done < data.size()) {
            ssize_t got = ::pread(fd_.get(), data.data() + done, data.size() - done, static_cast<off_t>(offset + done));
            if (got == 0) break;
            if (got > 0) done += static_cast<size_t>(got);
            else if (errno != EINTR) return failed("read");
        }
        return done;
    }

    Status pwrite(std::span<const ByteSpan> pieces, uint64_t offset) override {
        size_t first = 0;  // the piece that is not yet written whole
        size_t skip = 0;   // bytes of it that are
        while (first < pieces.size()) {
            iovec vectors[pieces_per_call_max];
            size_t count = 0;
            for (size_t i = first; i < pieces.size() && count < pieces_per_call_max; ++i) {
                ByteSpan rest = i == first ? pieces[i].subspan(skip) : pieces[i];
                if (!rest.empty()) vectors[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
            }
            if (count == 0) {  // nothing but empty pieces among these
                first = std::min(pieces.size(), first + pieces_per_call_max);
                skip = 0;
                continue;
            }
            ssize_t written = ::pwritev(fd_.get(), vectors, static_cast<int>(count), static_cast<off_t>(offset));
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return failed("write");
            // A write that takes nothing and reports nothing would be repeated for ever.
            if (written == 0) return Error{ErrorCode::io, "write " + quoted(name_) + ": the disk took no bytes", EIO};
            offset += static_cast<uint64_t>(written);
            skip += static_cast<size_t>(written);
            while (first < pieces.size() && skip >= pieces[first].size()) skip -= pieces[first++].size();
        }
        return ok();
    }

    Status sync() override {
        // Not repeated on any error: a second fdatasync would report success for pages that were dropped.
        if (::fdatasync(fd_.get()) != 0) return failed("sync");
        return ok();
    }

    // Without a wait flag it takes no error away from the sync.
    void start_sync(uint64_t offset, uint64_t bytes) override {
        (void)::sync_file_range(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes), SYNC_FILE_RANGE_WRITE);
    }

    Status allocate(uint64_t bytes) override {
        int failure = 0;
        do failure = ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
        while (failure == EINTR);
        if (failure == 0) return ok();
        if (failure != EOPNOTSUPP) return errno_error(failure, "allocate " + quoted(name_));
        // Without fallocate the size is all that can be given; space is then found, or not, by the writes.
        uint64_t now = HF_TRY(size());
        return now < bytes ? truncate(bytes) : ok();
    }

    Status truncate(uint64_t bytes) override {
        while (::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) {
            if (errno != EINTR) return failed("truncate");
        }
        return ok();
    }

    Result<uint64_t> size() override {
        struct stat status;
        if (::fstat(fd_.get(), &status) != 0) return failed("stat");
        return static_cast<uint64_t>(status.st_size);
    }

    int fd() const override { return fd_.get(); }

private:
    Error failed(const char* action) const { return errno_error(errno, std::string(action) + " " + quoted(name_)); }

    UniqueFd fd_;
    std::string name_;
};

class PosixDisk final : public Disk {
public:
    PosixDisk(UniqueFd directory, std::string path) : directory_(std::move(directory)), path_(std::move(path)) {}

    Result<std::unique_ptr<File>> open(std::string_view name, Open how) override {
        std::string plain = checked_name(name);
        int flags = O_CLOEXEC | O_NOFOLLOW;
        switch (how) {
            case Open::existing: flags |= O_RDWR; break;
            case Open::existing_read_only: flags |= O_RDONLY; break;
            case Open::create_new: flags |= O_RDWR | O_CREAT | O_EXCL; break;
        }
        UniqueFd fd(::openat(directory_.get(), plain.c_str(), flags, 0600));
        if (!fd) return failed("open", plain);
        return std::unique_ptr<File>(new PosixFile(std::move(fd), path_ + "/" + plain));
    }

    Status rename(std::string_view from, std::string_view to) override {
        std::string old_name = checked_name(from), new_name = checked_name(to);
        if (::renameat(directory_.get(), old_name.c_str(), directory_.get(), new_name.c_str()) != 0)
            return failed("rename", old_name);
        return ok();
    }

    Status remove(std::string_view name) override {
        std::string plain = checked_name(name);
        if (::unlinkat(directory_.get(), plain.c_str(), 0) != 0) return failed("remove", plain);
        return ok();
    }

    Result<std::vector<std::string>> list() override {
        UniqueFd own(::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!own) return failed("list", ".");
        std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), ::closedir);
        if (!stream) return failed("list", ".");
        own.release();
        std::vector<std::string> names;
        for (;;) {
            errno = 0;
            const dirent* entry = ::readdir(stream.get());
            if (!entry && errno != 0) return failed("list", ".");
            if (!entry) break;
            if (is_regular(*entry)) names.emplace_back(entry->d_name);
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    Status sync_directory() override {
        if (::fsync(directory_.get()) != 0) return failed("sync", ".");
        return ok();
    }

    Result<uint64_t> free_bytes() override {
        struct statvfs status;
        if (::fstatvfs(directory_.get(), &status) != 0) return failed("statvfs", ".");
        return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
    }

private:
    bool is_regular(const dirent& entry) const {
        if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_REG;
        struct stat status;
        return ::fstatat(directory_.get(), entry.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
    }

    Error failed(const char* action, const std::string& name) const {
        return errno_error(errno, std::string(action) + " " + quoted(name == "." ? path_ : path_ + "/" + name));
    }

    UniqueFd directory_;
    std::string path_;
};

}  // namespace

Result<std::unique_ptr<Disk>> open_disk(const std::string& directory) {
    UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return errno_error(errno, "open directory " + quoted(directory));
    return std::unique_ptr<Disk>(new PosixDisk(std::move(fd), directory));
}

}  // namespace holdfast
