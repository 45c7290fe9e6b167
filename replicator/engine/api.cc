#include "replicator/engine/api.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <future>
#include <memory>

#include "base/clock.h"
#include "base/text.h"
#include "replicator/engine/metrics.h"

namespace holdfast::replicator {

namespace {

constexpr unsigned bad_request = 400, no_such_path = 404, wrong_method = 405;
constexpr std::string_view remote_prefix = "/on/";

HttpAnswer as_json(const Json& answer) {
    return {.body = line_of(answer)};
}

HttpAnswer as_metrics(const Json& answer) {
    return {.type = metrics_type, .body = answer.get<std::string>()};
}

struct Route {
    const char* method;
    const char* path;
    Engine::Verb verb;
    std::vector<const char*> required = {};  // members of the body's object, or of the query: texts that are not empty
    std::vector<const char*> optional = {};
    HttpAnswer (*show)(const Json& answer) = as_json;
    bool changes_trust = false;
};

const std::vector<Route>& routes() {
    static const std::vector<Route> all = {
        {"GET", "/v1/status", &Engine::status},
        {"GET", "/v1/peers", &Engine::peers},
        {"GET", "/v1/events", &Engine::events, {}, {"after"}},
        {"GET", "/metrics", &Engine::metrics, {}, {}, as_metrics},
        {"POST", "/v1/pair-offer", &Engine::offer_pairing, {}, {}, as_json, true},
        {"POST", "/v1/pair", &Engine::pair, {"address", "code"}, {}, as_json, true},
        {"POST", "/v1/revoke", &Engine::revoke, {"peer"}, {}, as_json, true},
        {"POST", "/v1/key-rotate", &Engine::rotate_key, {}, {"within"}, as_json, true},
        {"POST", "/v1/forget", &Engine::forget, {"volume", "peer"}},
        {"POST", "/v1/reload", &Engine::reload},
        {"POST", "/v1/maintenance-prepare", &Engine::prepare_maintenance, {}, {"timeout"}},
        {"POST", "/v1/maintenance-done", &Engine::end_maintenance},
        {"POST", "/v1/suspend", &Engine::suspend, {"volume", "peer"}},
        {"POST", "/v1/resume", &Engine::resume, {"volume", "peer"}},
        {"POST", "/v1/now", &Engine::run_now, {"volume", "peer"}},
        {"POST", "/v1/compare", &Engine::compare, {"volume", "peer"}},
        {"POST", "/v1/repair", &Engine::repair, {"volume", "peer"}},
    };
    return all;
}

Error wrong(const std::string& sentence) {
    return {ErrorCode::invalid_argument, sentence};
}

// What is asked, from the body of a POST or the query of a GET.
Result<Engine::Request> members_of(const HttpRequest& request) {
    if (request.method == "GET") return request.query;
    if (!request.query.empty()) return wrong("what is asked stands in the body, not behind a `?`");
    Engine::Request members;
    if (request.body.empty()) return members;
    const Json body = Json::parse(request.body, nullptr, false);
    if (!body.is_object()) return wrong("the body must be a JSON object, and is not");
    for (const auto& [name, value] : body.items()) {
        if (!value.is_string()) return wrong("`" + name + "` must be a text");
        members.emplace(name, value.get<std::string>());
    }
    return members;
}

Status check(const Route& route, const Engine::Request& members) {
    std::string known;
    for (const auto* names : {&route.required, &route.optional})
        for (const char* name : *names) known += (known.empty() ? "" : ", ") + std::string(name);
    for (const auto& member : members) {
        const std::string& name = member.first;
        const auto is_it = [&](const char* one) { return name == one; };
        if (std::none_of(route.required.begin(), route.required.end(), is_it) && std::none_of(route.optional.begin(), route.optional.end(), is_it))
            return wrong("nothing is called " + quoted(name) + " here; " + (known.empty() ? "there are no members" : "there are " + known));
    }
    for (const char* name : route.required)
        if (const auto found = members.find(name); found == members.end() || found->second.empty()) return wrong("`" + std::string(name) + "` is missing");
    return ok();
}

HttpAnswer error_answer(const Error& error) {
    return http_error(http_status(error.code), error);
}

}  // namespace

unsigned http_status(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument: return bad_request;
        case ErrorCode::permission: return 403;
        case ErrorCode::not_found: return 404;
        case ErrorCode::exists:
        case ErrorCode::foreign:
        case ErrorCode::busy:
        case ErrorCode::gap: return 409;
        case ErrorCode::io:
        case ErrorCode::corrupt:
        case ErrorCode::torn: return 500;
        case ErrorCode::unsupported: return 501;
        case ErrorCode::unavailable: return 503;
        case ErrorCode::no_space: return 507;
    }
    return 500;
}

