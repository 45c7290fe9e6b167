#include "replicator/engine/config.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <optional>
#include <set>

#include "base/small_file.h"
#include "base/text.h"
#include "base/toml_table.h"
#include "replicator/trust/peers.h"

namespace holdfast::replicator {

namespace {

using Table = TomlTable;

constexpr uint64_t limit_bytes_min = 1 << 10;

// "sat", "mon-fri", "fri-mon": a bit for each day.
std::optional<uint8_t> parse_days(std::string_view text) {
    constexpr std::string_view names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    const auto day = [&](std::string_view name) { return std::find(std::begin(names), std::end(names), name) - std::begin(names); };
    const size_t dash = text.find('-');
    const auto first = day(text.substr(0, dash)), last = dash == text.npos ? first : day(text.substr(dash + 1));
    if (first == std::ssize(names) || last == std::ssize(names)) return std::nullopt;
    uint8_t days = 0;
    for (auto at = first;; at = (at + 1) % std::ssize(names)) {
        days = static_cast<uint8_t>(days | 1 << at);
        if (at == last) return days;
    }
}

Result<uint64_t> limit_in(const Table& table) {
    const std::string text = HF_TRY(table.text("limit"));
    const auto limit = parse_bytes(text);
    if (!limit || *limit < limit_bytes_min) return table.wrong(quoted(text) + " is no limit; it is bytes a second, as 500K or 10M, and at least " + human_bytes(limit_bytes_min));
    return *limit;
}

Result<uint8_t> hour_in(const Table& table, const char* key) {
    const auto value = table.number(key);
    if (!value || *value < 0 || *value > 24) return table.wrong("`" + std::string(key) + "` must be an hour from 0 to 24");
    return static_cast<uint8_t>(*value);
}

Result<Hours> hours_in(const Table& table) {
    Hours row;
    const std::string days = HF_TRY(table.text("days"));
    const auto bits = parse_days(days);
    if (!bits) return table.wrong(quoted(days) + " names no days; write sat, or mon-fri");
    row.days = *bits;
    row.from = HF_TRY(hour_in(table, "from"));
    row.to = HF_TRY(hour_in(table, "to"));
    if (row.from >= row.to) return table.wrong("`from` must be before `to`; what goes past midnight is two rows");
    return row;
}

Result<HoursLimit> hours_row(const Table& table) {
    HF_TRY(table.knows_only({"days", "from", "to", "limit"}));
    const Hours hours = HF_TRY(hours_in(table));
    const uint64_t limit = HF_TRY(limit_in(table));
    return HoursLimit{hours, limit};
}

Result<Schedule> schedule_in(const Table& table) {
    Schedule schedule;
    for (const Table& row : HF_TRY(table.rows("schedule", edges_max))) {
        HF_TRY(row.knows_only({"days", "from", "to"}));
        schedule.windows.push_back(HF_TRY(hours_in(row)));
    }
    if (table.has("schedule") && schedule.windows.empty()) return table.wrong("`schedule` has no hours, so nothing would ever be sent; without it everything is");
    if (!table.has("except")) return schedule;
    for (const std::string& text : HF_TRY(table.texts("except"))) {
        const auto date = parse_date(text);
        if (!date) return table.wrong(quoted(text) + " is no date; write 2026-12-24");
        schedule.except.push_back(*date);
    }
    return schedule;
}

Result<uint32_t> streams_in(const Table& table) {
    const auto streams = table.number("streams");
    if (!streams || *streams < 1 || *streams > streams_max) return table.wrong("`streams` must be a number of connections from 1 to " + std::to_string(streams_max));
    return static_cast<uint32_t>(*streams);
}

Result<SendRule> send_rule(const Table& table) {
    HF_TRY(table.knows_only({"volume", "to", "limit", "hours", "schedule", "except", "streams"}));
    SendRule rule;
    rule.volume = HF_TRY(table.text("volume"));
    rule.to = HF_TRY(table.text("to"));
    if (Status named = check_peer_name(rule.to); !named) return table.wrong(named.error().message);
    if (table.has("limit")) rule.limits.bytes_per_second = HF_TRY(limit_in(table));
    for (const Table& row : HF_TRY(table.rows("hours", edges_max))) rule.limits.hours.push_back(HF_TRY(hours_row(row)));
    rule.schedule = HF_TRY(schedule_in(table));
    if (table.has("streams")) rule.streams = HF_TRY(streams_in(table));
    return rule;
}

Result<uint64_t> verify_in(const Table& table) {
    const std::string text = HF_TRY(table.text("verify"));
    const auto rate = parse_bytes(text);
    if (!rate || (*rate != 0 && *rate < verify_bytes_per_second_min))
        return table.wrong(quoted(text) + " is nothing to verify at; it is bytes a second, as 500K or 10M, at least " + human_bytes(verify_bytes_per_second_min) + ", or 0 for never");
    return *rate;
}

Result<KeepRule> keep_rule(const Table& table) {
    HF_TRY(table.knows_only({"volume", "from", "store", "directory", "replace_contents", "delay", "accept_deletions", "trust_times", "verify"}));
    KeepRule rule;
    rule.from = HF_TRY(table.text("from"));
    rule.store = HF_TRY(table.text("store"));
    const std::string id = HF_TRY(table.text("volume"));
    const auto volume = journal::parse_volume_id(id);
    if (!volume) return table.wrong(quoted(id) + " is no volume id; `holdfast status` on the source shows it");
    rule.volume = *volume;
    if (Status named = check_peer_name(rule.from); !named) return table.wrong(named.error().message);
    if (!rule.store.starts_with('/')) return table.wrong("`store` must be an absolute path");
    if (table.has("directory")) {
        rule.directory = HF_TRY(table.text("directory"));
        if (!rule.directory.starts_with('/')) return table.wrong("`directory` must be an absolute path");
    }
    rule.replace_contents = HF_TRY(table.flag("replace_contents"));
    if (rule.replace_contents && rule.directory.empty()) return table.wrong("`replace_contents` says what may be done with the `directory`, and there is none");
    rule.accept_deletions = HF_TRY(table.flag("accept_deletions"));
    rule.trust_times = HF_TRY(table.flag("trust_times"));
    if (table.has("verify")) rule.verify = HF_TRY(verify_in(table));
    if (!table.has("delay")) return rule;
    const std::string delay = HF_TRY(table.text("delay"));
    const auto delay_ns = parse_duration_ns(delay);
    if (!delay_ns) return table.wrong(quoted(delay) + " is no delay; it is a time as 90s, 15m, 2h or 7d");
    rule.delay_ns = *delay_ns;
    return rule;
}

Result<PeerRule> peer_rule(const Table& table) {
    HF_TRY(table.knows_only({"name", "control"}));
    PeerRule rule;
    rule.name = HF_TRY(table.text("name"));
    if (Status named = check_peer_name(rule.name); !named) return table.wrong(named.error().message);
    const std::string control = HF_TRY(table.text("control"));
    const auto right = parse_control_right(control);
    if (!right) return table.wrong(quoted(control) + " is no right; there are none, view, operate");
    rule.control = *right;
    return rule;
}

// What goes into a mail's envelope and head, where a space or the end of a line would be somebody else's word.
bool is_mail_address(const std::string& text) {
    const size_t at = text.find('@');
    return at != text.npos && at > 0 && at + 1 < text.size() && std::none_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f || c == '<' || c == '>'; });
}

