#include <sys/statvfs.h>

#include <algorithm>

#include "base/name_text.h"
#include "base/program.h"
#include "base/text.h"
#include "journal/store_layout.h"
#include "journal/writer.h"
#include "tools/cli/mounts.h"
#include "tools/cli/programs.h"
#include "tools/cli/protect_checks.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;
using journal::StoreState;
using journal::Volume;

// Without --journal-max the journal may take this share of its disk, at most the default of a volume.
constexpr uint64_t journal_share_of_disk = 4;
constexpr uint64_t journal_bytes_min = 4ULL * HF_SEGMENT_BYTES_MIN;
// A journal of few segments could hardly release one while another is filled.
constexpr uint64_t segments_per_journal = 16;
// Refusing it would leave a directory unprotected for the sake of something that nobody misses.
constexpr const char* retired_option = "--for-replicas";

Result<uint64_t> default_journal_max(const std::string& place) {
    struct statvfs disk {};
    std::string existing = place;
    while (::statvfs(existing.c_str(), &disk) != 0) {
        if (errno != ENOENT || existing == "/") return errno_error(errno, "look at the disk of " + printable(place));
        size_t slash = existing.rfind('/');
        existing = slash == 0 ? "/" : existing.substr(0, slash);
    }
    uint64_t share = static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize / journal_share_of_disk;
    return std::clamp<uint64_t>(share, journal_bytes_min, Volume{}.journal_bytes_max);
}

// A power of two, so that addresses split by shifting; small journals get small segments.
uint64_t segment_bytes_for(uint64_t journal_bytes_max) {
    uint64_t bytes = HF_SEGMENT_BYTES_DEFAULT;
    while (bytes > HF_SEGMENT_BYTES_MIN && bytes * segments_per_journal > journal_bytes_max) bytes /= 2;
    return bytes;
}

// The limits that were given replace those of VOLUME; segment size and places of an existing store stay.
Status take_limits(const Arguments& arguments, Volume& volume) {
    volume.journal_bytes_max = HF_TRY(arguments.bytes_or("--journal-max", volume.journal_bytes_max));
    uint64_t least = std::max(journal_bytes_min, journal::journal_segments_min * volume.segment_bytes);
    if (volume.journal_bytes_max < least)
        return Error{ErrorCode::invalid_argument, "a journal of " + human_bytes(volume.journal_bytes_max) + " is too small: --journal-max is at least " + human_bytes(least)};
    volume.window_age_ns = HF_TRY(arguments.duration_ns_or("--window", volume.window_age_ns));
    volume.window_bytes_max = HF_TRY(arguments.bytes_or("--history-max", volume.window_bytes_max));
    if (arguments.given("--full-policy")) volume.full_policy = HF_TRY(journal::parse_full_policy(arguments.text("--full-policy")));
    volume.durability = HF_TRY(durability_from(arguments, "--durability", volume));
    return ok();
}

// What is left out from now on; without a word it stays as it is. Of a directory that was there before only the mount helper can
// tell that it has gone since, and it does not refuse.
Status take_left_out(const Arguments& arguments, Volume& volume) {
    const bool nothing = arguments.given("--leave-nothing-out");
    if (nothing && arguments.given("--leave-out"))
        return Error{ErrorCode::invalid_argument, "--leave-out and --leave-nothing-out contradict each other: give one of them"};
    if (nothing) volume.left_out = {};
    if (!arguments.given("--leave-out")) return ok();
    volume.left_out = HF_TRY(journal::LeftOut::of(arguments.texts("--leave-out")));
    return cli::check_left_out(volume.directory, volume.left_out);
}

Result<Volume> plan_new_volume(const Arguments& arguments, const std::string& directory, const std::string& store) {
    Volume volume;
    volume.id = journal::random_volume_id();
    volume.directory = directory;
    volume.store = store;
    volume.journal_directory = store + "/journal";
    if (arguments.given("--journal")) volume.journal_directory = HF_TRY(cli::place_for(arguments.text("--journal"), "journal"));
    volume.journal_bytes_max = HF_TRY(arguments.bytes_or("--journal-max", HF_TRY(default_journal_max(volume.journal_directory))));
    volume.segment_bytes = segment_bytes_for(volume.journal_bytes_max);
    HF_TRY(take_limits(arguments, volume));
    HF_TRY(take_left_out(arguments, volume));
    return volume;
}

