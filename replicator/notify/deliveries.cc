#include "replicator/notify/deliveries.h"

namespace holdfast::replicator {

Notifier::Deliver delivery_of(const NotifyRule& rule, const std::string& host) {
    if (!rule.exec.empty()) return exec_delivery(rule.exec);
    if (!rule.webhook.empty()) return webhook_delivery(rule.webhook);
    return mail_delivery(*rule.mail, host);
}

std::string describe(const NotifyRule& rule) {
    if (!rule.exec.empty()) return "exec " + rule.exec.front();
    if (!rule.webhook.empty()) return "webhook " + rule.webhook;
    return "mail " + rule.mail->to;
}

}  // namespace holdfast::replicator