Result<MailRule> mail_rule(const Table& table) {
    HF_TRY(table.knows_only({"to", "from", "server"}));
    MailRule mail;
    mail.to = HF_TRY(table.text("to"));
    mail.from = HF_TRY(table.text("from"));
    mail.server = HF_TRY(table.text("server"));
    for (const std::string& address : {mail.to, mail.from})
        if (!is_mail_address(address)) return table.wrong(quoted(address) + " is no mail address; write name@host");
    const size_t scheme = mail.server.find("://");
    const bool is_known = scheme == mail.server.npos || mail.server.starts_with("smtp://") || mail.server.starts_with("smtps://");
    if (!is_known || std::any_of(mail.server.begin(), mail.server.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; }))
        return table.wrong(quoted(mail.server) + " is no mail server; write host, host:port or smtps://host");
    return mail;
}

Result<NotifyRule> notify_rule(const Table& table) {
    HF_TRY(table.knows_only({"min_severity", "exec", "webhook", "mail"}));
    NotifyRule rule;
    const std::string least = HF_TRY(table.text("min_severity", to_string(rule.least)));
    const auto severity = parse_severity(least);
    if (!severity) return table.wrong(quoted(least) + " is no severity; there are info, warning, error");
    rule.least = *severity;
    if (table.has("exec") + table.has("webhook") + table.has("mail") != 1) return table.wrong("one of `exec`, `webhook` and `mail` says how, and each way is a [[notify]] of its own");
    if (table.has("exec")) {
        rule.exec = HF_TRY(table.texts("exec"));
        if (!rule.exec.front().starts_with('/')) return table.wrong("`exec` begins with a program's absolute path");
    } else if (table.has("webhook")) {
        rule.webhook = HF_TRY(table.text("webhook"));
        if (!rule.webhook.starts_with("https://") && !rule.webhook.starts_with("http://")) return table.wrong("`webhook` must begin with https:// or http://");
    } else {
        const Table mail = HF_TRY(table.table("mail"));
        rule.mail = HF_TRY(mail_rule(mail));
    }
    return rule;
}

// The same for the same place, however it is written.
std::string place_of(const std::string& path) {
    return std::filesystem::path(path + "/").lexically_normal().string();
}

