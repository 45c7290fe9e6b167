#include "fusefs/operations/operations.h"

#include <fcntl.h>
#include <linux/fs.h>

#include <array>
#include <cerrno>

#include "fusefs/operations/changes.h"

namespace holdfast::fusefs {
namespace {

constexpr size_t opcodes = 64;

constexpr std::array<Handler, opcodes> make_table() {
    std::array<Handler, opcodes> table{};
    table[FUSE_INIT] = initialize;
    table[FUSE_DESTROY] = destroy;
    table[FUSE_LOOKUP] = lookup;
    table[FUSE_FORGET] = forget;
    table[FUSE_BATCH_FORGET] = batch_forget;
    table[FUSE_GETATTR] = get_attributes;
    table[protocol::opcode_statx] = get_statx;
    table[FUSE_SETATTR] = set_attributes;
    table[FUSE_READLINK] = read_link;
    table[FUSE_SYMLINK] = make_symlink;
    table[FUSE_MKNOD] = make_node;
    table[FUSE_MKDIR] = make_directory;
    table[FUSE_UNLINK] = unlink_object;
    table[FUSE_RMDIR] = remove_directory;
    table[FUSE_RENAME] = rename_object;
    table[FUSE_RENAME2] = rename_with_flags;
    table[FUSE_LINK] = link_object;
    table[FUSE_CREATE] = create_file;
    table[FUSE_TMPFILE] = make_nameless;
    table[FUSE_OPEN] = open_file;
    table[FUSE_READ] = read_file;
    table[FUSE_WRITE] = write_file;
    table[FUSE_STATFS] = file_system_statistics;
    table[FUSE_RELEASE] = release_file;
    table[FUSE_FSYNC] = sync_file;
    table[FUSE_FLUSH] = flush_file;
    table[FUSE_SETXATTR] = set_xattr;
    table[FUSE_GETXATTR] = get_xattr_of;
    table[FUSE_LISTXATTR] = list_xattrs_of;
    table[FUSE_REMOVEXATTR] = remove_xattr;
    table[FUSE_OPENDIR] = open_directory;
    table[FUSE_READDIR] = read_directory;
    table[FUSE_READDIRPLUS] = read_directory_plus;
    table[FUSE_RELEASEDIR] = release_directory;
    table[FUSE_FSYNCDIR] = sync_file;
    table[FUSE_SYNCFS] = sync_everything;
    table[FUSE_IOCTL] = control;
    table[FUSE_FALLOCATE] = allocate;
    table[FUSE_LSEEK] = seek;
    table[FUSE_COPY_FILE_RANGE] = copy_range;
    table[protocol::opcode_copy_file_range_64] = copy_range_64;
    return table;
}
constexpr std::array<Handler, opcodes> table = make_table();

// The entry that a predecessor made or linked, as it is now.
Answer entry_of_name(Shared& shared, Thread& thread, NodeId directory, std::string_view name) {
    auto fd = thread.directories.get(shared.ids, shared.orphans, directory);
    if (!fd) return failure(fd.error());
    auto entry = entry_at(shared, *fd, std::string(name));
    return entry ? Answer::of(*entry) : failure(entry.error());
}

Answer entry_and_open(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_create_in>();
    const auto name = in ? request.take_text() : std::nullopt;
    if (!name) return Answer::error(EIO);
    Answer answer = entry_of_name(shared, thread, request.node(), *name);
    if (answer.error() != 0) return answer;
    fuse_entry_out entry;
    std::memcpy(&entry, answer.plain().data(), sizeof entry);
    const int flags = static_cast<int>(in->flags) & (O_ACCMODE | O_NOATIME);
    auto fd = shared.open(entry.nodeid, flags);
    if (!fd) return failure(fd.error());
    auto object = shared.name(entry.nodeid, fd->get());
    if (!object) return failure(object.error());
    fuse_open_out out{};
    out.fh = shared.files.add(object->node, object->id, std::move(*fd), flags)->handle;
    out.open_flags = flags_of_opened(flags);
    return answer.add(out);
}

}  // namespace

Handler handler_of(uint32_t opcode) {
    return opcode < opcodes ? table[opcode] : nullptr;
}

Answer answer_of_done(Shared& shared, Thread& thread, Request& request, int error) {
    if (error != 0) return Answer::error(error);
    switch (request.opcode()) {
        case FUSE_MKDIR: request.take<fuse_mkdir_in>(); break;
        case FUSE_MKNOD: request.take<fuse_mknod_in>(); break;
        case FUSE_LINK: request.take<fuse_link_in>(); break;
        case FUSE_SYMLINK: break;
        case FUSE_CREATE: return entry_and_open(shared, thread, request);
        case FUSE_RENAME2: {
            const auto* in = request.take<fuse_rename2_in>();
            return in && (in->flags & RENAME_WHITEOUT) ? finish_whiteout(shared, thread, request) : Answer::nothing();
        }
        default: return Answer::nothing();  // taking and moving names, extended attributes
    }
    const auto name = request.take_text();
    return name ? entry_of_name(shared, thread, request.node(), *name) : Answer::error(EIO);
}

}  // namespace holdfast::fusefs
