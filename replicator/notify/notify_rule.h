// Who is to be told of events, as the configuration says it (replicator/engine/config.h: [[notify]]).
// Thread rule: plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "replicator/engine/events.h"

namespace holdfast::replicator {

struct MailRule {
    std::string to, from;
    std::string server;  // host or host:port; for TLS from the first byte smtps://host
    bool operator==(const MailRule&) const = default;
};

struct NotifyRule {
    Severity least = Severity::warning;
    // One of the three.
    std::vector<std::string> exec;
    std::string webhook;
    std::optional<MailRule> mail;
    bool operator==(const NotifyRule&) const = default;
};

}  // namespace holdfast::replicator
