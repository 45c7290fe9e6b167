// A volume as its administrator sees it: one protected directory, its store, its limits. Kept as STORE/volume.toml;
// the registry (one symbolic link per volume, named by its id) finds the store of a directory that is not mounted.
//
// A host keeps a volume in one of two roles. A source has the directory and writes the journal. A replica's journal comes from the source
// (journal/inbound.h), its store applies what came, and where a directory is named, that is kept equal to the store's image.
//
// Layout of a store:
//   volume.toml     this description
//   journal/        segments, inflight, cursors/      (or journal_directory, when it lies elsewhere)
//   image/          the plain-file copy
//   graveyard/      objects without a name: deleted ones inside the window, open-but-unlinked ones
//   xattrs/         attributes of objects for which the image's file system has no room
//   undo/           undo segments
//   index/          RocksDB
//   tree/           RocksDB: who is who in a standby directory; tree-xattrs/: attributes for which that has no room
//   bookmarks.json
//   lock, log
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/durability.h"
#include "journal/ids.h"
#include "journal/left_out.h"

namespace holdfast::journal {

// What happens when the journal has reached its limit (docs/guarantees.md).
enum class FullPolicy {
    degrade,          // replicas that hold it are cut off and repaired later; a store that stands still ends protection
    block,            // writers wait
    stop_protection,  // protection ends at once
};
const char* to_string(FullPolicy policy);
Result<FullPolicy> parse_full_policy(std::string_view text);

enum class VolumeRole { source, replica };
const char* to_string(VolumeRole role);

struct Volume {
    VolumeId id;
    VolumeRole role = VolumeRole::source;
    std::string directory;          // absolute: what the mount covers; of a replica the standby directory, which it need not have
    std::string store;              // absolute
    std::string journal_directory;  // absolute; STORE/journal unless said otherwise, and always on a replica
    uint32_t origin = 1;            // the host that names new objects: of a replica, its source
    uint64_t segment_bytes = 64ULL << 20;
    uint64_t journal_bytes_max = 8ULL << 30;
    FullPolicy full_policy = FullPolicy::degrade;
    Durability durability;           // of a source
    LeftOut left_out;                // of a source
    uint64_t window_age_ns = 0;      // 0: unlimited
    uint64_t window_bytes_max = 0;   // 0: unlimited (undo segments and graveyard)

    bool is_replica() const { return role == VolumeRole::replica; }
    // What will be served when this host takes over, kept equal to the image (rewind/standby/).
    bool has_standby_directory() const { return is_replica() && !directory.empty(); }
};

// Where a person finds the present of VOLUME, and so what paths in its history are relative to: the directory of a source,
// the image of a replica.
std::string present_directory(const Volume& volume);
// What sentences call it: the directory of a source, the store of a replica.
const std::string& name_of(const Volume& volume);
// For what only a source can do. Errors: unsupported, when VOLUME is a replica's: "STORE is a replica's store, and WHY".
Status check_is_source(const Volume& volume, std::string_view why);

// Reads STORE/volume.toml. Errors: not_found (no store there), foreign or corrupt with a sentence that says what to do.
Result<Volume> load_volume(const std::string& store);
// A process that may not open a store has its description opened by OPEN (to read), after it was refused itself.
// Thread rule: before the second thread starts; OPEN is called by any.
void open_descriptions_by(std::function<Result<UniqueFd>(const std::string& store)> open);
// What OPEN does in a process that may: the description of STORE as a file. Errors: not_found, io.
Result<UniqueFd> open_description(const std::string& store);
// Writes it so that a crash leaves either the old or the new one. Errors: invalid_argument for places that do not fit the role.
Status save_volume(const Volume& volume);

// The registry directory: $HOLDFAST_STATE_DIR/volumes, by default /var/lib/holdfast/volumes.
std::string registry_directory();
// The stores that it names, without a look into them.
struct RegisteredStore {
    VolumeId id;
    std::string store;
};
Result<std::vector<RegisteredStore>> registered_stores();
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
// The volume whose present_directory() is PATH or holds it, or whose store or id it is. Errors: not_found.
Result<Volume> find_volume(const std::string& path_or_id);

// Where the volume's control sockets live: $HOLDFAST_RUN_DIR/<id>/, by default /run/holdfast/<id>/.
std::string run_directory(const VolumeId& id);
inline std::string capture_socket(const VolumeId& id) { return run_directory(id) + "/capture.sock"; }
inline std::string store_socket(const VolumeId& id) { return run_directory(id) + "/store.sock"; }
// Where the store service lets a replica be compared with its source (rewind/sync/sync_pipe.h).
inline std::string sync_socket(const VolumeId& id) { return run_directory(id) + "/sync.sock"; }
// Where the capture worker lets the store service heal a gap (journal/healing.h).
inline std::string heal_socket(const VolumeId& id) { return run_directory(id) + "/heal.sock"; }

// The engine of this host: its control socket, and the directory with its identity and the list of peers.
std::string engine_socket();
std::string engine_directory();

}  // namespace holdfast::journal
