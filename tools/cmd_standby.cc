// The standby directory of a replica, compared when somebody asks (docs/engine.md).
#include <chrono>
#include <thread>

#include "base/json.h"
#include "base/name_text.h"
#include "base/text.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;

constexpr auto look_again = std::chrono::milliseconds(200);

Result<Json> standby_of(const cli::StoreService& service) {
    const Json status = HF_TRY(service.call({{"verb", "status"}}));
    if (!status.contains("standby") || !status["standby"].is_object())
        return Error{ErrorCode::not_found, "this replica has no standby directory; `directory` in its [[keep]] gives it one"};
    Json standby = status["standby"];
    if (standby.value("state", "") == "refused") return Error{ErrorCode::unavailable, "there is no standby directory: " + printable(standby.value("why", ""))};
    return standby;
}

Result<Report> compare(const Arguments& arguments) {
    const journal::Volume volume = HF_TRY(cli::resolve_volume(arguments.text("STORE")));
    const auto service = HF_TRY(cli::StoreService::connect(volume, cli::StoreService::Start::never));
    const uint64_t before = number_or(HF_TRY(standby_of(service)), "comparisons", 0);
    HF_TRY(service.call({{"verb", "compare_standby"}}));
    for (;;) {
        std::this_thread::sleep_for(look_again);
        const Json standby = HF_TRY(standby_of(service));
        if (standby.contains("why")) return Error{ErrorCode::unavailable, "the comparison does not get on: " + printable(standby["why"].get<std::string>())};
        if (number_or(standby, "comparisons", 0) <= before) continue;
        const uint64_t differences = number_or(standby, "differences", 0);
        Report report;
        report.text = printable(text_to_name(standby.value("directory", ""))) + " equals the replica: " + std::to_string(number_or(standby, "objects", 0)) + " objects and " +
                      human_bytes(number_or(standby, "bytes_compared", 0)) + " were compared, " +
                      (differences == 0 ? "nothing differed" : std::to_string(differences) + " differences were put right") + ".\n";
        report.json = standby;
        return report;
    }
}

}  // namespace

const Command standby_compare_command = {
    "standby compare",
    "compare a replica's standby directory with the replica and put right what differs",
    "holdfast standby compare /var/lib/holdfast/data",
    {{"STORE", Parameter::Kind::required, "", "the replica: its store or id"}},
    compare};

}  // namespace holdfast::tools
