// Settling what happens to names: births, links, removals, renames.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "base/file_time.h"
#include "base/text.h"
#include "fusefs/settle_case.h"

namespace holdfast::fusefs {
namespace {

// How much older than the operation's beginning a birth may look: clocks of the kernel differ by a tick.
constexpr int64_t clock_tick_ns_max = 20'000'000;
constexpr size_t xattr_list_bytes_max = 65536;

int64_t ns_of(const statx_timestamp& time) { return file_time_ns({static_cast<time_t>(time.tv_sec), static_cast<long>(time.tv_nsec)}); }

journal::Attributes attributes_of(const struct statx& info) {
    journal::Attributes attributes{};
    attributes.valid = HF_ATTR_ALL;
    attributes.mode = info.stx_mode;
    attributes.uid = info.stx_uid;
    attributes.gid = info.stx_gid;
    attributes.atime_ns = ns_of(info.stx_atime);
    attributes.mtime_ns = ns_of(info.stx_mtime);
    attributes.ctime_ns = ns_of(info.stx_ctime);
    return attributes;
}

Result<struct statx> examine(int fd) {
    struct statx info {};
    if (::statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &info) != 0)
        return errno_error(errno, "an object cannot be examined");
    return info;
}

Result<std::vector<std::pair<std::string, std::string>>> read_xattrs(int fd) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    std::string names(xattr_list_bytes_max, '\0'), value(HF_XATTR_VALUE_BYTES_MAX, '\0');
    std::vector<std::pair<std::string, std::string>> found;
    const ssize_t size = ::listxattr(path.c_str(), names.data(), names.size());
    if (size < 0 && (errno == EOPNOTSUPP || errno == ENODATA)) return found;
    if (size < 0) return errno_error(errno, "extended attributes cannot be listed");
    for (size_t at = 0; at < static_cast<size_t>(size); at += found.back().first.size() + 1) {
        found.emplace_back(names.c_str() + at, "");
        const ssize_t length = ::getxattr(path.c_str(), found.back().first.c_str(), value.data(), value.size());
        if (length < 0) return errno_error(errno, "an extended attribute cannot be read");
        found.back().second.assign(value.data(), static_cast<size_t>(length));
    }
    return found;
}

bool leads_to(const std::optional<ObjectName>& name, NodeId node) { return name && name->node == node; }

}  // namespace

Result<std::optional<ObjectName>> Settler::lookup(NodeId parent, std::string_view name) const {
    auto directory = HF_TRY(open(parent, O_PATH | O_DIRECTORY));
    if (!directory) return std::optional<ObjectName>();
    auto found = nodes_.name_at(directory->get(), std::string(name));
    if (found) return std::optional(*found);
    if (found.error().code == ErrorCode::not_found) return std::optional<ObjectName>();
    return std::move(found).error();
}

Status Settler::read_birth(int fd, journal::Birth& birth) {
    const struct statx info = HF_TRY(examine(fd));
    birth.attributes = attributes_of(info);
    birth.rdev = S_ISCHR(info.stx_mode) || S_ISBLK(info.stx_mode) ? ::gnu_dev_makedev(info.stx_rdev_major, info.stx_rdev_minor) : 0;
    target_.clear();
    if (S_ISLNK(info.stx_mode)) {
        target_.resize(HF_SYMLINK_BYTES_MAX);
        const ssize_t length = ::readlinkat(fd, "", target_.data(), target_.size());
        if (length < 0) return errno_error(errno, "a symbolic link cannot be read");
        target_.resize(static_cast<size_t>(length));
    }
    birth.target = target_;
    xattrs_ = HF_TRY(read_xattrs(fd));
    birth.xattrs.clear();
    for (const auto& [name, value] : xattrs_) birth.xattrs.push_back({name, value});
    return ok();
}

Settler::Settled Settler::birth(Case& one) {
    auto body = one.record.as<journal::Birth>();
    if (body.name.empty()) return std::optional<journal::Record>();
    auto found = HF_TRY(lookup(one.facts.parent_node, body.name));
    if (!found) return std::optional<journal::Record>();
    auto fd = HF_TRY(open(found->node, O_PATH | O_NOFOLLOW));
    if (!fd) return doubtful(one, "the object " + quoted(body.name) + " vanished while it was looked at");
    auto info = examine(fd->get());
    if (!info) return doubtful(one, info.error().message);
    // Without birth times the change time serves: what is older than the operation was there before.
    const statx_timestamp& born = info->stx_mask & STATX_BTIME ? info->stx_btime : info->stx_ctime;
    const bool is_older = ns_of(born) + clock_tick_ns_max < static_cast<int64_t>(one.facts.begun_ns);
    const bool is_other_type = (info->stx_mode & S_IFMT) != (body.attributes.mode & S_IFMT);
    if (is_older || is_other_type) return std::optional<journal::Record>();
    if (HF_TRY(knows_birth_(found->id, one.slot.lsn))) return std::optional<journal::Record>();
    if (Status read = read_birth(fd->get(), body); !read) return doubtful(one, read.error().message);
    one.record.object = found->id;
    return record_of(one, std::move(body));
}

Settler::Settled Settler::link(Case& one) {
    const auto& body = one.record.as<journal::Link>();
    const auto found = HF_TRY(lookup(one.facts.parent_node, body.name));
    if (!leads_to(found, one.facts.node)) return std::optional<journal::Record>();
    auto fd = HF_TRY(open(one.facts.node, O_PATH | O_NOFOLLOW));
    if (!fd) return doubtful(one, "its object vanished while it was looked at");
    auto info = examine(fd->get());
    if (!info) return doubtful(one, info.error().message);
    // The name may have been there before, and the operation was going to fail with EEXIST.
    if (info->stx_nlink != one.facts.links_before + 1) return std::optional<journal::Record>();
    return std::optional(one.record);
}

Settler::Settled Settler::unlink(Case& one) {
    const auto& body = one.record.as<journal::Unlink>();
    const auto found = HF_TRY(lookup(one.facts.parent_node, body.name));
    if (!found) return std::optional(one.record);
    // By its id: the facts of a removal name no node.
    if (found->id == one.record.object) return std::optional<journal::Record>();
    return doubtful(one, "the name " + quoted(body.name) + " leads to another object");
}

Settler::Settled Settler::rename(Case& one) {
    const auto& body = one.record.as<journal::Rename>();
    const auto old_name = HF_TRY(lookup(one.facts.parent_node, body.old_name));
    const auto new_name = HF_TRY(lookup(one.facts.new_parent_node, body.new_name));
    const bool arrived = leads_to(new_name, one.facts.node);
    const bool left = !leads_to(old_name, one.facts.node);
    if (arrived != left) return doubtful(one, "the object has both names or none of " + quoted(body.old_name) + " and " + quoted(body.new_name));
    if (arrived && body.exchange && !leads_to(old_name, one.facts.other_node))
        return doubtful(one, "the exchanged object is not at " + quoted(body.old_name));
    return arrived ? std::optional(one.record) : std::optional<journal::Record>();
}

}  // namespace holdfast::fusefs
