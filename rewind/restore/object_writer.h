// Makes objects of a view in a directory of the present file system, exactly: type, bytes, holes, owner, mode, xattrs,
// ACLs, times. Restore and rewind share it.
//
// Names are single components beneath a held descriptor; symbolic links are never followed.
// Thread rule: one thread.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "rewind/baseline_sink.h"
#include "rewind/view.h"

namespace holdfast::rewind {

// Told the bytes written since the last call; an error stops the writing.
using BytesWritten = std::function<Status(uint64_t bytes)>;

// An object of the type that MODE says, private to its owner until its attributes are set. Errors: exists.
Status make_node(const View& view, const ObjectId& object, const ObjectAttributes& attributes, int directory_fd,
                 const std::string& name);
// The bytes of an empty file.
Status write_data(const View& view, const ObjectId& object, uint64_t size, int file_fd, const BytesWritten& told);
// Owner, mode and xattrs (others are removed), then the times; in the order in which they do not undo each other. Sets
// only what differs. OBJECT_FD may be an O_PATH descriptor, so that anything can be meant, symbolic links included, and
// nothing that took its name meanwhile.
Status set_all_attributes(int object_fd, const ObjectAttributes& attributes, const XattrList& xattrs);

// NAME for opening: O_RDONLY, O_RDWR, ...; never follows a link, never waits for a pipe.
Result<UniqueFd> open_beneath(int directory_fd, const std::string& name, int flags);

}  // namespace holdfast::rewind