std::vector<std::string> api_routes() {
    std::vector<std::string> names;
    for (const Route& route : routes()) names.push_back(std::string(route.method) + " " + route.path);
    return names;
}

HttpAnswer Api::answer(const HttpRequest& request) {
    if (!request.peer.empty()) {
        const Status permitted = permit(request);
        return permitted ? answer_here(request) : error_answer(permitted.error());
    }
    return request.path.starts_with(remote_prefix) ? pass_on(request) : answer_here(request);
}

HttpAnswer Api::answer_here(const HttpRequest& request) {
    std::string allow;
    for (const Route& route : routes()) {
        if (request.path != route.path) continue;
        if (request.method != route.method) {
            allow += (allow.empty() ? "" : ", ") + std::string(route.method);
            continue;
        }
        auto members = members_of(request);
        if (!members) return http_error(bad_request, members.error());
        if (const Status fits = check(route, *members); !fits) return http_error(bad_request, fits.error());
        const auto answered = ask(route.verb, std::move(*members));
        return answered ? route.show(*answered) : error_answer(answered.error());
    }
    if (allow.empty()) return http_error(no_such_path, {ErrorCode::not_found, "the engine has no " + quoted(request.path) + ": command and engine may be of different versions"});
    HttpAnswer answer = http_error(wrong_method, wrong(quoted(request.path) + " is asked with " + allow));
    answer.allow = allow;
    return answer;
}

// "/on/beta/v1/status": beta's "/v1/status".
HttpAnswer Api::pass_on(const HttpRequest& request) {
    const size_t slash = request.path.find('/', remote_prefix.size());
    const std::string path = slash == request.path.npos ? "" : request.path.substr(slash);
    const auto is_plain = [](unsigned char letter) { return std::isalnum(letter) || letter == '/' || letter == '-' || letter == '_' || letter == '.'; };
    if (path.empty() || !std::all_of(path.begin(), path.end(), is_plain))
        return http_error(no_such_path, {ErrorCode::not_found, "no request looks like " + quoted(request.path) + "; it is /on/PEER and what is asked there, as /on/beta/v1/status"});
    const std::string peer = request.path.substr(remote_prefix.size(), slash - remote_prefix.size());
    auto end = on_loop<RemoteEnd>([this, peer](auto done) { engine_.open_control(peer, std::move(done)); });
    if (!end) return error_answer(end.error());
    HttpRequest theirs = request;
    theirs.path = path;
    auto answered = ask_remote(std::move(*end), peer, theirs);
    return answered ? std::move(*answered) : error_answer(answered.error());
}

Status Api::permit(const HttpRequest& request) {
    const bool changes_trust = std::any_of(routes().begin(), routes().end(), [&](const Route& route) { return route.changes_trust && request.path == route.path; });
    auto permitted = on_loop<bool>([this, request, changes_trust](auto done) {
        const Status status = engine_.permit(request.peer, request.method, request.path, changes_trust);
        done(status ? Result<bool>(true) : status.error());
    });
    return permitted ? ok() : Status(permitted.error());
}

Result<Json> Api::ask(Engine::Verb verb, Engine::Request request) {
    return on_loop<Json>([this, verb, request = std::move(request)](Engine::Answer done) { (engine_.*verb)(request, std::move(done)); });
}

template <typename T>
Result<T> Api::on_loop(std::function<void(std::function<void(Result<T>)> done)> begin) {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    auto future = promise->get_future();
    loop_.post([begin = std::move(begin), promise] { begin([promise](Result<T> result) { promise->set_value(std::move(result)); }); });
    const uint64_t end_ns = system_clock().monotonic_ns() + api_answer_ns_max;
    while (future.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) {
        // A loop that has stopped answers nobody, but what it was told to stop after.
        if (loop_.is_stopping() && future.wait_for(std::chrono::milliseconds(0)) != std::future_status::ready) return Error{ErrorCode::unavailable, "the engine ends"};
        if (system_clock().monotonic_ns() >= end_ns) return Error{ErrorCode::unavailable, "the engine has not answered in time; what was asked may still happen"};
    }
    return future.get();
}

}  // namespace holdfast::replicator
