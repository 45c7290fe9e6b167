// Arbitrary bytes as what another host's engine answers. What is accepted is no longer than what came, and has a status that says something.

#include "base/check.h"
#include "replicator/engine/http_exchange.h"
#include "test/fuzz/target.h"

using namespace holdfast;
using namespace holdfast::replicator;

std::vector<fuzz::Input> fuzz::seeds() {
    return {input_of("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{}\n"),
            input_of("HTTP/1.1 405 Method Not Allowed\r\nallow:GET\r\ncontent-length:0\r\n\r\n"), input_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), input_of("HTTP/1.1 ")};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto bytes = fuzz::copy_of(data, size);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), size);
    const auto answer = parse_http_answer(text);
    if (!answer) {
        HF_CHECK(answer.error().code == ErrorCode::corrupt || answer.error().code == ErrorCode::unavailable);
        HF_CHECK(!answer.error().message.empty());
        return 0;
    }
    HF_CHECK(answer->status >= 200 && answer->status <= 599);
    HF_CHECK(text.ends_with(answer->body) && answer->body.size() + answer->type.size() + answer->allow.size() < size);
    HF_CHECK(answer->type.find("\r\n") == std::string::npos && answer->allow.find("\r\n") == std::string::npos);
    return 0;
}
