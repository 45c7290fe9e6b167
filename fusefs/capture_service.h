// What the capture worker answers on capture.sock (docs/control_protocol.md).
//
// Thread rule: handlers run on the threads of the control socket. Ownership: borrows everything in Capture, which must
// outlive the server; the server is destroyed first.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/json_socket.h"
#include "fusefs/filter.h"

namespace holdfast::fusefs {

struct Capture {
    Filter* filter = nullptr;
    journal::Writer* writer = nullptr;
    journal::InflightTable* table = nullptr;
    const journal::Volume* volume = nullptr;
    int backing_fd = -1;
    uint64_t session = 0;
    unsigned threads = 0;
    std::string bypass;          // not empty: the whole session lies in a gap
    const std::atomic<bool>* is_healing = nullptr;
    std::function<void()> stop;  // ends the session; returns at once
    std::string confined;        // by what this process is confined
};

Result<std::unique_ptr<JsonServer>> serve_capture(const Capture& capture, UnixListener listener);

}  // namespace holdfast::fusefs
