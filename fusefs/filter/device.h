// The kernel's end of the mount: one device descriptor, shared by all threads.
//
// It is never cloned (FUSE_DEV_IOC_CLONE): when a clone is closed, which the death of a process does, the kernel ends
// the requests that were read from it with ECONNABORTED. On the one descriptor that the supervisor also holds they stay,
// and a successor has them sent again.
//
// Thread rule: any thread.
#pragma once

#include "base/result.h"
#include "fusefs/filter/request.h"

namespace holdfast::fusefs {

class Device {
public:
    explicit Device(int fd) : fd_(fd) {}

    enum class Outcome {
        request,      // BYTES hold one
        interrupted,  // a signal: look whether to stop
        gone,         // unmounted, or the connection was ended
    };
    struct Read {
        Outcome outcome;
        ByteSpan bytes;
    };
    // Waits for the next request. Errors: io.
    Result<Read> read(MutableByteSpan buffer) const;

    // A request that the kernel gave up meanwhile is no error.
    void send(uint64_t unique, const Answer& answer) const;

    // Has every request that was read and not answered sent again. REQUIRES: no request was read by this process.
    // Errors: unsupported (a kernel before 6.9).
    Status ask_to_resend() const;
    // Has the kernel forget the attributes that it caches of NODE.
    void forget_attributes(uint64_t node) const;

private:
    bool notify(int code, ByteSpan payload) const;
    int fd_;  // borrowed
};

}  // namespace holdfast::fusefs
