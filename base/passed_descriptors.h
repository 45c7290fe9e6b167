// Descriptors that travel beside a message of a Unix domain socket (SCM_RIGHTS): room for MAX of them.
//
// The kernel rounds the room up, so one more may come than there is room for; who wants a certain number counts. What finds no room is closed by the
// kernel, which says so (MSG_CTRUNC).
// Thread rule: a plain value, for one call of sendmsg() or recvmsg(), which it outlives.
#pragma once

#include <sys/socket.h>

#include <cstring>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/unique_fd.h"

namespace holdfast {

template <size_t max>
class PassedDescriptors {
public:
    // FDS go along with MESSAGE, and stay open here.
    void send_with(msghdr& message, std::span<const int> fds) {
        HF_CHECK(fds.size() <= max);
        if (fds.empty()) return;
        message.msg_control = bytes_;
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(fds.size_bytes());
        memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
    }
    // Before recvmsg(), which is to be called with MSG_CMSG_CLOEXEC.
    void receive_with(msghdr& message) {
        message.msg_control = bytes_;
        message.msg_controllen = sizeof bytes_;
    }
    // After it: what came along.
    static std::vector<UniqueFd> of(msghdr& message) {
        std::vector<UniqueFd> fds;
        for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
            if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
            for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= head->cmsg_len; at += sizeof(int)) {
                int fd = -1;
                memcpy(&fd, CMSG_DATA(head) + at, sizeof fd);
                fds.emplace_back(fd);
            }
        }
        return fds;
    }

private:
    alignas(cmsghdr) char bytes_[CMSG_SPACE(max * sizeof(int))] = {};
};

}  // namespace holdfast
