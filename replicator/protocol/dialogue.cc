#include "replicator/protocol/dialogue.h"

namespace holdfast::replicator {

void Dialogue::send(Message message, uint64_t now_ns, Actions& actions) {
    if (is_over_) return;
    sent_ns_ = now_ns;
    actions.push_back(Send{std::move(message)});
}

void Dialogue::end(Reason reason, std::string sentence, uint64_t now_ns, Actions& actions) {
    send(Goodbye{reason, sentence}, now_ns, actions);
    drop(reason, std::move(sentence), actions);
}

void Dialogue::drop(Reason reason, std::string sentence, Actions& actions) {
    if (is_over_) return;
    is_over_ = true;
    actions.push_back(Close{reason, std::move(sentence)});
}

void Dialogue::tick(uint64_t now_ns, Lsn published, Actions& actions) {
    if (is_over_) return;
    if (now_ns - heard_ns_ > silence_ns_max) {
        drop(Reason::silence, "nothing was heard from the peer for " + std::to_string((now_ns - heard_ns_) / 1'000'000'000) + " s", actions);
        return;
    }
    if (now_ns - sent_ns_ >= heartbeat_interval_ns) send(Heartbeat{published}, now_ns, actions);
}

std::optional<Goodbye> objection_to(const Hello& peer, Role expected) {
    if (peer.version_oldest > HF_WIRE_VERSION || peer.version < HF_WIRE_VERSION_OLDEST)
        return Goodbye{Reason::version, "the peer speaks versions " + std::to_string(peer.version_oldest) + " to " + std::to_string(peer.version) +
                                            " of the protocol, this program " + std::to_string(HF_WIRE_VERSION_OLDEST) + " to " +
                                            std::to_string(HF_WIRE_VERSION) + "; bring both to neighbouring releases"};
    if (peer.role != expected)
        return Goodbye{Reason::refused, expected == Role::replica ? "both hosts want to be the source of this volume" : "both hosts want to be a replica of this volume"};
    return std::nullopt;
}

}  // namespace holdfast::replicator