// Errors: not ours, of another directory, or with options that cannot be changed later.
Result<Volume> plan_known_volume(const Arguments& arguments, const std::string& directory, const std::string& store) {
    Volume volume = HF_TRY(journal::load_volume(store));
    HF_TRY(journal::check_is_source(volume, "belongs to a directory of another host: give " + printable(directory) + " a store of its own"));
    if (volume.directory != directory)
        return Error{ErrorCode::invalid_argument, "the store " + printable(store) + " belongs to the directory " + printable(volume.directory) +
                                                      ": give " + printable(directory) + " a store of its own"};
    if (arguments.given("--journal") && HF_TRY(cli::place_for(arguments.text("--journal"), "journal")) != volume.journal_directory)
        return Error{ErrorCode::invalid_argument, "the journal of this store lies in " + printable(volume.journal_directory) +
                                                      ": --journal can only be chosen when a directory is protected for the first time"};
    HF_TRY(take_limits(arguments, volume));
    // Of one that is protected already nothing can be changed, which is said later and better.
    if (!HF_TRY(cli::is_captured(directory)) || !HF_TRY(cli::published_end(volume))) HF_TRY(take_left_out(arguments, volume));
    return volume;
}

Status check_free_places(const Volume& volume, StoreState state) {
    if (state == StoreState::foreign)
        return Error{ErrorCode::exists, printable(volume.store) + " is not an empty directory and no store: choose an empty or a new one"};
    if (volume.journal_directory == volume.store + "/journal") return ok();
    StoreState journal_state = HF_TRY(journal::look_at_store(volume.journal_directory));
    if (journal_state == StoreState::absent || journal_state == StoreState::empty || state == StoreState::half_made) return ok();
    return Error{ErrorCode::exists, "the journal directory " + printable(volume.journal_directory) + " is not empty: choose an empty or a new one"};
}

// The code that the helper's exit status carries, when it is one that knows HOLDFAST_EXIT_CODES.
ErrorCode code_of_status(int status) {
    return error_code_of(status, status == 1 ? ErrorCode::invalid_argument : ErrorCode::busy);
}

Status mount_volume(const Volume& volume, const Arguments& arguments) {
    std::vector<std::string> words{HF_TRY(cli::find_program(cli::mount_program)), volume.store, volume.directory};
    std::string options;
    if (arguments.given("--allow-bypass")) options += ",allow_bypass";
    if (arguments.given("--accept-deletions")) options += ",accept_deletions";
    if (!options.empty()) {
        words.push_back("-o");
        words.push_back(options.substr(1));
    }
    // The helper shows the progress of a first copy on the terminal itself, and keeps its sentence for us.
    cli::Child::Options how{.lifetime = cli::Child::Lifetime::own, .inherit_errors = !arguments.json(), .environment = {"HOLDFAST_EXIT_CODES=1"}};
    cli::Child helper = HF_TRY(cli::Child::start(words, how));
    helper.wait(-1);
    if (helper.exit_status() == 0) return ok();
    std::string sentence = helper.last_error_line();
    if (sentence.empty()) sentence = "the mount helper ended with status " + std::to_string(helper.exit_status()) + "; " + volume.store + "/log may say more";
    return Error{code_of_status(helper.exit_status()), std::move(sentence)};
}

Result<Report> report_of(const Volume& volume, const Arguments& arguments, bool is_new) {
    Report report;
    report.text = printable(volume.directory) + (is_new ? " is protected; its history is kept in " : " is protected again; its history goes on in ") +
                  printable(volume.store) + ".\n";
    if (!volume.left_out.empty()) report.text += "Left out: " + journal::left_out_text(volume.left_out) + ".\n";
    report.json = {{"directory", name_to_text(volume.directory)}, {"store", name_to_text(volume.store)},
                   {"id", journal::to_string(volume.id)},         {"new", is_new},
                   {"journal_bytes_max", volume.journal_bytes_max}, {"leave_out", cli::names_json(volume.left_out.paths())}};
    if (arguments.given(retired_option)) {
        report.text += std::string(retired_option) + " was ignored: it does nothing any more, because a replica is filled by comparison. Leave it out.\n";
        report.json["ignored"] = Json::array({retired_option});
    }
    return report;
}

