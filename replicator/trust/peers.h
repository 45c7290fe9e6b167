// Whom this host knows: an explicit list, in one file, changed only by a person's command. A key that is not on it is a
// stranger. What a peer may send and what it gets is not said here but in the engine's configuration (engine/config.h).
//
// Thread rule: a plain value, for one thread. A change is made on a copy, saved, and the copy put in place of the old one;
// so a save that failed changes nothing, and who reads the list sees it whole.
// Durability: save is durable on return and leaves the old list or the new one.
// Limits: peers_max, keys_max below; at a limit the change is refused with no_space.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "replicator/trust/identity.h"

namespace holdfast::replicator {

inline constexpr size_t peers_max = 256;
inline constexpr size_t keys_max = 2;  // of one peer: its key, and the next one while it is being rotated
inline constexpr size_t peers_file_bytes_max = 2 << 20;
inline constexpr size_t peer_name_bytes_max = 64;
inline constexpr size_t peer_address_bytes_max = 255;

struct Peer {
    std::string name;
    std::vector<Fingerprint> keys;
    std::string address;  // host:port, [v6]:port, or empty when it is the peer who calls
    bool operator==(const Peer&) const = default;
};

// Errors: invalid_argument with a sentence. A name: 1 to 64 of letters, digits, '.', '_', '-', the first no '.' and no '-'.
Status check_peer_name(std::string_view name);
Status check_peer_address(std::string_view address);

class Peers {
public:
    // No file: an empty list. Errors: corrupt, with what is wrong; unsupported: a newer version; permission; io.
    static Result<Peers> load(const std::string& path);
    Status save() const;

    const std::vector<Peer>& list() const { return peers_; }
    // Borrowed until the next change.
    const Peer* find(const Fingerprint& key) const;
    const Peer* find(std::string_view name) const;

    // Errors: exists: the name or a key is taken; invalid_argument; no_space.
    Status add(Peer peer);
    Status revoke(std::string_view name);  // takes it off the list with all its keys; ending its sessions is the engine's work
    Status set_address(std::string_view name, std::string address);
    // The last key of a peer cannot be dropped: that is what revoke is for.
    Status add_key(std::string_view name, const Fingerprint& key);
    Status drop_key(std::string_view name, const Fingerprint& key);

private:
    explicit Peers(std::string path) : path_(std::move(path)) {}
    Result<Peer*> known(std::string_view name);

    std::string path_;
    std::vector<Peer> peers_;  // by name
};

}  // namespace holdfast::replicator
