// All who are told of events: those that the configuration names, and the host's journal where there is one.
//
// Thread rule: one thread, the loop's. Never waits for a delivery; who is taken out ends on a thread of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "replicator/engine/work.h"
#include "replicator/notify/journald.h"
#include "replicator/notify/notifier.h"
#include "replicator/notify/notify_rule.h"

namespace holdfast::replicator {

class Notifiers {
public:
    // HOST is told in mails.
    Notifiers(Loop& loop, std::string host) : host_(std::move(host)), closer_(loop) {}
    ~Notifiers();

    // Keeps who is in RULES, begins who is new, and ends the others.
    void follow(const std::vector<NotifyRule>& rules);
    // True: the host's journal has it, and so our standard error need not.
    bool tell(const Event& event);
    Json status() const;

private:
    struct Active { NotifyRule rule; std::shared_ptr<Notifier> notifier; };

    const std::string host_;
    Result<Journald> journald_ = Journald::open();
    std::vector<Active> active_;
    Work closer_;
};

}  // namespace holdfast::replicator
