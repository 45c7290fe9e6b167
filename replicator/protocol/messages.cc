#include "replicator/protocol/messages.h"

namespace holdfast::replicator {

const char* to_string(Outcome outcome) {
    switch (outcome) {
        case Outcome::resume: return "resume";
        case Outcome::rewind: return "rewind";
        case Outcome::repair: return "repair";
        case Outcome::refuse: return "refuse";
    }
    return "unknown";
}

const char* to_string(Reason reason) {
    switch (reason) {
        case Reason::shutdown: return "shutdown";
        case Reason::protocol: return "protocol";
        case Reason::version: return "version";
        case Reason::refused: return "refused";
        case Reason::stale_term: return "stale term";
        case Reason::silence: return "silence";
        case Reason::storage: return "storage";
        case Reason::unsupported: return "unsupported";
        case Reason::maintenance: return "maintenance";
        case Reason::rest: return "rest";
    }
    return "unknown";
}

}  // namespace holdfast::replicator
