#include "replicator/trust/openssl.h"

#include <openssl/err.h>

namespace holdfast::replicator {

Error openssl_error(ErrorCode code, std::string_view what) {
    // The oldest entry is the cause; those above it only say which calls it passed through.
    const unsigned long first = ERR_get_error();
    ERR_clear_error();
    std::string message(what);
    const char* reason = first ? ERR_reason_error_string(first) : nullptr;
    if (reason) message.append(" (").append(reason).append(")");
    return {code, std::move(message)};
}

}  // namespace holdfast::replicator
