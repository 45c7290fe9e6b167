// The engine's API (docs/engine.md): which requests there are, and HTTP around what the engine answers to them.
//
// Thread rule: answer() from any thread; it asks on the loop's thread and waits for at most api_answer_ns_max. Ownership: loop and engine outlive it.
#pragma once

#include <string>
#include <vector>

#include "replicator/engine/engine.h"
#include "replicator/engine/http_server.h"

namespace holdfast::replicator {

// Longer than a pairing takes, which is the longest of them.
inline constexpr uint64_t api_answer_ns_max = 90'000'000'000;

class Api {
public:
    Api(Loop& loop, Engine& engine) : loop_(loop), engine_(engine) {}

    // REQUEST.peer says who asks. `/on/PEER/…` is passed on to that peer's engine; a peer cannot have it passed on.
    HttpAnswer answer(const HttpRequest& request);

private:
    HttpAnswer answer_here(const HttpRequest& request);
    HttpAnswer pass_on(const HttpRequest& request);
    Status permit(const HttpRequest& request);
    Result<Json> ask(Engine::Verb verb, Engine::Request request);
    template <typename T>
    Result<T> on_loop(std::function<void(std::function<void(Result<T>)> done)> begin);

    Loop& loop_;
    Engine& engine_;
};

// The HTTP status that an error is answered with; its code and sentence are in the body.
unsigned http_status(ErrorCode code);

// "GET /v1/status", for each of them: what a test holds against the page.
std::vector<std::string> api_routes();

}  // namespace holdfast::replicator
