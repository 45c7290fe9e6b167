#include "fusefs/capture_service.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/json.h"
#include "base/name_text.h"
#include "base/text.h"
#include "journal/bookmark_name.h"

namespace holdfast::fusefs {
namespace {

constexpr uint32_t room_record_bytes = 256 << 10;

// Of a gap that began because nothing could be recorded; null without one.
Json gap_of(const Capture& capture) {
    if (!capture.filter->in_gap()) return nullptr;
    const Filter::Gap gap = capture.filter->gap();
    const char* state = gap.is_everything ? "until the next mount" : *capture.is_healing ? "healing" : "paused";
    return Json{{"state", state}, {"since_ns", gap.since_ns}, {"objects", gap.objects}};
}

Result<Json> status(const Capture& capture, const Json&) {
    const journal::DurabilityState& state = capture.table->head().acknowledged.state;
    const journal::Durability durability = state.durability();
    return Json{{"durability", journal::to_string(durability.mode)},
                {"when_alone", journal::when_alone_text(durability)},
                {"alone", state.is_alone()},
                {"times_alone", state.times_alone()},
                {"waiting", state.waiting.load()},
                {"pid", ::getpid()},
                {"published", capture.writer->published()},
                {"durable", capture.writer->durable()},
                {"reserved", capture.table->head().reserved.load()},
                {"journal_bytes", capture.writer->used_bytes()},
                {"journal_bytes_max", capture.volume->journal_bytes_max},
                {"in_gap", capture.filter->in_gap() || !capture.bypass.empty()},
                {"gap", gap_of(capture)},
                {"fenced", capture.writer->is_fenced()},
                {"threads", capture.threads},
                {"confined", capture.confined},
                {"session", capture.session}};
}

// Addresses that nobody uses: BYTES, but no more than what leaves the journal's user most of what is free.
Status leave_room(journal::Writer& writer, uint64_t bytes, uint64_t journal_bytes_max) {
    const uint64_t used = writer.used_bytes(), free = used < journal_bytes_max ? journal_bytes_max - used : 0;
    for (uint64_t left = std::min(bytes, free / 4); left >= room_record_bytes; left -= room_record_bytes) {
        const auto place = HF_TRY(writer.reserve(room_record_bytes));
        HF_TRY(writer.abandon(place));
    }
    return ok();
}

Result<Json> bookmark(const Capture& capture, const Json& request) {
    const std::string name = text_to_name(request.at("name").get<std::string>());
    HF_TRY(journal::check_bookmark_name(name));
    if (!capture.bypass.empty())
        return Error{ErrorCode::gap, "the directory is mounted with allow_bypass and can be changed " + capture.bypass +
                                         ", so no moment of this session can be gone back to"};
    HF_TRY(leave_room(*capture.writer, number_or(request, "room", 0), capture.volume->journal_bytes_max));
    const Filter::Cut cut = HF_TRY(capture.filter->cut(name));
    // The catalog names a bookmark by its record's address: the same state as its end, and one number for people.
    return Json{{"lsn", cut.end - journal::encoded_length(journal::Bookmark{name})}, {"time_ns", cut.time_ns}};
}

// The backing tree first: what is published now has changed it already, and a journal that is durable beyond its tree
// is what every host crash leaves anyway.
Result<Json> sync(const Capture& capture, const Json&) {
    HF_TRY(capture.filter->flush_times());
    const journal::Lsn published = capture.writer->published();
    if (::syncfs(capture.backing_fd) != 0) return errno_error(errno, "syncing the file system of " + quoted(capture.volume->directory));
    HF_TRY(capture.writer->sync(published));
    return Json{{"durable", capture.writer->durable()}};
}

// Until the next start; what holds then stands in volume.toml, which is the caller's to write.
Result<Json> set_durability(const Capture& capture, const Json& request) {
    journal::Durability durability;
    durability.mode = HF_TRY(journal::parse_durability_mode(request.at("durability").get<std::string>()));
    durability.degrade_after_ns = HF_TRY(journal::parse_when_alone(request.at("when_alone").get<std::string>()));
    capture.filter->set_durability(durability);
    return Json::object();
}

Result<Json> stop(const Capture& capture, const Json&) {
    capture.stop();
    return Json::object();
}

struct Verb {
    const char* name;
    Result<Json> (*handle)(const Capture&, const Json&);
};
constexpr Verb verbs[] = {{"status", status}, {"bookmark", bookmark}, {"sync", sync}, {"set-durability", set_durability}, {"stop", stop}};

}  // namespace

Result<std::unique_ptr<JsonServer>> serve_capture(const Capture& capture, UnixListener listener) {
    HF_TRY(listener.listen(json_connections_max));
    return JsonServer::start(std::move(listener),
                             [capture](const Json& request, const JsonServer::Progress&) -> Result<Json> {
                                 const std::string verb = request.at("verb").get<std::string>();
                                 for (const Verb& row : verbs)
                                     if (verb == row.name) return row.handle(capture, request);
                                 return Error{ErrorCode::invalid_argument, "the capture worker does not know the verb " + quoted(verb)};
                             });
}

}  // namespace holdfast::fusefs
