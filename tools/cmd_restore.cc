#include <sys/stat.h>

#include <filesystem>

#include "base/json.h"
#include "base/mount_table.h"
#include "base/name_text.h"
#include "base/text.h"
#include "journal/grant.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;

// As rewind/restore/restore_plan.cc, which a confined service cannot ask for the mounts of this host.
Status check_mounts_in(std::string target, const std::string& path) {
    struct stat info {};
    if (::stat(target.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) target += "/" + path.substr(path.rfind('/') + 1);
    std::error_code unknown;  // then it stays as it was named
    if (const auto real = std::filesystem::weakly_canonical(target, unknown); !unknown) target = real.native();
    const auto mounts = HF_TRY(read_mount_table());
    const MountEntry* below = mount_below(mounts, target);
    if (!below) return ok();
    return Error{ErrorCode::busy, printable(target) + " cannot be replaced, because something is mounted in it, at " + printable(below->point) + ": choose another destination"};
}

Result<Report> restore(const Arguments& arguments) {
    cli::VolumePath path = HF_TRY(cli::resolve_path(arguments.text("PATH")));
    std::string destination = HF_TRY(cli::absolute_path(arguments.text("--to")));
    bool is_dry = arguments.given("--dry-run");
    if (arguments.given("--force")) HF_TRY(check_mounts_in(destination, path.relative));
    Json request = {{"verb", "restore"},
                    {"path", name_to_text(path.relative)},
                    {"at", HF_TRY(arguments.moment_or("--at", ""))},
                    {"to", name_to_text(destination)},
                    {"force", arguments.given("--force")},
                    {"dry_run", is_dry}};
    auto service = HF_TRY(cli::StoreService::connect(path.volume, cli::StoreService::Start::transient));
    const auto grant = HF_TRY(journal::Grant::give(path.volume.id, destination));
    cli::Progress progress("restoring", arguments.json());
    Report report;
    report.json = HF_TRY(service.call(request, [&](const Json& message) { progress.update(message); }));
    report.json["dry_run"] = is_dry;
    uint64_t time_ns = number_or(report.json, "time_ns", 0);
    report.text = std::string(is_dry ? "Would restore " : "Restored ") + cli::counted(number_or(report.json, "files", 0), "object", "objects") + ", " +
                  human_bytes(number_or(report.json, "bytes", 0)) + (time_ns > 0 ? ", as of " + cli::local_time(time_ns) : "") + ", to " +
                  printable(text_to_name(report.json.value("target", ""))) + ".\n";
    return report;
}

}  // namespace

const Command restore_command = {
    "restore",
    "put a file or directory as it was beside the present",
    "holdfast restore /srv/data/report.odt --at 2026-03-01T14:03:20 --to /tmp/report.odt",
    {{"PATH", Parameter::Kind::required, "", "what to restore; it need not exist any more"},
     {"--at", Parameter::Kind::required, "M", moment_help},
     {"--to", Parameter::Kind::required, "DEST", "a new name, or a directory to put it into"},
     {"--force", Parameter::Kind::flag, "", "replace what is there"},
     {"--dry-run", Parameter::Kind::flag, "", "only tell what it would do"}},
    restore};

}  // namespace holdfast::tools
