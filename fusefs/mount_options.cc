#include "fusefs/mount_options.h"

#include <sys/mount.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/text.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

namespace holdfast::fusefs {
namespace {

constexpr const char* usage =
    "usage: mount -t fuse.holdfast STORE DIRECTORY [-o OPTIONS]; for measuring: -o null_filter with any source";

struct FlagOption {
    std::string_view name;
    unsigned long set, clear;
};

constexpr FlagOption flag_options[] = {
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"nosuid", MS_NOSUID, 0},
    {"suid", 0, MS_NOSUID},
    {"nodev", MS_NODEV, 0},
    {"dev", 0, MS_NODEV},
    {"noexec", MS_NOEXEC, 0},
    {"exec", 0, MS_NOEXEC},
    {"nosymfollow", MS_NOSYMFOLLOW, 0},
    {"symfollow", 0, MS_NOSYMFOLLOW},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"dirsync", MS_DIRSYNC, 0},
    {"noatime", MS_NOATIME, 0},
    {"atime", 0, MS_NOATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"diratime", 0, MS_NODIRATIME},
    {"relatime", MS_RELATIME, 0},
    {"norelatime", 0, MS_RELATIME},
    {"strictatime", MS_STRICTATIME, 0},
    {"nostrictatime", 0, MS_STRICTATIME},
    {"lazytime", MS_LAZYTIME, 0},
    {"nolazytime", 0, MS_LAZYTIME},
    {"mand", 0, 0},  // mandatory locks left the kernel in 5.15; these two are accepted as mount(8) does
    {"nomand", 0, 0},
    {"silent", MS_SILENT, 0},
    {"loud", 0, MS_SILENT},
};

// Meant for fstab, the init system or mount(8) itself, or always true of this file system.
constexpr std::string_view ignored_options[] = {
    "defaults", "auto",    "noauto", "_netdev", "nofail", "user",  "nouser",  "users",       "nousers",
    "owner",    "noowner", "group",  "nogroup", "loop",   "quiet", "noquota", "allow_other", "default_permissions",
};

constexpr std::string_view ignored_prefixes[] = {"x-", "X-", "comment=", "helper=", "uhelper="};

struct SwitchOption {
    std::string_view name;
    bool MountOptions::* member;
};

constexpr SwitchOption switch_options[] = {
    {"null_filter", &MountOptions::null_filter},
    {"allow_bypass", &MountOptions::allow_bypass},
    {"accept_deletions", &MountOptions::accept_deletions},
    {"remount", &MountOptions::remount},
};

Error invalid(std::string sentence) {
    return {ErrorCode::invalid_argument, std::move(sentence)};
}

Result<unsigned> parse_threads(std::string_view text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 1 || value > filter_threads_max)
        return invalid("threads=" + quoted(text) + " is not a number from 1 to " + std::to_string(filter_threads_max));
    return value;
}

bool is_ignored(std::string_view option) {
    return std::find(std::begin(ignored_options), std::end(ignored_options), option) != std::end(ignored_options) ||
           std::any_of(std::begin(ignored_prefixes), std::end(ignored_prefixes),
                       [&](std::string_view prefix) { return option.starts_with(prefix); });
}

Status apply_option(MountOptions& options, std::string_view option) {
    for (const FlagOption& row : flag_options)
        if (row.name == option) {
            options.flags = (options.flags | row.set) & ~row.clear;
            return ok();
        }
    for (const SwitchOption& row : switch_options)
        if (row.name == option) {
            options.*row.member = true;
            return ok();
        }
    if (option.starts_with("threads=")) {
        options.threads = HF_TRY(parse_threads(option.substr(8)));
        return ok();
    }
    if (option.empty() || is_ignored(option) || options.sloppy) return ok();
    return invalid("the mount option " + quoted(option) + " is not known; remove it, or mount with -s to ignore it");
}

// At commas, those between double quotes apart (mount(8) passes values such as contexts quoted).
std::vector<std::string> split_options(std::string_view text) {
    std::vector<std::string> parts(1);
    bool in_quotes = false;
    for (const char c : text) {
        if (c == '"') in_quotes = !in_quotes;
        if (c == ',' && !in_quotes)
            parts.emplace_back();
        else
            parts.back() += c;
    }
    return parts;
}

// Takes the words apart: positions go to POSITIONAL, option words to WORDS. -s counts wherever it stands.
Status sort_arguments(const std::vector<std::string>& arguments, MountOptions& options,
                      std::vector<std::string>& positional, std::vector<std::string>& words) {
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (argument.size() < 2 || argument[0] != '-') {
            positional.push_back(argument);
            continue;
        }
        for (size_t at = 1; at < argument.size(); ++at) {
            const char letter = argument[at];
            if (letter == 's') options.sloppy = true;
            else if (letter == 'f') options.fake = true;
            else if (letter == 'v') options.verbose = true;
            else if (letter == 'n') continue;  // no mtab is written in any case
            else if (letter == 'o' || letter == 't' || letter == 'N') {
                const bool attached = at + 1 < argument.size();
                if (!attached && i + 1 == arguments.size())
                    return invalid(std::string("-") + letter + " needs a value; " + usage);
                const std::string value = attached ? argument.substr(at + 1) : arguments[++i];
                if (letter == 'N') return invalid("mounting into another namespace (-N) is not supported; enter it with nsenter first");
                if (letter == 'o')
                    for (std::string& word : split_options(value)) words.push_back(std::move(word));
                break;
            } else {
                return invalid("the argument " + quoted(argument) + " is not known; " + usage);
            }
        }
    }
    return ok();
}

}  // namespace

Result<MountOptions> parse_mount_options(const std::vector<std::string>& arguments) {
    MountOptions options;
    std::vector<std::string> positional, words;
    HF_TRY(sort_arguments(arguments, options, positional, words));
    for (const std::string& word : words) HF_TRY(apply_option(options, word));
    if (positional.size() != 2)
        return invalid("a source and a directory are needed, " + std::to_string(positional.size()) + " were given; " + usage);
    options.source = positional[0];
    options.directory = positional[1];
    return options;
}

}  // namespace holdfast::fusefs
