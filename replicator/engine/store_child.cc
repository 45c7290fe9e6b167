#include "replicator/engine/store_child.h"

#include <fcntl.h>

#include "base/program.h"
#include "base/text.h"
#include "replicator/launch/outside.h"
#include "rewind/replica_store.h"

namespace holdfast::replicator {

namespace {

constexpr int end_ms_max = 30'000, killed_ms_max = 5'000;
constexpr size_t reason_bytes_max = 4 << 10;
constexpr uint32_t source_origin = 1;

struct Pipe { UniqueFd from, to; };
Result<Pipe> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "make a pipe");
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// What a program that has ended said in a few words.
std::string said(const UniqueFd& from) {
    std::string text(reason_bytes_max, '\0');
    const ssize_t got = ::read(from.get(), text.data(), text.size());
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

}  // namespace

Result<StoreChild> StoreChild::start(const KeepRule& rule) {
    Pipe pipe = HF_TRY(make_pipe());
    Started child = HF_TRY(Started::start({.kind = Task::Kind::run_store, .store = rule.store, .number = rule.delay_ns, .standby = rule.directory, .replace_contents = rule.replace_contents}, std::move(pipe.from)));
    return StoreChild(std::move(child), std::move(pipe.to));
}

void StoreChild::end() {
    keep_open_.reset();
    if (child_.wait(end_ms_max)) return;
    child_.kill();
    child_.wait(killed_ms_max);
}

Result<journal::Volume> ensure_store(const std::string& store, const journal::VolumeId& volume, uint64_t segment_bytes) {
    if (Outside::instance() == nullptr) return rewind::make_replica_store(store, volume, segment_bytes, source_origin, 0);
    Pipe pipe = HF_TRY(make_pipe());
    auto child = HF_TRY(Started::start({.kind = Task::Kind::make_store, .store = store, .number = segment_bytes, .volume = volume}, std::move(pipe.to)));
    child.wait(-1);
    if (child.exited_with(0)) return journal::load_volume(store);
    std::string why = said(pipe.from);
    if (why.empty()) why = "the store " + quoted(store) + " could not be made: holdfast-store " + child.describe_end();
    return Error{error_code_of(child.exit_status(), ErrorCode::io), std::move(why)};
}

Status take_store_back(const std::string& store, journal::Lsn at) {
    auto child = HF_TRY(Started::start({.kind = Task::Kind::take_store_back, .store = store, .number = at}));
    child.wait(-1);
    if (child.exited_with(0)) return ok();
    return Error{error_code_of(child.exit_status(), ErrorCode::io),
                 "the store " + quoted(store) + " could not be taken back to lsn " + std::to_string(at) + ": holdfast-store " + child.describe_end() +
                     "; its log has the reason"};
}

}  // namespace holdfast::replicator
