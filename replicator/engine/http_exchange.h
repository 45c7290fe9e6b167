// One HTTP request over a socket that is connected already, and its answer. For an end that closes after it has answered and says how long its
// answer is, as http_server.h does; no more of HTTP than that is understood.
//
// Thread rule: any thread; blocks for at most the given time.
#pragma once

#include <string>
#include <string_view>

#include "replicator/engine/http_server.h"

namespace holdfast::replicator {

inline constexpr size_t http_answer_bytes_max = 8 << 20;  // with its head

// Errors: unavailable: no time left, or it ended before the answer was whole; corrupt: what came is no such answer.
Result<HttpAnswer> http_exchange(int socket, const HttpRequest& request, uint64_t timeout_ns);

// REQUEST as it is sent; what stands behind the `?` is encoded, the path must need none.
std::string http_request_text(const HttpRequest& request);
// TEXT is all that came. Errors as above.
Result<HttpAnswer> parse_http_answer(std::string_view text);

}  // namespace holdfast::replicator
