// What differs between a replica and its source at one moment; nothing is changed (docs/engine.md).
#include "tools/cli/engine.h"
#include "tools/command.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/text.h"

namespace holdfast::tools {

namespace {

using cli::printable;

constexpr auto look_again = std::chrono::milliseconds(200);

Result<Json> edge_of(const std::string& volume, const std::string& peer) {
    const Json status = HF_TRY(cli::engine_get("/v1/status"));
    for (const Json& edge : status.at("edges")) {
        const bool is_it = edge.at("peer") == peer && (edge.at("volume") == volume || edge.value("store", "") == volume);
        if (is_it) return edge;
    }
    return Error{ErrorCode::not_found, "the configuration does not name " + quoted(volume) + " with " + quoted(peer) + " any more"};
}

// The lines of TEXT, each indented and safe to print.
std::string listing(const std::string& text) {
    std::string lines;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        lines += "  " + printable(text.substr(at, end - at)) + "\n";
        at = end + 1;
    }
    return lines;
}

std::string sentence(const Json& found, const std::string& peer) {
    const uint64_t objects = found.at("objects"), differences = found.at("differences");
    const std::string moment = cli::local_time(found.at("time_ns").get<uint64_t>()) + " (lsn " + std::to_string(found.at("at").get<uint64_t>()) + ")";
    if (differences == 0) return "Identical with " + printable(peer) + " at " + moment + ": " + std::to_string(objects) + " objects, " + human_bytes(found.at("bytes").get<uint64_t>()) + " read on each side, 0 differences.\n";
    const std::string text = found.at("text");
    const size_t listed = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
    return std::to_string(differences) + " of " + std::to_string(objects) + " objects differ from " + printable(peer) + " at " + moment + ":\n" + listing(text) +
           (listed < differences ? "  and " + std::to_string(differences - listed) + " more\n" : "") +
           "`here` is the replica, `there` its source. Nothing was changed.\n";
}

Result<Report> compare(const Arguments& arguments) {
    const std::string &volume = arguments.text("DIR"), &peer = arguments.text("PEER");
    const Json begun = HF_TRY(cli::engine_post("/v1/compare", {{"volume", volume}, {"peer", peer}}));
    for (;;) {
        std::this_thread::sleep_for(look_again);
        const Json edge = HF_TRY(edge_of(volume, peer));
        const Json& equality = edge.at("equality");
        if (equality.at("asked") <= begun.at("ended")) {
            if (!equality.at("pending").get<bool>()) return Error{ErrorCode::unavailable, "the engine was restarted during the comparison; ask again"};
            continue;
        }
        const Json& found = equality.at("whole");
        if (found.contains("failed")) return Error{ErrorCode::unavailable, "the comparison came to nothing: " + printable(found.at("failed").get<std::string>())};
        return Report{.text = sentence(found, peer), .json = found, .exit = found.at("differences") == 0 ? cli::ExitCode::success : cli::ExitCode::difference};
    }
}

}  // namespace

const Command compare_command = {
    "compare",
    "say what differs between a replica and its source at one moment, from either host; the exit code is 1 when something does",
    "holdfast compare /srv/data beta",
    {{"DIR", Parameter::Kind::required, "", "the volume, as the engine's configuration names it"},
     {"PEER", Parameter::Kind::required, "", "the host at the other end"}},
    compare};

}  // namespace holdfast::tools
