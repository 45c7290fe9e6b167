// The way to this host's engine: its API over HTTP on a Unix socket (docs/engine.md).
// Thread rule: any thread.
#pragma once

#include <map>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace holdfast::cli {

// A little longer than the engine itself waits (replicator/engine/api.h).
inline constexpr long engine_timeout_ms = 100'000;
inline constexpr size_t engine_answer_bytes_max = 64 << 20;

// Errors: unavailable with a sentence when no engine runs, what the engine answered, corrupt when that is no JSON object.
// ON: the peer whose engine is asked, by this host's; empty: this host's own.
Result<Json> engine_get(const std::string& path, const std::string& on = "");
Result<Json> engine_post(const std::string& path, const Json& body = Json::object(), const std::string& on = "");

}  // namespace holdfast::cli
