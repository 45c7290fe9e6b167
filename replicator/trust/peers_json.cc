#include "replicator/trust/peers_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace holdfast::replicator {
namespace {

using Json = nlohmann::json;

Error malformed(std::string what) {
    return {ErrorCode::corrupt, std::move(what)};
}

// JSON is an object with exactly MEMBERS.
Status check_members(const Json& json, std::initializer_list<std::string_view> members, const char* of_what) {
    if (!json.is_object()) return malformed(std::string(of_what) + " is not an object");
    for (const auto& item : json.items())
        if (std::find(members.begin(), members.end(), item.key()) == members.end())
            return malformed(std::string(of_what) + " has a member " + quoted(item.key()) + " that this version does not know");
    for (const std::string_view member : members)
        if (!json.contains(member)) return malformed(std::string(of_what) + " has no member " + quoted(member));
    return ok();
}

Result<std::string> text_of(const Json& json, const char* what) {
    if (!json.is_string()) return malformed(std::string(what) + " is not text");
    return json.get<std::string>();
}

Result<Fingerprint> key_of(const Json& json) {
    const std::string text = HF_TRY(text_of(json, "a key"));
    const auto key = Fingerprint::parse(text);
    if (!key) return malformed(quoted(text.substr(0, 100)) + " is not a key's fingerprint");
    return *key;
}

template <typename Element>
Result<std::vector<Element>> elements_of(const Json& json, const char* what, Result<Element> (*element_of)(const Json&)) {
    if (!json.is_array()) return malformed(std::string(what) + " is not a list");
    std::vector<Element> elements;
    for (const Json& item : json) elements.push_back(HF_TRY(element_of(item)));
    return elements;
}

Result<Peer> peer_of(const Json& json) {
    HF_TRY(check_members(json, {"name", "keys", "address"}, "a peer"));
    Peer peer;
    peer.name = HF_TRY(text_of(json["name"], "a peer's name"));
    peer.address = HF_TRY(text_of(json["address"], "a peer's address"));
    peer.keys = HF_TRY(elements_of(json["keys"], "a peer's list of keys", key_of));
    return peer;
}

Json json_of(const Peer& peer) {
    Json keys = Json::array();
    for (const Fingerprint& key : peer.keys) keys.push_back(to_string(key));
    return {{"name", peer.name}, {"keys", std::move(keys)}, {"address", peer.address}};
}

}  // namespace

std::string peers_to_json(const std::vector<Peer>& peers) {
    Json list = Json::array();
    for (const Peer& peer : peers) list.push_back(json_of(peer));
    return Json{{"version", peers_version}, {"peers", std::move(list)}}.dump(1) + "\n";
}

Result<std::vector<Peer>> peers_from_json(std::string_view text) {
    const Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded()) return malformed("it is not JSON");
    // The version before the members: a newer one may have others.
    if (json.is_object() && json.contains("version") && json["version"].is_number_unsigned() && json["version"] > peers_version)
        return Error{ErrorCode::unsupported, "it has version " + json["version"].dump() + ", and this program knows only " +
                                                 std::to_string(peers_version) + "; install the newer one again"};
    HF_TRY(check_members(json, {"version", "peers"}, "it"));
    if (json["version"] != peers_version) return malformed("its version is not a number that was ever used");
    return elements_of(json["peers"], "the list of peers", peer_of);
}

}  // namespace holdfast::replicator
