#include "replicator/protocol/ordered_frames.h"

namespace holdfast::replicator {

namespace {

bool may_travel_aside(const Message& message) {
    return std::holds_alternative<Records>(message) || std::holds_alternative<SyncBytes>(message);
}

}  // namespace

Result<std::optional<Received>> OrderedFrames::next() {
    for (;;) {
        auto received = HF_TRY(streams_[turn_]->next());
        if (!received) return received;
        if (turn_ != 0) {
            turn_ = 0;
            if (!may_travel_aside(received->message)) return damaged_stream("a further connection brought what belongs on the first one");
            return received;
        }
        const auto* elsewhere = std::get_if<Elsewhere>(&received->message);
        if (elsewhere == nullptr) return received;
        if (!is_open(elsewhere->number)) return damaged_stream("a message is to come on a connection that is not there");
        turn_ = elsewhere->number;
    }
}

}  // namespace holdfast::replicator
