#include "replicator/notify/notifiers.h"

#include <algorithm>

#include "replicator/notify/deliveries.h"

namespace holdfast::replicator {

Notifiers::~Notifiers() {
    for (const Active& one : active_) one.notifier->end_soon();
}

void Notifiers::follow(const std::vector<NotifyRule>& rules) {
    std::vector<Active> next;
    for (const NotifyRule& rule : rules) {
        const auto known = std::find_if(active_.begin(), active_.end(), [&](const Active& one) { return one.rule == rule; });
        next.push_back(known != active_.end() ? *known : Active{rule, std::make_shared<Notifier>(rule.least, delivery_of(rule, host_))});
    }
    active_.swap(next);
    // Its end waits for the delivery that is under way.
    for (Active& old : next)
        closer_.ask([notifier = std::move(old.notifier)]() mutable { return notifier.reset(), true; }, [](bool) {});
}

bool Notifiers::tell(const Event& event) {
    for (const Active& one : active_) one.notifier->offer(event);
    return journald_ && journald_->write(event) && Journald::has_our_stderr();
}

Json Notifiers::status() const {
    Json all = Json::array();
    for (const Active& one : active_) {
        const NotifierStatus status = one.notifier->status();
        Json json = {{"what", describe(one.rule)}, {"min_severity", to_string(one.rule.least)}, {"delivered", status.delivered}, {"failed", status.failed}, {"left_out", status.left_out}};
        if (!status.why.empty()) json["why"] = status.why;
        all.push_back(std::move(json));
    }
    return all;
}

}  // namespace holdfast::replicator
