#define FUSE_USE_VERSION 314
#include "rewind/past/past_operations.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <mutex>
#include <optional>

#include "base/log.h"
#include "rewind/past/past_filesystem.h"

namespace holdfast::rewind {

namespace {

constexpr uint32_t read_bytes_max = 1 << 20;

PastFilesystem& filesystem_of(fuse_req_t request) {
    return *static_cast<PastFilesystem*>(fuse_req_userdata(request));
}

int errno_of(const Error& error) {
    if (error.sys_errno != 0) return error.sys_errno;
    switch (error.code) {
        case ErrorCode::not_found: return ENOENT;
        case ErrorCode::gap: return ESTALE;
        case ErrorCode::permission: return EACCES;
        case ErrorCode::no_space: return ENOMEM;
        default: return EIO;
    }
}

// Sentences about damage must reach a person; names that are not there need not.
void refuse(fuse_req_t request, const Error& error) {
    const int number = errno_of(error);
    if (number == EIO) log_error("A request to the mount of the past failed: " + error.message + ".");
    fuse_reply_err(request, number);
}

void initialize(void*, fuse_conn_info* connection) {
    connection->max_write = read_bytes_max;  // decides how many pages one READ may carry, too
    // The bytes of a node never change: nothing has to be thrown away because a time or a size looks new.
    connection->want &= ~static_cast<unsigned>(FUSE_CAP_AUTO_INVAL_DATA);
    for (unsigned wish : {FUSE_CAP_ASYNC_READ, FUSE_CAP_PARALLEL_DIROPS, FUSE_CAP_READDIRPLUS,
                          FUSE_CAP_READDIRPLUS_AUTO, FUSE_CAP_POSIX_ACL, FUSE_CAP_CACHE_SYMLINKS})
        connection->want |= connection->capable & wish;
}

fuse_entry_param parameters_of(const PastFilesystem::Entry& entry) {
    fuse_entry_param parameters{};
    parameters.ino = entry.number;
    parameters.attr = entry.attributes;
    parameters.entry_timeout = entry.valid_s;
    parameters.attr_timeout = entry.attributes_valid_s;
    return parameters;
}

void lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
    PastFilesystem& filesystem = filesystem_of(request);
    auto entry = filesystem.lookup(parent, name, fuse_req_ctx(request)->pid);
    if (!entry) return refuse(request, entry.error());
    const fuse_entry_param parameters = parameters_of(*entry);
    // Interrupted meanwhile: the kernel has not taken the reference.
    if (fuse_reply_entry(request, &parameters) == -ENOENT && entry->number != 0) filesystem.forget(entry->number, 1);
}

void forget(fuse_req_t request, fuse_ino_t number, uint64_t references) {
    filesystem_of(request).forget(number, references);
    fuse_reply_none(request);
}

void forget_several(fuse_req_t request, size_t count, fuse_forget_data* nodes) {
    for (size_t i = 0; i < count; ++i) filesystem_of(request).forget(nodes[i].ino, nodes[i].nlookup);
    fuse_reply_none(request);
}

void get_attributes(fuse_req_t request, fuse_ino_t number, fuse_file_info*) {
    auto attributes = filesystem_of(request).attributes(number);
    if (!attributes) return refuse(request, attributes.error());
    fuse_reply_attr(request, &attributes->first, attributes->second);
}

void read_link(fuse_req_t request, fuse_ino_t number) {
    auto target = filesystem_of(request).readlink(number);
    if (!target) return refuse(request, target.error());
    fuse_reply_readlink(request, target->c_str());
}

// Where the data lies is found once for each opened file, because whoever asks for one hole asks for all of them.
struct OpenFile {
    std::mutex mutex;
    std::optional<std::vector<DataExtent>> extents;
    uint64_t size = 0;
};

void open_file(fuse_req_t request, fuse_ino_t number, fuse_file_info* info) {
    if ((info->flags & O_ACCMODE) != O_RDONLY) return void(fuse_reply_err(request, EROFS));
    info->fh = reinterpret_cast<uint64_t>(new OpenFile);
    info->keep_cache = 1;
    info->noflush = 1;
    if (fuse_reply_open(request, info) == -ENOENT) delete reinterpret_cast<OpenFile*>(info->fh);
    (void)number;
}

void release_file(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
    delete reinterpret_cast<OpenFile*>(info->fh);
    fuse_reply_err(request, 0);
}

void read_file(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset, fuse_file_info*) {
    auto bytes = filesystem_of(request).read(number, static_cast<uint64_t>(offset), size);
    if (!bytes) return refuse(request, bytes.error());
    fuse_reply_buf(request, bytes->data(), bytes->size());
}

// The answer of lseek(2), or a negative errno.
off_t seek_in(const OpenFile& file, off_t offset, int whence) {
    const auto start = static_cast<uint64_t>(offset);
    if (offset < 0 || start >= file.size) return -ENXIO;
    for (const DataExtent& extent : *file.extents) {
        if (start >= extent.offset + extent.length) continue;
        if (whence == SEEK_DATA) return static_cast<off_t>(std::max(start, extent.offset));
        return static_cast<off_t>(start < extent.offset ? start : extent.offset + extent.length);
    }
    return whence == SEEK_DATA ? -ENXIO : offset;
}

// The answer is given after the lock is: with it in hand the kernel may close the file, which frees the lock.
Result<off_t> found_in(PastFilesystem& filesystem, fuse_ino_t number, OpenFile& file, off_t offset, int whence) {
    const std::lock_guard lock(file.mutex);
    if (!file.extents) {
        const auto attributes = HF_TRY(filesystem.attributes(number));
        file.extents = HF_TRY(filesystem.data_extents(number));
        file.size = static_cast<uint64_t>(attributes.first.st_size);
    }
    return seek_in(file, offset, whence);
}

void seek_file(fuse_req_t request, fuse_ino_t number, off_t offset, int whence, fuse_file_info* info) {
    if (whence != SEEK_DATA && whence != SEEK_HOLE) return void(fuse_reply_err(request, EINVAL));
    auto& file = *reinterpret_cast<OpenFile*>(info->fh);
    const auto found = found_in(filesystem_of(request), number, file, offset, whence);
    if (!found)
        refuse(request, found.error());
    else if (*found < 0)
        fuse_reply_err(request, static_cast<int>(-*found));
    else
        fuse_reply_lseek(request, *found);
}

// A directory's names as of opendir; offset N is the position after the Nth of ".", "..", and the names.
struct OpenDirectory {
    std::vector<PastFilesystem::Name> names;
};

void open_directory(fuse_req_t request, fuse_ino_t number, fuse_file_info* info) {
    auto names = filesystem_of(request).list(number);
    if (!names) return refuse(request, names.error());
    names->insert(names->begin(), {{".", number, S_IFDIR, {}}, {"..", number, S_IFDIR, {}}});
    auto directory = std::make_unique<OpenDirectory>(OpenDirectory{std::move(*names)});
    info->fh = reinterpret_cast<uint64_t>(directory.get());
    info->cache_readdir = info->keep_cache = number != PastNodes::root;
    if (fuse_reply_open(request, info) != -ENOENT) directory.release();
}

void release_directory(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
    delete reinterpret_cast<OpenDirectory*>(info->fh);
    fuse_reply_err(request, 0);
}

void read_directory(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info* info) {
    const auto& names = reinterpret_cast<OpenDirectory*>(info->fh)->names;
    std::string buffer(size, '\0');
    size_t used = 0;
    for (size_t i = static_cast<size_t>(std::max<off_t>(offset, 0)); i < names.size(); ++i) {
        struct stat status {};
        status.st_ino = names[i].number;
        status.st_mode = names[i].type;
        const size_t needed = fuse_add_direntry(request, buffer.data() + used, size - used, names[i].name.c_str(),
                                                &status, static_cast<off_t>(i + 1));
        if (needed > size - used) break;
        used += needed;
    }
    fuse_reply_buf(request, buffer.data(), used);
}

// What READDIRPLUS says of one name. Without a node number the kernel takes the name and the type and asks for
// the rest when somebody wants it: so for "." and "..", for moments (a bookmark that nobody enters costs nothing), and
// for an object whose attributes cannot be read now, which must not hide its neighbours.
fuse_entry_param parameters_of(PastFilesystem& filesystem, fuse_ino_t directory, const PastFilesystem::Name& name) {
    if (name.object) {
        if (auto entry = filesystem.entry_of(directory, name)) return parameters_of(*entry);
    }
    fuse_entry_param parameters{};
    parameters.attr.st_ino = name.number;
    parameters.attr.st_mode = name.type;
    return parameters;
}

void read_directory_plus(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset, fuse_file_info* info) {
    PastFilesystem& filesystem = filesystem_of(request);
    const auto& names = reinterpret_cast<OpenDirectory*>(info->fh)->names;
    std::string buffer(size, '\0');
    std::vector<uint64_t> taken;
    size_t used = 0;
    for (size_t i = static_cast<size_t>(std::max<off_t>(offset, 0)); i < names.size(); ++i) {
        const char* name = names[i].name.c_str();
        if (fuse_add_direntry_plus(request, nullptr, 0, name, nullptr, 0) > size - used) break;
        const fuse_entry_param parameters = parameters_of(filesystem, number, names[i]);
        used += fuse_add_direntry_plus(request, buffer.data() + used, size - used, name, &parameters,
                                       static_cast<off_t>(i + 1));
        if (parameters.ino != 0) taken.push_back(parameters.ino);
    }
    if (fuse_reply_buf(request, buffer.data(), used) == 0) return;
    for (uint64_t node : taken) filesystem.forget(node, 1);
}

void reply_xattr(fuse_req_t request, std::string_view value, size_t size) {
    if (size == 0)
        fuse_reply_xattr(request, value.size());
    else if (value.size() > size)
        fuse_reply_err(request, ERANGE);
    else
        fuse_reply_buf(request, value.data(), value.size());
}

void get_xattr(fuse_req_t request, fuse_ino_t number, const char* name, size_t size) {
    auto xattrs = filesystem_of(request).xattrs(number);
    if (!xattrs) return refuse(request, xattrs.error());
    for (const auto& [own_name, value] : *xattrs)
        if (own_name == name) return reply_xattr(request, value, size);
    fuse_reply_err(request, ENODATA);
}

void list_xattrs(fuse_req_t request, fuse_ino_t number, size_t size) {
    auto xattrs = filesystem_of(request).xattrs(number);
    if (!xattrs) return refuse(request, xattrs.error());
    // Disk file systems show trusted names to the administrator alone; the kernel leaves that to us.
    const bool is_root = fuse_req_ctx(request)->uid == 0;
    std::string names;
    for (const auto& [name, value] : *xattrs)
        if (is_root || !name.starts_with("trusted.")) names.append(name).push_back('\0');
    reply_xattr(request, names, size);
}

void statistics(fuse_req_t request, fuse_ino_t) {
    auto status = filesystem_of(request).statistics();
    if (!status) return refuse(request, status.error());
    status->f_namemax = 255;
    fuse_reply_statfs(request, &*status);
}

// No exception crosses libfuse: a name that does not fit into memory is an answer like any other.
template <auto operation, typename... Arguments>
void guarded(fuse_req_t request, Arguments... arguments) {
    try {
        operation(request, arguments...);
    } catch (const std::bad_alloc&) {
        fuse_reply_err(request, ENOMEM);
    }
}

fuse_lowlevel_ops make_operations() {
    fuse_lowlevel_ops operations{};
    operations.init = initialize;
    operations.lookup = guarded<lookup>;
    operations.forget = forget;
    operations.forget_multi = forget_several;
    operations.getattr = guarded<get_attributes>;
    operations.readlink = guarded<read_link>;
    operations.open = guarded<open_file>;
    operations.release = release_file;
    operations.read = guarded<read_file>;
    operations.lseek = guarded<seek_file>;
    operations.opendir = guarded<open_directory>;
    operations.releasedir = release_directory;
    operations.readdir = guarded<read_directory>;
    operations.readdirplus = guarded<read_directory_plus>;
    operations.getxattr = guarded<get_xattr>;
    operations.listxattr = guarded<list_xattrs>;
    operations.statfs = guarded<statistics>;
    return operations;
}

}  // namespace

const fuse_lowlevel_ops& past_operations() {
    static const fuse_lowlevel_ops operations = make_operations();
    return operations;
}

}  // namespace holdfast::rewind
