// A volume as its administrator sees it: one protected directory, its store, its limits. Kept as STORE/volume.toml;
// the registry (one symbolic link per volume, named by its id) finds the store of a directory that is not mounted.
//
// Layout of a store:
//   volume.toml     this description
//   journal/        segments, inflight, cursors/      (or journal_directory, when it lies elsewhere)
//   image/          the plain-file copy
//   graveyard/      objects without a name: deleted ones inside the window, open-but-unlinked ones
//   undo/           undo segments
//   index/          RocksDB
//   bookmarks.json
//   lock, log
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "journal/ids.h"

namespace holdfast::journal {

enum class FullPolicy { block, stop_protection };
const char* to_string(FullPolicy policy);
Result<FullPolicy> parse_full_policy(std::string_view text);

struct Volume {
    VolumeId id;
    std::string directory;          // absolute, what the mount covers
    std::string store;              // absolute
    std::string journal_directory;  // absolute; STORE/journal unless said otherwise
    uint32_t origin = 1;
    uint64_t segment_bytes = 64ULL << 20;
    uint64_t journal_bytes_max = 8ULL << 30;
    FullPolicy full_policy = FullPolicy::block;
    uint64_t window_age_ns = 0;      // 0: unlimited
    uint64_t window_bytes_max = 0;   // 0: unlimited (undo segments and graveyard)
};

// Reads STORE/volume.toml. Errors: not_found (no store there), foreign or corrupt with a sentence that says what to do.
Result<Volume> load_volume(const std::string& store);
// Writes it so that a crash leaves either the old or the new one.
Status save_volume(const Volume& volume);

// The registry directory: $HOLDFAST_STATE_DIR/volumes, by default /var/lib/holdfast/volumes.
// All that it names, by id, with the reason where a store cannot be read now (its disk is not mounted, ...).
struct RegistryEntry {
    VolumeId id;
    std::string store;
    Result<Volume> volume;
};
Result<std::vector<RegistryEntry>> registry_entries();
// Those whose store can be read.
Result<std::vector<Volume>> registered_volumes();
// Replaces what was registered under the id: a store that was moved is simply registered again. Durable on return.
Status register_volume(const Volume& volume);
Status unregister_volume(const Volume& volume);
// The volume whose directory is PATH or holds it, or whose store or id it is. Errors: not_found.
Result<Volume> find_volume(const std::string& path_or_id);

// Where the volume's control sockets live: $HOLDFAST_RUN_DIR/<id>/, by default /run/holdfast/<id>/.
std::string run_directory(const VolumeId& id);
inline std::string capture_socket(const VolumeId& id) { return run_directory(id) + "/capture.sock"; }
inline std::string store_socket(const VolumeId& id) { return run_directory(id) + "/store.sock"; }

}  // namespace holdfast::journal
