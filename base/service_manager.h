// What the init system that started us wants to hear: that we are ready, that we are alive, that we end. systemd's sd_notify protocol, a
// datagram for each, so without its library.
//
// Thread rule: from_environment() before the first other thread, tell() from any. Never blocks and never fails aloud: who does not
// listen is not told.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace holdfast {

class ServiceManager {
public:
    // From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, which are taken out of the environment: children do not speak for us.
    static ServiceManager from_environment();

    // "READY=1", "STOPPING=1", "WATCHDOG=1", ...; several are lines.
    void tell(std::string_view state) const;
    // We are taken for dead when nothing says WATCHDOG=1 for so long. 0: nobody watches.
    uint64_t watchdog_ns() const { return watchdog_ns_; }

private:
    UniqueFd socket_;
    uint64_t watchdog_ns_ = 0;
};

}  // namespace holdfast