Result<Report> mount_new(const Volume& volume, const Arguments& arguments) {
    journal::NewStore store = HF_TRY(journal::NewStore::make(volume));
    HF_TRY(mount_volume(volume, arguments));
    store.keep();
    return report_of(volume, arguments, true);
}

Result<Report> mount_known(const Volume& volume, const Arguments& arguments) {
    HF_TRY(journal::save_volume(volume));
    HF_TRY(journal::register_volume(volume));
    HF_TRY(mount_volume(volume, arguments));
    return report_of(volume, arguments, false);
}

Result<Report> protect(const Arguments& arguments) {
    HF_TRY(cli::check_user());
    std::string directory = HF_TRY(cli::directory_to_protect(arguments.text("DIR")));
    std::string store = HF_TRY(cli::place_for(arguments.text("--store"), "store"));
    // First what is wrong whatever the store holds: these places can never fit together.
    Volume places;
    places.directory = directory;
    places.store = store;
    places.journal_directory = store + "/journal";
    HF_TRY(cli::check_places(places));
    StoreState state = HF_TRY(journal::look_at_store(store));
    bool is_known = state == StoreState::made;
    Volume volume = HF_TRY(is_known ? plan_known_volume(arguments, directory, store) : plan_new_volume(arguments, directory, store));
    HF_TRY(cli::check_places(volume));
    HF_TRY(cli::check_others(volume));
    // A mount whose server is gone is taken over by the helper.
    if (is_known && HF_TRY(cli::is_captured(directory)) && HF_TRY(cli::published_end(volume)))
        return Error{ErrorCode::exists, printable(directory) + " is already protected by this store; `holdfast status` shows how it is"};
    if (!is_known) HF_TRY(check_free_places(volume, state));
    HF_TRY(cli::check_host(directory));
    return is_known ? mount_known(volume, arguments) : mount_new(volume, arguments);
}

}  // namespace

const Command protect_command = {
    "protect",
    "protect a directory in place: from now on its history is kept",
    "holdfast protect /srv/data --store /backup/data --window 30d --history-max 200G",
    {{"DIR", Parameter::Kind::required, "", "the directory; programs go on using it by the same path"},
     {"--store", Parameter::Kind::required, "DIR", "where image and history are kept: new, empty, or the store of this directory"},
     {"--journal", Parameter::Kind::optional, "DIR", "a fast place for the journal, outside the store"},
     {"--journal-max", Parameter::Kind::optional, "SIZE", "the journal's limit; by default a quarter of its disk, at most 8 GiB"},
     {"--window", Parameter::Kind::optional, "AGE", "how far back every moment is kept, as 30d; by default without end"},
     {"--history-max", Parameter::Kind::optional, "SIZE", "the most that history may take; by default no limit"},
     {"--full-policy", Parameter::Kind::optional, "POLICY", "when the journal is full: degrade (cut slow replicas off), block writers, or stop-protection"},
     {"--durability", Parameter::Kind::optional, "MODE", "what fsync waits for: async (the default) for no replica, semi-sync until a replica has it in memory, sync until one has it on its disk; `holdfast durability` changes it later"},
     {"--when-alone", Parameter::Kind::optional, "POLICY", when_alone_help},
     {retired_option, Parameter::Kind::flag, "", "does nothing any more: a replica is filled by comparison, whatever the journal holds; taken so that scripts that give it go on"},
     {"--leave-out", Parameter::Kind::repeated, "PATH", "a directory in DIR, by its path from there, whose contents are not to be recorded, as in `--leave-out cache --leave-out var/tmp`; it becomes a mount of its own. Replaces what was left out before"},
     {"--leave-nothing-out", Parameter::Kind::flag, "", "record again what was left out until now"},
     {"--allow-bypass", Parameter::Kind::flag, "", "protect although processes have files in it open for writing; a gap stays until they end"},
     {"--accept-deletions", Parameter::Kind::flag, "", "let the comparison delete much of the image, because much was really deleted"}},
    protect};

}  // namespace holdfast::tools
