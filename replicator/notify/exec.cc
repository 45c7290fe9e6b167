#include "base/text.h"
#include "replicator/launch/task.h"
#include "replicator/notify/deliveries.h"

namespace holdfast::replicator {

Notifier::Deliver exec_delivery(std::vector<std::string> command, int limit_ms) {
    return [command = std::move(command), limit_ms](const Notice& notice) -> Status {
        auto child = HF_TRY(Started::start({.kind = Task::Kind::hook, .command = command, .input = line_of(to_json(notice))}));
        if (!child.wait(limit_ms)) {
            child.kill();
            return Error{ErrorCode::unavailable, quoted(command.front()) + " did not end within " + std::to_string(limit_ms / 1000) + " s and was killed"};
        }
        if (!child.exited_with(0)) return Error{ErrorCode::io, quoted(command.front()) + " " + child.describe_end()};
        return ok();
    };
}

}  // namespace holdfast::replicator
