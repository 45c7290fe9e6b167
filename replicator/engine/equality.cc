#include "replicator/engine/equality.h"

#include <algorithm>

#include "base/json.h"
#include "base/small_file.h"

namespace holdfast::replicator {

namespace {

constexpr std::string_view equality_file = "equality";
constexpr size_t equality_bytes_max = 256 << 10;
constexpr uint64_t nanoseconds = 1'000'000'000;

// What is listed, a line for each, as much as fits.
void list(const std::vector<rewind::Difference>& differences, std::string& text) {
    for (const rewind::Difference& one : differences) {
        const std::string line = one.path + ": " + one.what + "\n";
        if (text.size() + line.size() > HF_FRAME_LIST_BYTES_MAX) return;
        text += line;
    }
}

}  // namespace

std::optional<Round> load_equality(Disk& store) {
    const auto text = read_small_file(store, equality_file, equality_bytes_max);
    const Json json = text ? Json::parse(*text, nullptr, false) : Json();
    if (!json.is_object()) return std::nullopt;
    const auto position = rewind::compare_position_of(json.value("position", Json()));
    const auto began_ns = number_at(json, "began_ns"), objects = number_at(json, "objects"), bytes = number_at(json, "bytes"), differences = number_at(json, "differences");
    if (!position || !began_ns || !objects || !bytes || !differences || !json.contains("text") || !json["text"].is_string()) return std::nullopt;
    Round round;
    round.position = *position;
    round.found.began_ns = *began_ns;
    round.found.objects = *objects;
    round.found.bytes = *bytes;
    round.found.differences = *differences;
    round.found.text = json["text"].get<std::string>();
    return round;
}

Status save_equality(Disk& store, const Round& round) {
    const Json json = {{"position", rewind::to_json(round.position)}, {"began_ns", round.found.began_ns}, {"objects", round.found.objects},
                       {"bytes", round.found.bytes}, {"differences", round.found.differences}, {"text", round.found.text}};
    return replace_small_file(store, equality_file, line_of(json));
}

Equality::Equality(Loop& loop, std::string socket, uint64_t bytes_per_second, Events events)
    : loop_(loop), socket_(std::move(socket)), bytes_per_second_(bytes_per_second), events_(std::move(events)), due_ns_(loop.now_ns() + equality_rest_ns) {}

Equality::~Equality() {
    close();
}

Status Equality::ask_here() {
    HF_TRY(status_.ask());
    ask();
    return ok();
}

void Equality::ask() {
    is_asked_ = true;
    due_ns_ = 0;
}

void Equality::tick() {
    const bool is_due = loop_.now_ns() >= due_ns_ && (is_asked_ || bytes_per_second_ > 0);
    if (is_due && !link_ && events_.can_compare()) begin();
}

void Equality::begin() {
    is_answering_ = std::exchange(is_asked_, false);
    has_begun_ = false;
    if (is_answering_) round_ = {};
    Json request = {{"role", "compare"}, {"position", rewind::to_json(round_.position)}};
    if (!is_answering_) request["bytes_max"] = bytes_per_second_ * (equality_part_ns / nanoseconds);
    link_ = SyncLink::open(loop_, socket_, request,
                           {[this](const Json& told) { take(told); }, events_.question, events_.wait_ns, [this](const Error& why) { fail(why.message, true); }});
}

// First the moment, then what was found.
void Equality::take(const Json& told) {
    if (told.contains("compared")) {
        const auto part = rewind::compared_part_of(told["compared"]);
        return part && has_begun_ ? take_part(*part) : fail("the store service told of a comparison in a way that makes no sense", true);
    }
    const auto moment = rewind::moment_of(told);
    if (!moment) return fail(moment.error().message, true);
    if (has_begun_) return fail("the store service told of two moments", true);
    // The session may have ended in between, or a repair begun.
    if (!events_.can_compare()) return fail("the stream was interrupted", true);
    has_begun_ = true;
    moment_ns_ = moment->time_ns;
    events_.begun(moment->at);
}

void Equality::take_part(const rewind::ComparedPart& part) {
    Compared& found = round_.found;
    if (found.began_ns == 0) found.began_ns = moment_ns_;
    found.at = part.at;
    found.time_ns = moment_ns_;
    found.objects += part.objects;
    found.bytes += part.bytes;
    found.differences += part.differences;
    list(part.listed, found.text);
    found.is_whole = part.is_last;
    found.was_asked = is_answering_;
    found.has_failed = false;
    const Compared told = found;
    const uint64_t cost_ns = bytes_per_second_ == 0 ? 0 : (part.bytes + part.objects * rewind::compared_object_cost) * nanoseconds / bytes_per_second_;
    due_ns_ = is_asked_ ? 0 : loop_.now_ns() + std::max(cost_ns, part.is_last ? equality_rest_ns : 0);
    round_.position = part.position;
    if (part.is_last) round_ = {};
    close();
    status_.note(told);
    events_.save(round_);
    events_.ended(told);
}

void Equality::fail(const std::string& why, bool is_told) {
    Compared failed;
    failed.was_asked = is_answering_;
    failed.has_failed = true;
    failed.text = why;
    const bool knows = std::exchange(has_begun_, false);
    // What the source does not know of is tried again.
    if (is_answering_ && !knows && is_told) is_asked_ = true;
    if (knows || !is_told) status_.note(failed);
    due_ns_ = loop_.now_ns() + (is_asked_ ? equality_asked_retry_ns : equality_retry_ns);
    close();
    if (knows && is_told) events_.ended(failed);
}

void Equality::give(ByteSpan answer) {
    if (link_) link_->give(answer);
}

void Equality::broken(const std::string& why) {
    if (link_) fail(why, false);
}

void Equality::abandon() {
    constexpr const char* why = "the stream was interrupted";
    is_asked_ = false;
    if (link_) fail(why, false);
    status_.give_up(why);
}

void Equality::close() {
    if (link_) link_->close();
    link_.reset();
}

}  // namespace holdfast::replicator
