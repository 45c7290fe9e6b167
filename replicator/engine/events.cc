#include "replicator/engine/events.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/text.h"

namespace holdfast::replicator {

namespace {

// The rows of docs/events.md.
constexpr EventKind kinds[] = {
    {EventCode::replica_served, Severity::info, "Volume {volume} is being sent to {peer}."},
    {EventCode::replica_lost, Severity::warning, "Volume {volume} is not being sent to {peer}: {why}. It is tried again."},
    {EventCode::replica_refused, Severity::error, "Volume {volume} cannot be sent to {peer} as things are, and somebody must look: {why}."},
    {EventCode::replica_superseded, Severity::error, "Another host writes volume {volume}, {why}; nothing more is sent to {peer} from here."},
    {EventCode::replica_compared, Severity::warning, "The replica of volume {volume} on {peer} is compared with its source and what differs is repaired: {why}."},
    {EventCode::replica_made_equal, Severity::info, "The replica of volume {volume} on {peer} was made equal to its source, with {why}."},
    {EventCode::repair_broken_off, Severity::warning, "The comparison of volume {volume} with its replica on {peer} was broken off: {why}. It begins again."},
    {EventCode::journal_filling, Severity::warning, "The journal of volume {volume} is filling, because {peer} does not take it: {why}."},
    {EventCode::journal_kept_for_nobody, Severity::warning,
     "The journal of {volume} is kept for a replica on {peer}, to which the configuration sends nothing; `holdfast replica forget` ends that."},
    {EventCode::replica_rests, Severity::info, "Volume {volume} is not sent to {peer} for now: {why}."},
    {EventCode::replica_found_different, Severity::error, "The replica of volume {volume} on {peer} is not equal to its source: {why}."},
    {EventCode::volume_alone, Severity::warning, "No replica of volume {volume} keeps up or answers: {why}."},
    {EventCode::volume_accompanied, Severity::info, "Volume {volume} does not go without a replica any more: {why}."},
    {EventCode::history_paused, Severity::error, "The history of {volume} is paused: {why}."},
    {EventCode::history_goes_on, Severity::info, "The history of {volume} goes on: {why}."},
    {EventCode::history_needs_mount, Severity::error, "The history of {volume} stays paused until it is mounted again: {why}."},
    {EventCode::source_connected, Severity::info, "The replica in {store} has its source {peer}."},
    {EventCode::source_lost, Severity::warning, "The replica in {store} lost its source {peer}: {why}."},
    {EventCode::replica_unusable, Severity::error, "The replica in {store} cannot be kept: {why}."},
    {EventCode::store_died, Severity::warning, "The store service of the replica in {store} {why}; it is started again."},
    {EventCode::replica_goes_back, Severity::warning, "The source {peer} has another history than the replica in {store} {why}; the replica goes back to there."},
    {EventCode::repair_begins, Severity::warning, "The replica in {store} is compared with its source {peer} and what differs is repaired."},
    {EventCode::repair_done, Severity::info, "The replica in {store} was made equal to its source {peer}: {why}."},
    {EventCode::repair_failed, Severity::warning, "The comparison of the replica in {store} with its source {peer} was broken off: {why}. It begins again."},
    {EventCode::source_rests, Severity::info, "The replica in {store} gets nothing from {peer} for now: {why}."},
    {EventCode::replica_differs, Severity::error, "The replica in {store} is not equal to its source {peer}: {why}."},
    {EventCode::standby_stands_still, Severity::error, "The standby directory of the replica in {store} does not follow: {why}."},
    {EventCode::standby_follows, Severity::info, "The standby directory of the replica in {store} follows again: {why}."},
    {EventCode::paired, Severity::info, "Paired with {peer}: {why}."},
    {EventCode::pairing_failed, Severity::warning, "A pairing failed: {why}."},
    {EventCode::peer_revoked, Severity::warning, "Peer {peer} is not trusted any more."},
    {EventCode::stranger_refused, Severity::warning, "A connection from {peer} came to nothing: {why}."},
    {EventCode::key_rotation_begins, Severity::info, "This host will show another key, and its peers are told: {why}."},
    {EventCode::key_adopted, Severity::info, "This host shows its new key: {why}."},
    {EventCode::peer_without_key, Severity::error, "Peer {peer} did not come in time to learn this host's new key, and refuses it."},
    {EventCode::key_not_adopted, Severity::error, "This host's new key cannot be put in place: {why}. It is tried again."},
    {EventCode::peer_key_kept, Severity::info, "Peer {peer} will show another key, which is accepted beside the old one: {why}."},
    {EventCode::peer_key_retired, Severity::info, "The old key of peer {peer} is not accepted any more: {why}."},
    {EventCode::peer_key_not_kept, Severity::warning, "What peer {peer} says of its next key could not be followed: {why}."},
    {EventCode::control_refused, Severity::warning, "Peer {peer} asked this engine for what it may not have: {why}."},
    {EventCode::control_used, Severity::info, "Peer {peer} had this engine do something: {why}."},
    {EventCode::engine_started, Severity::info, "The engine of {peer} runs: {why}."},
    {EventCode::engine_ends, Severity::info, "The engine ends."},
    {EventCode::configuration_taken, Severity::info, "The configuration was read again."},
    {EventCode::configuration_refused, Severity::error, "The configuration was not taken, the old one goes on: {why}."},
    {EventCode::maintenance_prepared, Severity::info, "This host is in maintenance: its streams are at rest and it can be rebooted."},
    {EventCode::maintenance_done, Severity::info, "This host's maintenance is done, its streams go on."},
    {EventCode::maintenance_not_prepared, Severity::warning, "This host is not in maintenance, its streams go on: {why}."},
};

std::string sentence_of(const EventKind& kind, const EventAbout& about) {
    const struct { std::string_view mark; std::string text; } words[] = {
        {"{volume}", quoted(about.volume)}, {"{peer}", quoted(about.peer)}, {"{store}", quoted(about.store)}, {"{why}", about.why}};
    std::string sentence;
    for (std::string_view rest = kind.pattern; !rest.empty();) {
        const auto* word = std::find_if(std::begin(words), std::end(words), [&](const auto& one) { return rest.starts_with(one.mark); });
        sentence += word == std::end(words) ? std::string(rest.substr(0, 1)) : word->text;
        rest.remove_prefix(word == std::end(words) ? 1 : word->mark.size());
    }
    return sentence;
}

void write_line(const Event& event) {
    const std::string line = to_string(event.code) + " " + event.sentence;
    if (event.severity == Severity::info) log_info(line);
    else if (event.severity == Severity::warning) log_warning(line);
    else log_error(line);
}

}  // namespace

const char* to_string(Severity severity) {
    switch (severity) {
        case Severity::info: return "info";
        case Severity::warning: return "warning";
        case Severity::error: return "error";
    }
    return "unknown";
}

std::optional<Severity> parse_severity(std::string_view text) {
    for (const Severity severity : {Severity::info, Severity::warning, Severity::error})
        if (text == to_string(severity)) return severity;
    return std::nullopt;
}

std::span<const EventKind> event_kinds() {
    return kinds;
}

std::string to_string(EventCode code) {
    return "HF-E-" + std::to_string(static_cast<int>(code));
}

Json to_json(const Event& event) {
    Json json = {{"number", event.number}, {"time_ns", event.time_ns}, {"code", to_string(event.code)}, {"severity", to_string(event.severity)}, {"sentence", event.sentence}};
    const EventAbout& about = event.about;
    const struct { const char* name; const std::string& text; } texts[] = {{"volume", about.volume}, {"peer", about.peer}, {"store", about.store}, {"why", about.why}};
    for (const auto& [name, text] : texts)
        if (!text.empty()) json[name] = text;
    return json;
}

void EventLog::raise(EventCode code, EventAbout about) {
    const auto* kind = std::find_if(std::begin(kinds), std::end(kinds), [&](const EventKind& one) { return one.code == code; });
    HF_CHECK(kind != std::end(kinds));
    std::string sentence = sentence_of(*kind, about);
    const Event event{++last_, clock_.realtime_ns(), code, kind->severity, std::move(sentence), std::move(about)};
    kept_.push_back(event);
    if (kept_.size() > events_max) kept_.pop_front();
    if (!listener_ || !listener_(event)) write_line(event);
}

Json EventLog::after(uint64_t number) const {
    Json events = Json::array();
    for (const Event& event : kept_)
        if (event.number > number) events.push_back(to_json(event));
    return {{"events", events}, {"last", last_}, {"began_ns", began_ns_}};
}

}  // namespace holdfast::replicator
