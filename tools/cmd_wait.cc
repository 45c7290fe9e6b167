#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

constexpr uint64_t wait_timeout_ns = 600'000'000'000;

Result<Report> wait(const Arguments& arguments) {
    journal::Volume volume = HF_TRY(cli::resolve_volume(arguments.text("DIR")));
    uint64_t timeout_ns = HF_TRY(arguments.duration_ns_or("--timeout", wait_timeout_ns));
    auto service = HF_TRY(cli::StoreService::connect(volume, cli::StoreService::Start::transient));
    cli::Progress progress("taking in", arguments.json());
    auto show = [&](uint64_t behind, uint64_t at_start) { progress.update(at_start - std::min(at_start, behind), at_start, true); };
    uint64_t applied = HF_TRY(cli::wait_applied(volume, service, timeout_ns / 1'000'000, show));
    Report report;
    report.text = "Everything up to " + cli::lsn_text(applied) + " is in the history.\n";
    report.json = {{"applied", applied}};
    return report;
}

}  // namespace

const Command wait_command = {
    "wait",
    "wait until everything that was written is in the history",
    "holdfast wait /srv/data --timeout 5m",
    {{"DIR", Parameter::Kind::required, "", "the directory, its store or its volume id"},
     {"--timeout", Parameter::Kind::optional, "AGE", "how long, by default 10m; after that the exit code is 7"}},
    wait};

}  // namespace holdfast::tools
