#include "replicator/trust/peers.h"

#include <algorithm>
#include <filesystem>

#include "base/small_file.h"
#include "base/text.h"
#include "replicator/trust/peers_json.h"
#include "replicator/trust/private_file.h"

namespace holdfast::replicator {
namespace {

bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool consists_of(std::string_view text, std::string_view others) {
    return std::all_of(text.begin(), text.end(), [&](char c) { return is_alphanumeric(c) || others.find(c) != others.npos; });
}

bool is_port(std::string_view text) {
    if (text.empty() || text.size() > 5 || text[0] == '0') return false;
    unsigned port = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return false;
        port = port * 10 + static_cast<unsigned>(c - '0');
    }
    return port <= 65535;
}

bool is_host(std::string_view text) {
    if (text.starts_with('[') && text.ends_with(']')) return text.size() > 2 && consists_of(text.substr(1, text.size() - 2), ":.%_-");
    return !text.empty() && text[0] != '-' && consists_of(text, "._-");
}

Result<std::unique_ptr<Disk>> directory_of(const std::string& path) {
    const std::string directory = std::filesystem::path(path).parent_path().string();
    return open_private_directory(directory.empty() ? "." : directory);
}
std::string name_of(const std::string& path) {
    return std::filesystem::path(path).filename().string();
}

Error taken(const Fingerprint& key, const std::string& owner) {
    return {ErrorCode::exists, "the key " + to_string(key) + " is the peer " + quoted(owner) + "'s already"};
}

}  // namespace

static_assert(keys_max == 2);  // add compares neighbours

Status check_peer_name(std::string_view name) {
    if (!name.empty() && name.size() <= peer_name_bytes_max && name[0] != '.' && name[0] != '-' && consists_of(name, "._-")) return ok();
    return Error{ErrorCode::invalid_argument, quoted(name.substr(0, 100)) + " cannot name a peer; a name is 1 to 64 letters, digits, "
                                                                            "'.', '_' and '-', and begins with a letter, a digit or '_'"};
}

Status check_peer_address(std::string_view address) {
    const size_t colon = address.rfind(':');
    if (address.empty() || (address.size() <= peer_address_bytes_max && colon != address.npos && is_host(address.substr(0, colon)) &&
                            is_port(address.substr(colon + 1))))
        return ok();
    return Error{ErrorCode::invalid_argument,
                 quoted(address.substr(0, 300)) + " is not an address; one looks like host:port or [2001:db8::1]:port"};
}

Result<Peers> Peers::load(const std::string& path) {
    Peers peers(path);
    auto directory = HF_TRY(directory_of(path));
    auto text = read_private_file(*directory, name_of(path), peers_file_bytes_max);
    if (!text && text.error().code == ErrorCode::not_found) return peers;
    if (!text) return std::move(text).error();
    const std::string context = "the list of peers " + quoted(path);
    auto list = peers_from_json(*text);
    if (!list) return std::move(list).error().within(context);
    for (Peer& peer : *list)
        if (auto added = peers.add(std::move(peer)); !added)
            return Error{ErrorCode::corrupt, context + ": " + added.error().message};
    return peers;
}

Status Peers::save() const {
    auto directory = HF_TRY(directory_of(path_));
    return replace_small_file(*directory, name_of(path_), peers_to_json(peers_));
}

const Peer* Peers::find(const Fingerprint& key) const {
    for (const Peer& peer : peers_)
        if (std::find(peer.keys.begin(), peer.keys.end(), key) != peer.keys.end()) return &peer;
    return nullptr;
}

const Peer* Peers::find(std::string_view name) const {
    for (const Peer& peer : peers_)
        if (peer.name == name) return &peer;
    return nullptr;
}

Status Peers::add(Peer peer) {
    HF_TRY(check_peer_name(peer.name));
    HF_TRY(check_peer_address(peer.address));
    if (peer.keys.empty() || peer.keys.size() > keys_max)
        return Error{ErrorCode::invalid_argument, "the peer " + quoted(peer.name) + " needs one key, or two while it is being rotated"};
    if (find(peer.name)) return Error{ErrorCode::exists, "there already is a peer " + quoted(peer.name) + "; revoke it first"};
    for (size_t i = 0; i < peer.keys.size(); ++i) {
        const bool is_double = i > 0 && peer.keys[i] == peer.keys[i - 1];
        const Peer* owner = find(peer.keys[i]);
        if (owner || is_double) return taken(peer.keys[i], owner ? owner->name : peer.name);
    }
    if (peers_.size() == peers_max)
        return Error{ErrorCode::no_space, "there are " + std::to_string(peers_max) + " peers, which is the limit"};
    const auto place = std::find_if(peers_.begin(), peers_.end(), [&](const Peer& other) { return other.name > peer.name; });
    peers_.insert(place, std::move(peer));
    return ok();
}

Status Peers::revoke(std::string_view name) {
    const Peer* peer = HF_TRY(known(name));
    peers_.erase(peers_.begin() + (peer - peers_.data()));
    return ok();
}

Status Peers::set_address(std::string_view name, std::string address) {
    HF_TRY(check_peer_address(address));
    HF_TRY(known(name))->address = std::move(address);
    return ok();
}

Status Peers::add_key(std::string_view name, const Fingerprint& key) {
    Peer* peer = HF_TRY(known(name));
    if (const Peer* owner = find(key)) return taken(key, owner->name);
    if (peer->keys.size() == keys_max)
        return Error{ErrorCode::no_space, "the peer " + quoted(name) + " has two keys already; drop the old one first"};
    peer->keys.push_back(key);
    return ok();
}

Status Peers::drop_key(std::string_view name, const Fingerprint& key) {
    Peer* peer = HF_TRY(known(name));
    const auto place = std::find(peer->keys.begin(), peer->keys.end(), key);
    if (place == peer->keys.end()) return Error{ErrorCode::not_found, "the peer " + quoted(name) + " has no key " + to_string(key)};
    if (peer->keys.size() == 1)
        return Error{ErrorCode::invalid_argument, "it is the only key of the peer " + quoted(name) + "; to shut it out, revoke the peer"};
    peer->keys.erase(place);
    return ok();
}

Result<Peer*> Peers::known(std::string_view name) {
    for (Peer& peer : peers_)
        if (peer.name == name) return &peer;
    return Error{ErrorCode::not_found, "there is no peer " + quoted(name.substr(0, 100))};
}

}  // namespace holdfast::replicator
