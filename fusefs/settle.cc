#include "fusefs/settle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file_time.h"
#include "base/text.h"
#include "fusefs/settle_case.h"

namespace holdfast::fusefs {
namespace {

// Whether every whole block of [offset, end) is a hole now, and nothing but zeros lies in it.
Result<bool> reads_as_zeros(int fd, uint64_t offset, uint64_t end, bool must_be_hole) {
    const off_t data = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0) return errno == ENXIO ? Result<bool>(true) : errno_error(errno, "seeking data");
    struct stat info {};
    if (::fstat(fd, &info) != 0) return errno_error(errno, "stat");
    const uint64_t block = static_cast<uint64_t>(std::max<blksize_t>(info.st_blksize, 512));
    char buffer[16384];
    for (uint64_t at = std::max(offset, static_cast<uint64_t>(data)); at < end;) {
        if (must_be_hole && at >= (offset + block - 1) / block * block && at + block <= end) {
            const off_t next = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
            if (next >= 0 && static_cast<uint64_t>(next) < end / block * block) return false;
        }
        const ssize_t got = ::pread(fd, buffer, std::min<uint64_t>(sizeof buffer, end - at), static_cast<off_t>(at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno_error(errno, "reading");
        if (got == 0) return true;
        if (std::any_of(buffer, buffer + got, [](char c) { return c != 0; })) return false;
        at += static_cast<uint64_t>(got);
    }
    return true;
}

// Extended attributes of an object that may be a symbolic link or a device: only its place in /proc reaches those
// without opening them.
std::string proc_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

}  // namespace

Result<Settler> Settler::prepare(int backing_root_fd, uint32_t origin, KnowsBirth knows_birth, Doubt doubt) {
    NodeIds nodes = HF_TRY(NodeIds::learn(backing_root_fd, origin));
    return Settler(std::move(nodes), std::move(knows_birth), std::move(doubt));
}

Settler::Settled Settler::settle(journal::Slot& slot, const journal::Record& head) {
    auto intent = load_intent(slot);
    Case one{slot, head, {}, {}};
    if (!intent) return doubtful(one, intent.error().message);
    one.record = intent->record;
    one.facts = intent->facts;
    switch (one.record.type) {
        case HF_WRITE: return write(one);
        case HF_TRUNCATE: return truncate(one);
        case HF_FALLOCATE: return fallocate(one);
        case HF_CREATE:
        case HF_MKDIR:
        case HF_MKNOD:
        case HF_SYMLINK: return birth(one);
        case HF_LINK: return link(one);
        case HF_UNLINK:
        case HF_RMDIR: return unlink(one);
        case HF_RENAME: return rename(one);
        case HF_SETATTR: return set_attributes(one);
        case HF_SETXATTR: return set_xattr(one);
        case HF_REMOVEXATTR: return remove_xattr(one);
        default: return doubtful(one, "its type announces no operation");
    }
}

Settler::Settled Settler::doubtful(const Case& one, const std::string& why) {
    HF_TRY(doubt_(std::string("whether ") + journal::to_string(one.head.type) + " at address " + std::to_string(one.slot.lsn) +
                  " took effect is not certain: " + why));
    return std::optional<journal::Record>();
}

Result<std::optional<UniqueFd>> Settler::open(NodeId node, int flags) const {
    auto fd = nodes_.open(node, flags);
    if (fd) return std::optional(std::move(*fd));
    if (fd.error().code == ErrorCode::not_found) return std::optional<UniqueFd>();
    return std::move(fd).error();
}

Settler::Settled Settler::record_of(Case& one, journal::Body body) {
    if (journal::encoded_length(body) > one.slot.length) return doubtful(one, "what is there now does not fit where its record belongs");
    journal::Record record = one.record;
    record.body = std::move(body);
    return std::optional(std::move(record));
}

Settler::Settled Settler::write(Case& one) {
    const uint64_t offset = one.record.as<journal::Write>().offset;
    auto file = HF_TRY(open(one.facts.node, O_RDONLY));
    if (!file) return std::optional<journal::Record>();
    const off_t data = ::lseek(file->get(), static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno != ENXIO) return doubtful(one, "its range cannot be examined");
    if (data < 0 || static_cast<uint64_t>(data) != offset) return std::optional<journal::Record>();
    const off_t hole = ::lseek(file->get(), static_cast<off_t>(offset), SEEK_HOLE);
    if (hole < 0) return doubtful(one, "its range cannot be examined");
    const uint64_t end = std::min(offset + one.facts.length, static_cast<uint64_t>(hole));
    if (end <= offset || end - offset > HF_RECORD_DATA_BYTES_MAX) return std::optional<journal::Record>();
    data_.resize(end - offset);
    size_t filled = 0;
    while (filled < data_.size()) {
        const ssize_t got = ::pread(file->get(), data_.data() + filled, data_.size() - filled, static_cast<off_t>(offset + filled));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return doubtful(one, "its range cannot be read");
        if (got == 0) break;
        filled += static_cast<size_t>(got);
    }
    if (filled == 0) return std::optional<journal::Record>();
    return record_of(one, journal::Write{offset, ByteSpan(data_.data(), filled)});
}

Settler::Settled Settler::truncate(Case& one) {
    auto file = HF_TRY(open(one.facts.node, O_PATH));
    struct stat info {};
    if (!file) return std::optional<journal::Record>();
    if (::fstat(file->get(), &info) != 0) return doubtful(one, "its object cannot be examined");
    if (static_cast<uint64_t>(info.st_size) != one.record.as<journal::Truncate>().size) return std::optional<journal::Record>();
    return std::optional(one.record);
}

Settler::Settled Settler::fallocate(Case& one) {
    const auto& body = one.record.as<journal::Fallocate>();
    auto file = HF_TRY(open(one.facts.node, O_RDONLY));
    struct stat info {};
    if (!file) return std::optional<journal::Record>();
    if (::fstat(file->get(), &info) != 0) return doubtful(one, "its object cannot be examined");
    const uint64_t size = static_cast<uint64_t>(info.st_size);
    bool done;
    if (body.mode & HF_FALLOC_COLLAPSE_RANGE) {
        done = size + body.length == one.facts.size_before;
    } else if (body.mode & HF_FALLOC_INSERT_RANGE) {
        done = size == one.facts.size_before + body.length;
    } else {
        done = (body.mode & HF_FALLOC_KEEP_SIZE) != 0 || size >= body.offset + body.length;
        if (done && (body.mode & (HF_FALLOC_PUNCH_HOLE | HF_FALLOC_ZERO_RANGE)) != 0) {
            auto zeros = reads_as_zeros(file->get(), body.offset, std::min(body.offset + body.length, size), (body.mode & HF_FALLOC_PUNCH_HOLE) != 0);
            if (!zeros) return doubtful(one, zeros.error().message);
            done = *zeros;
        }
    }
    return done ? std::optional(one.record) : std::optional<journal::Record>();
}

Settler::Settled Settler::set_attributes(Case& one) {
    auto file = HF_TRY(open(one.facts.node, O_PATH | O_NOFOLLOW));
    struct stat info {};
    if (!file) return std::optional<journal::Record>();
    if (::fstat(file->get(), &info) != 0) return doubtful(one, "its object cannot be examined");
    journal::Attributes now = one.record.as<journal::SetAttr>().attributes;
    // Giving a file away clears its set-id bits, and a mode may lose one that the caller must not set.
    if (now.valid & (HF_ATTR_MODE | HF_ATTR_UID | HF_ATTR_GID)) now.valid |= HF_ATTR_MODE | HF_ATTR_UID | HF_ATTR_GID;
    now.mode = info.st_mode;
    now.uid = info.st_uid;
    now.gid = info.st_gid;
    now.atime_ns = file_time_ns(info.st_atim);
    now.mtime_ns = file_time_ns(info.st_mtim);
    now.ctime_ns = file_time_ns(info.st_ctim);
    return record_of(one, journal::SetAttr{now});
}

Settler::Settled Settler::set_xattr(Case& one) {
    auto file = HF_TRY(open(one.facts.node, O_PATH | O_NOFOLLOW));
    struct stat info {};
    if (!file) return std::optional<journal::Record>();
    if (::fstat(file->get(), &info) != 0) return doubtful(one, "its object cannot be examined");
    const std::string name(one.record.as<journal::SetXattr>().xattr.name);
    data_.resize(HF_XATTR_VALUE_BYTES_MAX);
    const ssize_t size = ::getxattr(proc_path(file->get()).c_str(), name.c_str(), data_.data(), data_.size());
    if (size < 0 && errno == ENODATA) return std::optional<journal::Record>();
    if (size < 0) return doubtful(one, "the attribute " + quoted(name) + " cannot be read");
    const journal::SetXattr body{{name, std::string_view(reinterpret_cast<const char*>(data_.data()), static_cast<size_t>(size))}};
    // Longer than what was wanted: the old value, nothing was set.
    if (journal::encoded_length(body) > one.slot.length) return std::optional<journal::Record>();
    // Asked to create what was there already. Its value is recorded once more, which is true, and the caller is told.
    const bool unchanged = one.facts.ctime_before_ns != 0 && file_time_ns(info.st_ctim) == one.facts.ctime_before_ns;
    if (one.facts.repeatable == 0 && unchanged) one.slot.answer_error = EEXIST;
    target_ = name;
    return record_of(one, journal::SetXattr{{target_, body.xattr.value}});
}

Settler::Settled Settler::remove_xattr(Case& one) {
    auto file = HF_TRY(open(one.facts.node, O_PATH | O_NOFOLLOW));
    struct stat info {};
    if (!file) return std::optional<journal::Record>();
    if (::fstat(file->get(), &info) != 0) return doubtful(one, "its object cannot be examined");
    const std::string name(one.record.as<journal::RemoveXattr>().name);
    if (::getxattr(proc_path(file->get()).c_str(), name.c_str(), nullptr, 0) >= 0) return std::optional<journal::Record>();
    if (errno != ENODATA) return doubtful(one, "the attribute " + quoted(name) + " cannot be read");
    if (one.facts.ctime_before_ns != 0 && file_time_ns(info.st_ctim) == one.facts.ctime_before_ns) one.slot.answer_error = ENODATA;
    return std::optional(one.record);
}

}  // namespace holdfast::fusefs
