// The host's journal (systemd's), by its native protocol: a datagram of fields, so that `journalctl HOLDFAST_CODE=HF-E-102` finds an event.
//
// Thread rule: any one thread. Never blocks: a journal that takes no more loses the event.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "replicator/engine/events.h"

namespace holdfast::replicator {

inline constexpr const char* journald_socket = "/run/systemd/journal/socket";

// The datagram.
std::string journald_fields(const Event& event);

class Journald {
public:
    // In a process that has a launcher (replicator/launch/outside.h) the launcher's. Errors: unavailable: nobody listens at PATH, as on a host without systemd.
    static Result<Journald> open(const std::string& path = journald_socket);

    // False: it was not taken.
    bool write(const Event& event) const { return pass_on(journald_fields(event)); }
    bool pass_on(const std::string& fields) const;
    // Whether our standard error ends in the journal as well, so that a line there would be the second.
    static bool has_our_stderr();

private:
    explicit Journald(UniqueFd socket) : socket_(std::move(socket)) {}
    UniqueFd socket_;
};

}  // namespace holdfast::replicator
