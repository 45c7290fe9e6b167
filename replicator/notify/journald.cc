#include "replicator/notify/journald.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/text.h"
#include "base/unix_socket.h"
#include "replicator/launch/outside.h"

namespace holdfast::replicator {

namespace {

// NAME=VALUE, and where VALUE has several lines: NAME, its size (64 bit, little endian), the value.
void add(std::string& fields, const char* name, const std::string& value) {
    if (value.empty()) return;
    fields += name;
    if (value.find('\n') == value.npos) {
        fields += "=" + value + "\n";
        return;
    }
    fields += "\n";
    for (size_t byte = 0; byte < 8; ++byte) fields += static_cast<char>(value.size() >> 8 * byte & 0xff);
    fields += value + "\n";
}

// As syslog counts them.
const char* priority(Severity severity) {
    return severity == Severity::error ? "3" : severity == Severity::warning ? "4" : "6";
}

}  // namespace

std::string journald_fields(const Event& event) {
    std::string fields;
    add(fields, "MESSAGE", to_string(event.code) + " " + event.sentence);
    add(fields, "PRIORITY", priority(event.severity));
    add(fields, "SYSLOG_IDENTIFIER", "holdfastd");
    add(fields, "HOLDFAST_CODE", to_string(event.code));
    add(fields, "HOLDFAST_NUMBER", std::to_string(event.number));
    add(fields, "HOLDFAST_VOLUME", event.about.volume);
    add(fields, "HOLDFAST_PEER", event.about.peer);
    add(fields, "HOLDFAST_STORE", event.about.store);
    return fields;
}

Result<Journald> Journald::open(const std::string& path) {
    if (Outside* outside = Outside::instance()) {
        UniqueFd end = outside->take_journald();
        if (!end) return Error{ErrorCode::unavailable, "there is no journal on this host"};
        return Journald(std::move(end));
    }
    const sockaddr_un address = HF_TRY(unix_address(path));
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return errno_error(errno, "make a socket");
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return Error{ErrorCode::unavailable, "there is no journal at " + quoted(path), errno};
    return Journald(std::move(socket));
}

bool Journald::pass_on(const std::string& fields) const {
    return ::send(socket_.get(), fields.data(), fields.size(), MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(fields.size());
}

bool Journald::has_our_stderr() {
    const char* stream = ::getenv("JOURNAL_STREAM");  // device:inode of what was connected
    struct stat status;
    return stream != nullptr && ::fstat(STDERR_FILENO, &status) == 0 && std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) == stream;
}

}  // namespace holdfast::replicator