// A replica is sent on, but not to where it comes from, and not to one peer twice under two names.
Status check_onward(const Config& config, const Table& top) {
    for (const KeepRule& keep : config.keep) {
        std::set<std::string> peers;
        for (const SendRule& send : config.send) {
            if (!sends_on(send, keep)) continue;
            if (send.to == keep.from) return top.wrong("[[send]] gives volume " + quoted(send.volume) + " to " + quoted(send.to) + ", from where a [[keep]] takes it; a replica is sent on to a third host");
            if (!peers.insert(send.to).second) return top.wrong("the replica in " + quoted(keep.store) + " is sent to " + quoted(send.to) + " twice, under two names");
        }
    }
    return ok();
}

std::string host_name() {
    char name[HOST_NAME_MAX + 1] = {};
    return ::gethostname(name, sizeof name - 1) == 0 && name[0] != 0 ? name : "holdfast";
}

}  // namespace

ControlRight Config::control_of(std::string_view peer) const {
    const auto rule = std::find_if(peers.begin(), peers.end(), [&](const PeerRule& one) { return one.name == peer; });
    return rule == peers.end() ? ControlRight::none : rule->control;
}

bool sends_on(const SendRule& send, const KeepRule& keep) {
    if (const auto id = journal::parse_volume_id(send.volume)) return *id == keep.volume;
    const std::string place = place_of(send.volume);
    return place == place_of(keep.store) || place == place_of(keep.store + "/image");
}

Result<Config> parse_config(std::string_view text, const std::string& where) {
    const TomlText parsed = HF_TRY(TomlText::parse(text, where));
    const Table top = parsed.top();
    HF_TRY(top.knows_only({"name", "listen", "address", "send", "keep", "peer", "notify"}));
    Config config;
    config.name = HF_TRY(top.text("name", host_name().c_str()));
    if (Status named = check_peer_name(config.name); !named) return top.wrong(named.error().message);
    for (const auto& [key, value] : {std::pair{"listen", &config.listen}, std::pair{"address", &config.address}}) {
        if (!top.has(key)) continue;
        *value = HF_TRY(top.text(key));
        if (Status fits = check_peer_address(*value); !fits) return top.wrong(fits.error().message);
    }
    std::set<std::pair<std::string, std::string>> sent;
    for (const Table& table : HF_TRY(top.rows("send", edges_max))) {
        config.send.push_back(HF_TRY(send_rule(table)));
        if (!sent.emplace(config.send.back().volume, config.send.back().to).second) return table.wrong("the same is written twice");
    }
    std::set<std::string> kept, stores;
    for (const Table& table : HF_TRY(top.rows("keep", edges_max))) {
        config.keep.push_back(HF_TRY(keep_rule(table)));
        if (!kept.insert(journal::to_string(config.keep.back().volume)).second) return table.wrong("a volume is kept once on a host");
        if (!stores.insert(place_of(config.keep.back().store)).second) return table.wrong("a store holds one volume");
        const std::string& directory = config.keep.back().directory;
        if (!directory.empty() && !stores.insert(place_of(directory)).second) return table.wrong("a directory stands by for one volume, and is no store");
    }
    std::set<std::string> peers;
    for (const Table& table : HF_TRY(top.rows("peer", edges_max))) {
        config.peers.push_back(HF_TRY(peer_rule(table)));
        if (!peers.insert(config.peers.back().name).second) return table.wrong("what a peer may is written once");
    }
    for (const Table& table : HF_TRY(top.rows("notify", edges_max))) {
        const NotifyRule rule = HF_TRY(notify_rule(table));
        if (std::find(config.notify.begin(), config.notify.end(), rule) != config.notify.end()) return table.wrong("the same is written twice");
        if (config.notify.size() == notify_rules_max) return table.wrong("more than " + std::to_string(notify_rules_max) + " of [[notify]]");
        config.notify.push_back(rule);
    }
    HF_TRY(check_onward(config, top));
    if (!config.keep.empty() && config.listen.empty()) return top.wrong("a host that keeps replicas must `listen`: their sources call it");
    return config;
}

Result<std::string> read_config(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file && errno == ENOENT) return Error{ErrorCode::not_found, "there is no configuration " + quoted(path) + "; docs/engine.md shows one to begin with"};
    if (!file) return errno_error(errno, "read " + quoted(path));
    return read_config(file.get(), path);
}

// What could not be read to its end is no shorter configuration: each line that is missing would end a replica. A directory can be
// opened, and fails here.
Result<std::string> read_config(int fd, const std::string& path) {
    auto text = read_text(fd, config_bytes_max + 1);
    if (!text) return errno_error(text.error().sys_errno, "read " + quoted(path));
    if (text->size() > config_bytes_max) return Error{ErrorCode::invalid_argument, quoted(path) + " is longer than a configuration can be"};
    return text;
}

Result<Config> load_config(const std::string& path) {
    const std::string text = HF_TRY(read_config(path));
    return parse_config(text, path);
}

}  // namespace holdfast::replicator
