// The ways to deliver an event that a configuration may name (config.h: [[notify]]). Each takes at most LIMIT_MS.
//
// Thread rule: what is returned is called by one thread at a time.
#pragma once

#include <string>
#include <vector>

#include "replicator/notify/notifier.h"
#include "replicator/notify/notify_rule.h"

namespace holdfast::replicator {

// Runs COMMAND, without a shell, with the event as JSON on its standard input; what it says goes to the engine's log. It, and whatever it
// started, is killed when time is up. Another exit status than 0 is a failure.
Notifier::Deliver exec_delivery(std::vector<std::string> command, int limit_ms = delivery_ms_max);

// Posts the event as JSON to URL (https:// or http://). An answer other than 2xx is a failure; redirections are not followed.
Notifier::Deliver webhook_delivery(std::string url, int limit_ms = delivery_ms_max);

// Sends a mail. TLS is used when the server offers it.
Notifier::Deliver mail_delivery(MailRule mail, std::string host, int limit_ms = delivery_ms_max);

// The one that RULE names, and what status calls it: "exec /usr/local/bin/page-me". HOST is told in mails.
Notifier::Deliver delivery_of(const NotifyRule& rule, const std::string& host);
std::string describe(const NotifyRule& rule);

}  // namespace holdfast::replicator
