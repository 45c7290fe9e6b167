// Small files that say whom this host trusts and who it is. They are worth something only while nobody else can read or
// write them, so that is checked on the very descriptor that is read: no second look-up of the name, no race.
// Thread rule: as for Disk.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/result.h"

namespace holdfast::replicator {

// The directory, made with mode 0700 when it is not there; its parent must be. Durable on return.
// Errors: permission: it belongs to another user, or others may write to it; io.
Result<std::unique_ptr<Disk>> open_private_directory(const std::string& directory);

// Errors: not_found; permission: others can read or write it, or it is not ours; corrupt: longer than BYTES_MAX.
Result<std::string> read_private_file(Disk& disk, std::string_view name, size_t bytes_max);

}  // namespace holdfast::replicator
