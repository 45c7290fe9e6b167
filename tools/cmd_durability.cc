#include "base/name_text.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;
using journal::Durability;
using journal::Volume;

// Without a mount there is nobody to tell: the next one reads the description.
Status tell_capture(const Volume& volume) {
    auto told = cli::capture_call(volume, {{"verb", "set-durability"}, {"durability", journal::to_string(volume.durability.mode)}, {"when_alone", journal::when_alone_text(volume.durability)}});
    if (!told && told.error().code != ErrorCode::unavailable) return std::move(told).error();
    return ok();
}

std::string sentence_of(const Durability& durability) {
    if (!durability.waits()) return "fsync waits for no replica";
    const std::string place = durability.mode == journal::DurabilityMode::sync ? "on its disk" : "in its memory";
    const std::string alone = durability.blocks() ? "; when none answers, it waits until one does"
                                                  : "; when none answers for " + cli::human_duration(durability.degrade_after_ns) + ", it goes without one until one has caught up";
    return "fsync waits until a replica has the changes " + place + alone;
}

Result<Report> durability(const Arguments& arguments) {
    Volume volume = HF_TRY(cli::resolve_volume(arguments.text("DIR")));
    const Durability before = volume.durability;
    volume.durability = HF_TRY(durability_from(arguments, "MODE", volume));
    if (volume.durability != before) {
        HF_TRY(journal::save_volume(volume));
        HF_TRY(tell_capture(volume));
    }
    Report report;
    report.text = printable(name_of(volume)) + ": " + journal::to_string(volume.durability.mode) + ", " + sentence_of(volume.durability) + ".\n";
    report.json = {{"directory", volume.is_replica() ? Json() : Json(name_to_text(volume.directory))}, {"store", name_to_text(volume.store)}, {"durability", journal::to_string(volume.durability.mode)},
                   {"when_alone", journal::when_alone_text(volume.durability)}};
    return report;
}

}  // namespace

Result<Durability> durability_from(const Arguments& arguments, std::string_view mode, const Volume& volume) {
    Durability durability = volume.durability;
    if (!arguments.given(mode) && !arguments.given("--when-alone")) return durability;
    HF_TRY(journal::check_is_source(volume, "nothing is written on it; say what fsync waits for on its source"));
    if (arguments.given(mode)) durability.mode = HF_TRY(journal::parse_durability_mode(arguments.text(mode)));
    if (arguments.given("--when-alone")) durability.degrade_after_ns = HF_TRY(journal::parse_when_alone(arguments.text("--when-alone")));
    return durability;
}

const Command durability_command = {
    "durability",
    "what fsync of a protected directory waits for: show it, or change it at once",
    "holdfast durability /srv/data sync --when-alone degrade:10s",
    {{"DIR", Parameter::Kind::required, "", "the directory, its store or its volume id"},
     {"MODE", Parameter::Kind::optional, "", "async: for no replica; semi-sync: until a replica has it in memory; sync: until a replica has it on its disk"},
     {"--when-alone", Parameter::Kind::optional, "POLICY", when_alone_help}},
    durability};

}  // namespace holdfast::tools
