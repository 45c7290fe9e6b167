#include "replicator/engine/key_rotation.h"

#include <algorithm>
#include <charconv>

#include "base/small_file.h"
#include "base/text.h"
#include "replicator/trust/private_file.h"

namespace holdfast::replicator {

namespace {

constexpr std::string_view rotation_file = "rotation";
constexpr size_t rotation_file_bytes_max = 32;

std::string joined(const std::vector<std::string>& names) {
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    return all;
}

// A file that does not say it, after a crash or by damage, gives the peers all the time again.
Result<uint64_t> load_end(Disk& disk, uint64_t fallback) {
    auto text = read_private_file(disk, rotation_file, rotation_file_bytes_max);
    if (!text && text.error().code != ErrorCode::not_found && text.error().code != ErrorCode::corrupt) return std::move(text).error();
    uint64_t end = 0;
    if (!text) return fallback;
    const auto [rest, wrong] = std::from_chars(text->data(), text->data() + text->size(), end);
    return wrong == std::errc() && std::string_view(rest, text->data() + text->size()) == "\n" ? end : fallback;
}

}  // namespace

Result<std::unique_ptr<KeyRotation>> KeyRotation::open(Host& host, const std::string& directory, Callbacks callbacks) {
    auto disk = HF_TRY(open_private_directory(directory));
    std::unique_ptr<KeyRotation> rotation(new KeyRotation(host, std::move(disk), std::move(callbacks)));
    rotation->next_ = HF_TRY(load_next(*rotation->disk_));
    if (!rotation->next_) return rotation;
    rotation->until_ns_ = HF_TRY(load_end(*rotation->disk_, host.clock.realtime_ns() + rotation_ns_default));
    HF_TRY(rotation->remember_end());
    rotation->tick();
    return rotation;
}

KeyRotation::~KeyRotation() {
    host_.loop.cancel(tick_);
}

Status KeyRotation::remember_end() {
    return replace_small_file(*disk_, rotation_file, std::to_string(until_ns_) + "\n");
}

Status KeyRotation::begin(uint64_t within_ns) {
    if (next_) return Error{ErrorCode::exists, "a rotation is under way already, and waits for " + joined(waiting_for())};
    until_ns_ = host_.clock.realtime_ns() + within_ns;
    HF_TRY(remember_end());  // first: a next key is never without it
    next_ = HF_TRY(make_next(*disk_));
    keeping_.clear();
    host_.events->raise(EventCode::key_rotation_begins, {.why = "its fingerprint is " + to_string(next_->fingerprint())});
    tick();
    return ok();
}

void KeyRotation::tick() {
    const uint64_t now_ns = host_.loop.now_ns();
    if (waiting_for().empty() || host_.clock.realtime_ns() >= until_ns_) adopt();
    if (!next_) return;
    if (now_ns >= retell_ns_) {
        retell_ns_ = now_ns + rotation_retell_ns;
        callbacks_.tell();
    }
    tick_ = host_.loop.after(rotation_tick_ns, [this] { tick(); });
}

// One rename makes it this host's own. The file `rotation` says nothing without a next key, so it may stay.
void KeyRotation::adopt() {
    if (Status adopted = adopt_next(*disk_); !adopted) {
        if (std::exchange(failure_, adopted.error().message) != failure_) host_.events->raise(EventCode::key_not_adopted, {.why = failure_});
        return;
    }
    const auto left = waiting_for();
    host_.identity = *std::exchange(next_, std::nullopt);
    failure_.clear();
    host_.events->raise(EventCode::key_adopted, {.why = "its fingerprint is " + to_string(host_.identity.fingerprint())});
    for (const std::string& peer : left) host_.events->raise(EventCode::peer_without_key, {.peer = peer});
    (void)disk_->remove(rotation_file);
    callbacks_.reconnect();
}

std::vector<std::string> KeyRotation::waiting_for() const {
    std::vector<std::string> names;
    for (const Peer& peer : host_.peers.list())
        if (!keeping_.contains(peer.name)) names.push_back(peer.name);
    return names;
}

void KeyRotation::greet(Connection& connection, std::string_view peer, uint64_t term) {
    if (const auto next = greeting(peer, connection.channel().peer())) connection.send(host_.encode(*next, term));
}

bool KeyRotation::take(Connection& connection, std::string_view peer, const Message& message, uint64_t term) {
    if (!std::holds_alternative<NextKey>(message) && !std::holds_alternative<KeyKept>(message)) return false;
    if (const auto kept = answer(peer, connection.channel().peer(), message)) connection.send(host_.encode(*kept, term));
    return true;
}

std::optional<Message> KeyRotation::greeting(std::string_view peer, const Fingerprint& shown) {
    retire(peer, shown);
    if (!next_ || keeping_.contains(peer)) return std::nullopt;
    return NextKey{next_->fingerprint().bytes};
}

std::optional<Message> KeyRotation::answer(std::string_view peer, const Fingerprint& shown, const Message& message) {
    if (const auto* kept = std::get_if<KeyKept>(&message); kept != nullptr && next_ && kept->key == next_->fingerprint().bytes) keeping_.emplace(peer);
    const auto* next = std::get_if<NextKey>(&message);
    if (next == nullptr) return std::nullopt;
    const Peer* const known = host_.peers.find(Fingerprint{next->key});
    if ((known == nullptr || known->name != peer) && !may_name_another(peer)) return std::nullopt;
    if (Status kept = keep(peer, shown, {next->key}); !kept) {
        host_.events->raise(EventCode::peer_key_not_kept, {.peer = std::string(peer), .why = kept.error().message});
        return std::nullopt;
    }
    return KeyKept{next->key};
}

bool KeyRotation::may_name_another(std::string_view peer) {
    const uint64_t now_ns = host_.clock.monotonic_ns();
    const auto last = listened_ns_.find(peer);
    if (last != listened_ns_.end() && now_ns - last->second < next_key_interval_ns) return false;
    listened_ns_.insert_or_assign(std::string(peer), now_ns);
    return true;
}

// The list becomes the key that was shown and the next one: whatever else stood there is of a rotation that was given up.
Status KeyRotation::keep(std::string_view name, const Fingerprint& shown, const Fingerprint& next) {
    Peers peers = host_.peers;
    const Peer* const peer = peers.find(name);
    if (peer == nullptr || std::find(peer->keys.begin(), peer->keys.end(), shown) == peer->keys.end()) return Error{ErrorCode::permission, "the key that it showed is not trusted any more"};
    if (std::find(peer->keys.begin(), peer->keys.end(), next) != peer->keys.end()) return ok();
    for (const Fingerprint& key : std::vector(peer->keys))
        if (key != shown) HF_TRY(peers.drop_key(name, key));
    HF_TRY(peers.add_key(name, next));
    HF_TRY(peers.save());
    host_.peers = std::move(peers);
    host_.events->raise(EventCode::peer_key_kept, {.peer = std::string(name), .why = "its fingerprint is " + to_string(next)});
    return ok();
}

// PEER shows the key that it had announced: the one before is over.
void KeyRotation::retire(std::string_view name, const Fingerprint& shown) {
    Peers peers = host_.peers;
    const Peer* const peer = peers.find(name);
    if (peer == nullptr || peer->keys.size() < 2 || peer->keys.back() != shown) return;
    const Fingerprint old = peer->keys.front();
    Status done = peers.drop_key(name, old);
    if (done) done = peers.save();
    if (!done) return host_.events->raise(EventCode::peer_key_not_kept, {.peer = std::string(name), .why = done.error().message});
    host_.peers = std::move(peers);
    host_.events->raise(EventCode::peer_key_retired, {.peer = std::string(name), .why = "it was " + to_string(old)});
    callbacks_.retrust();
}

void KeyRotation::show(Json& json) const {
    if (!next_) return;
    json["next_key"] = to_string(next_->fingerprint());
    json["until_ns"] = until_ns_;
    json["waiting_for"] = waiting_for();
}

}  // namespace holdfast::replicator
