#include "tools/command.h"

#include "base/check.h"
#include "base/name_text.h"
#include "base/text.h"

namespace holdfast::tools {

const std::vector<Command>& commands() {
    static const std::vector<Command> all = {
        protect_command,         unprotect_command,    status_command,          wait_command,            durability_command,
        bookmark_create_command, bookmark_list_command, bookmark_rename_command, bookmark_delete_command,
        log_command,             ls_command,           cat_command,             diff_command, compare_command,
        restore_command,         rewind_command,       mount_past_command,      umount_past_command,
        verify_command,          journal_dump_command, engine_status_command,   events_command,          pair_command,
        peer_list_command,       peer_revoke_command,  key_rotate_command,       config_check_command,    config_reload_command,
        replica_forget_command,  replica_suspend_command, replica_resume_command, replica_now_command, replica_repair_command, standby_compare_command, assess_command,
        maintenance_prepare_command, maintenance_done_command,
        ha_check_command,        ha_plan_command,      ha_facts_command,        ha_verify_command,       ha_checks_command,
    };
    return all;
}

const std::string& Arguments::text(std::string_view name) const {
    static const std::string nothing;
    auto found = values_.find(name);
    return found == values_.end() ? nothing : found->second;
}

std::vector<std::string> Arguments::texts(std::string_view name) const {
    auto found = lists_.find(name);
    return found == lists_.end() ? std::vector<std::string>() : found->second;
}

std::string Arguments::text_or(std::string_view name, std::string fallback) const {
    return given(name) ? text(name) : std::move(fallback);
}

Result<uint64_t> Arguments::bytes_or(std::string_view name, uint64_t fallback) const {
    if (!given(name)) return fallback;
    auto bytes = parse_bytes(text(name));
    if (bytes) return *bytes;
    return Error{ErrorCode::invalid_argument, std::string(name) + " " + quoted(text(name)) + " is not a size: write 500M, 50G or 1T"};
}

Result<uint64_t> Arguments::duration_ns_or(std::string_view name, uint64_t fallback) const {
    if (!given(name)) return fallback;
    auto duration = parse_duration_ns(text(name));
    if (duration) return *duration;
    return Error{ErrorCode::invalid_argument, std::string(name) + " " + quoted(text(name)) + " is not a duration: write 90s, 15m, 2h or 7d"};
}

Result<uint64_t> Arguments::number_or(std::string_view name, uint64_t fallback) const {
    if (!given(name)) return fallback;
    std::string digits = text(name);
    if (digits.starts_with("lsn:")) digits.erase(0, 4);
    uint64_t number = 0;
    bool valid = !digits.empty();
    for (char digit : digits) {
        valid = valid && digit >= '0' && digit <= '9' && number <= (UINT64_MAX - 9) / 10;
        if (valid) number = number * 10 + static_cast<uint64_t>(digit - '0');
    }
    if (valid) return number;
    return Error{ErrorCode::invalid_argument, std::string(name) + " " + quoted(text(name)) + " is not a number"};
}

Result<std::string> Arguments::moment_or(std::string_view name, const char* fallback) const {
    if (!given(name)) return std::string(fallback);
    if (!text(name).empty()) return name_to_text(text(name));
    return Error{ErrorCode::invalid_argument, std::string(name) + " is empty, but a moment is " + moment_help};
}

}  // namespace holdfast::tools
