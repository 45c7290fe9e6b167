// A subcommand as data: its words, its parameters, and the function that runs it. tools/main.cc builds the parser,
// the help and the printing from the one table in tools/commands.cc; a subcommand's file knows nothing of either.
//
// A run returns its result as a value (a sentence or table for people, JSON for machines, an exit code) and changes
// nothing when it fails before its first step.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "journal/volume.h"
#include "tools/cli/exit_code.h"
#include "tools/cli/output.h"

namespace holdfast::tools {

using cli::Json;

struct Parameter {
    enum class Kind { required, optional, repeated, flag };
    const char* name;  // "DIR": by position; "--store": an option with a value, or a flag
    Kind kind;
    const char* value;  // how the help names an option's value: "DIR", "SIZE"; "" for positions and flags
    const char* help;
};

// What was given on the command line.
class Arguments {
public:
    using Lists = std::map<std::string, std::vector<std::string>, std::less<>>;
    Arguments(std::map<std::string, std::string, std::less<>> values, bool json, Lists lists = {}) : values_(std::move(values)), lists_(std::move(lists)), json_(json) {}
    bool given(std::string_view name) const { return values_.contains(name) || lists_.contains(name); }
    // "" when it was not given.
    const std::string& text(std::string_view name) const;
    // Of what may be given several times, in that order.
    std::vector<std::string> texts(std::string_view name) const;
    std::string text_or(std::string_view name, std::string fallback) const;
    // A size, duration or number; FALLBACK when it was not given. Errors name the parameter.
    Result<uint64_t> bytes_or(std::string_view name, uint64_t fallback) const;
    Result<uint64_t> duration_ns_or(std::string_view name, uint64_t fallback) const;
    Result<uint64_t> number_or(std::string_view name, uint64_t fallback) const;
    // A moment as the control protocol carries it (base/name_text.h). Errors: invalid_argument when it is empty.
    Result<std::string> moment_or(std::string_view name, const char* fallback) const;
    bool json() const { return json_; }

private:
    std::map<std::string, std::string, std::less<>> values_;
    Lists lists_;
    bool json_;
};

struct Report {
    std::string text;  // printed as it is
    Json json = Json::object();
    bool printed = false;  // the command wrote its (long) result to standard output itself
    cli::ExitCode exit = cli::ExitCode::success;
};

struct Command {
    const char* name;  // "protect", or two words: "bookmark create"
    const char* summary;
    const char* example;
    std::vector<Parameter> parameters;
    Result<Report> (*run)(const Arguments& arguments);
};

// All of them, in the order of the help.
const std::vector<Command>& commands();

extern const Command protect_command, unprotect_command, status_command, wait_command, durability_command;
extern const Command bookmark_create_command, bookmark_list_command, bookmark_rename_command, bookmark_delete_command;
extern const Command log_command, ls_command, cat_command, diff_command, compare_command, restore_command, rewind_command;
extern const Command engine_status_command, events_command, pair_command, peer_list_command, peer_revoke_command, key_rotate_command, replica_forget_command, replica_suspend_command, replica_resume_command, replica_now_command, replica_repair_command, standby_compare_command, maintenance_prepare_command, maintenance_done_command, config_check_command, config_reload_command;
extern const Command ha_check_command, ha_plan_command, ha_facts_command, ha_verify_command, ha_checks_command;
extern const Command mount_past_command, umount_past_command, verify_command, journal_dump_command, assess_command;

// VOLUME's durability with what was given instead: MODE under that name, and --when-alone. Errors: invalid_argument; unsupported for
// a volume that can have no replica.
Result<journal::Durability> durability_from(const Arguments& arguments, std::string_view mode, const journal::Volume& volume);
inline constexpr const char* when_alone_help = "when no replica answers for so long: degrade:10s (the default) goes on without one until one has caught up, block waits";

// What every command that speaks of a moment says about it.
inline constexpr const char* moment_help =
    "a bookmark, a time (2026-03-01T14:03:20, local unless it ends in Z), an age (10m), a position (lsn:4096) or now";

}  // namespace holdfast::tools
