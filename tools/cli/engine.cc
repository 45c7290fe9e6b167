#include "tools/cli/engine.h"

#include <curl/curl.h>

#include <memory>

#include "base/text.h"
#include "journal/volume.h"

namespace holdfast::cli {

namespace {

size_t keep(const char* bytes, size_t, size_t count, void* body) {
    auto& text = *static_cast<std::string*>(body);
    // Less than was given ends the transfer.
    if (text.size() + count > engine_answer_bytes_max) return 0;
    text.append(bytes, count);
    return count;
}

Error failure(CURLcode code, const std::string& socket) {
    if (code == CURLE_COULDNT_CONNECT) return {ErrorCode::unavailable, "the engine does not run on this host; start holdfastd (docs/engine.md)"};
    return {ErrorCode::unavailable, "the engine at " + quoted(socket) + " gave no answer: " + curl_easy_strerror(code)};
}

// BODY null: a GET.
Result<Json> call(const std::string& path, const std::string* body) {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    const std::unique_ptr<CURL, void (*)(CURL*)> handle(curl_easy_init(), &curl_easy_cleanup);
    const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(curl_slist_append(nullptr, "Content-Type: application/json"), &curl_slist_free_all);
    if (ready != CURLE_OK || !handle || !headers) return Error{ErrorCode::io, "libcurl cannot be used"};
    CURL* const curl = handle.get();
    const std::string socket = journal::engine_socket(), url = "http://engine" + path;
    std::string answer;
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, engine_timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (body != nullptr) {
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data());
    }
    if (const CURLcode done = curl_easy_perform(curl); done != CURLE_OK) return failure(done, socket);
    Json message = Json::parse(answer, nullptr, false);
    if (!message.is_object()) return Error{ErrorCode::corrupt, "the engine at " + quoted(socket) + " did not answer with a JSON object"};
    if (const auto error = message.find("error"); error != message.end()) return error_of(*error);
    return message;
}

// A name of whatever letters becomes one part of a path.
std::string path_on(const std::string& on, const std::string& path) {
    if (on.empty()) return path;
    const std::unique_ptr<char, void (*)(void*)> escaped(curl_easy_escape(nullptr, on.data(), static_cast<int>(on.size())), &curl_free);
    return "/on/" + std::string(escaped ? escaped.get() : "") + path;
}

}  // namespace

Result<Json> engine_get(const std::string& path, const std::string& on) {
    return call(path_on(on, path), nullptr);
}

Result<Json> engine_post(const std::string& path, const Json& body, const std::string& on) {
    const std::string text = line_of(body);
    return call(path_on(on, path), &text);
}

}  // namespace holdfast::cli
