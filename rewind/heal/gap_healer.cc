#include "rewind/heal/gap_healer.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/clock.h"
#include "rewind/heal/touched_repair.h"
#include "rewind/image.h"
#include "rewind/read_directory.h"
#include "rewind/reconcile/orphans.h"

namespace holdfast::rewind {

using journal::HealVerb;

// What the passes of one attempt have in common.
struct GapHealer::Attempt {
    journal::HealPipe& pipe;
    TouchedPlaces& places;
    std::unordered_set<ObjectId> open_in_image;
    std::vector<ViewEntry> left_over;
    HealEvidence evidence;
    ProgressSink progress;
};

namespace {

constexpr auto room_pause = std::chrono::milliseconds(20);

uint64_t now_ns() {
    return system_clock().monotonic_ns();
}

// How much larger than usual the last pass may be.
uint64_t leniency(unsigned passes) {
    return passes <= heal_passes_patient ? 1 : uint64_t{1} << std::min(passes - heal_passes_patient, 6u);
}

}  // namespace

Result<std::optional<HealEvidence>> GapHealer::heal(const Store& store) {
    auto connected = connect_();
    if (!connected && connected.error().code == ErrorCode::unavailable) return std::optional<HealEvidence>();
    journal::HealPipe pipe(HF_TRY(std::move(connected)));
    const auto answer = HF_TRY(pipe.ask(HealVerb::state, {}, heal_answer_ms_max));
    const journal::HealState state = HF_TRY(journal::decode_heal_state(answer));
    if (!state.is_paused || state.is_everything || !state.has_room || state.published > store.applied()) return std::optional<HealEvidence>();

    const uint64_t began_ns = now_ns();
    WorkerPlaces places(pipe);
    Attempt attempt{pipe, places, {}, {}, {}, [this](const WorkProgress&) { return !host_.is_ending(); }};
    for (const ObjectId& object : HF_TRY(open_orphans(store, store.applied()))) attempt.open_in_image.insert(object);
    HF_TRY(look_for_left_over(store, attempt));
    while (!HF_TRY(pass(store, attempt))) {
        if (attempt.evidence.passes == heal_passes_max)
            return Error{ErrorCode::busy, "more was changed than could be compared, " + std::to_string(heal_passes_max) + " times in a row"};
        HF_TRY(wait_for_room(attempt));
    }
    attempt.evidence.seconds = static_cast<double>(now_ns() - began_ns) / 1e9;
    return std::optional(attempt.evidence);
}

// The last pass must not have to wait for room, because everybody waits for it.
Status GapHealer::wait_for_room(Attempt& attempt) const {
    for (const uint64_t began_ns = now_ns(); now_ns() - began_ns < heal_room_wait_ns; std::this_thread::sleep_for(room_pause)) {
        if (host_.is_ending()) return Error{ErrorCode::unavailable, "the store service is ending"};
        const auto answer = HF_TRY(attempt.pipe.ask(HealVerb::state, {}, heal_answer_ms_max));
        const journal::HealState state = HF_TRY(journal::decode_heal_state(answer));
        if (state.has_room) return ok();
    }
    return Error{ErrorCode::no_space, "the journal is full again"};
}

// The place for what was in the way is removed at the end of a pass; one that came to no end has left it.
Status GapHealer::look_for_left_over(const Store& store, Attempt& attempt) const {
    const int top = store.image().root_fd();
    return read_directory(top, [&](const DirectoryEntry& entry) -> Status {
        if (!entry.name.starts_with(staging_name)) return ok();
        const ObjectId object = HF_TRY(store.image().object_of(top, entry.name));
        // One of the directory's own with such a name has an id of this host.
        if (object.origin == 0) attempt.left_over.push_back({entry.name, object, S_IFDIR});
        return ok();
    });
}

// True: the gap has ended.
Result<bool> GapHealer::pass(const Store& store, Attempt& attempt) {
    HealEvidence& evidence = attempt.evidence;
    const uint64_t held_from_ns = now_ns();
    const auto taken = HF_TRY(attempt.pipe.ask(HealVerb::take, {}, heal_answer_ms_max));
    const journal::Touched touched = HF_TRY(journal::decode_touched(taken));
    const TouchedTree tree = HF_TRY(TouchedTree::look(attempt.places, touched, volume_.origin));
    const uint64_t limit = leniency(++evidence.passes);
    const bool is_last = tree.items().size() <= heal_last_objects * limit && tree.bytes() <= heal_last_bytes * limit;
    const auto held = [&] { evidence.held_ns_max = std::max(evidence.held_ns_max, now_ns() - held_from_ns); };
    if (!is_last) {
        HF_TRY(attempt.pipe.ask(HealVerb::let_go, {}, heal_answer_ms_max));
        held();
    }
    HealTarget target(store, attempt.pipe, host_, store.applied());
    if (is_last) target.hurry();
    RepairLedger ledger(target, attempt.progress);
    TouchedBytes bytes(attempt.places, tree, ledger, is_last);
    HF_TRY(TouchedRepair(tree, ledger, bytes, attempt.open_in_image, attempt.left_over).run());
    HF_TRY(is_last ? target.flush() : target.settle());
    evidence.objects += ledger.objects();
    evidence.bytes_compared += ledger.bytes_compared();
    evidence.repairs += ledger.repairs();
    evidence.bytes_written += ledger.bytes_written();
    if (is_last) {
        const auto ended = HF_TRY(attempt.pipe.ask(HealVerb::end_gap, {}, heal_answer_ms_max));
        evidence.gap_end = HF_TRY(journal::decode_lsn(ended));
        held();
        return true;
    }
    HF_TRY(host_.save());
    HF_TRY(attempt.pipe.ask(HealVerb::done, {}, heal_answer_ms_max));
    attempt.open_in_image = tree.nameless();
    attempt.left_over.clear();
    return false;
}

Json to_json(const HealEvidence& evidence) {
    return Json{{"passes", evidence.passes},
                {"objects", evidence.objects},
                {"bytes_compared", evidence.bytes_compared},
                {"repairs", evidence.repairs},
                {"bytes_written", evidence.bytes_written},
                {"held_ns_max", evidence.held_ns_max},
                {"gap_end", evidence.gap_end},
                {"seconds", evidence.seconds}};
}

}  // namespace holdfast::rewind
