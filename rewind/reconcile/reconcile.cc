#include "rewind/reconcile/reconcile.h"

#include <algorithm>

#include "base/text.h"
#include "rewind/image.h"
#include "rewind/reconcile/backing_tree.h"
#include "rewind/reconcile/first_copy.h"
#include "rewind/reconcile/journal_target.h"
#include "rewind/reconcile/orphans.h"
#include "rewind/reconcile/tree_bytes.h"
#include "rewind/reconcile/tree_repair.h"
#include "rewind/store.h"

namespace holdfast::rewind {

namespace {

using journal::Action;

constexpr uint64_t apply_batch_bytes = 8 << 20;

// The journal as recovery left it, opened for reading and, should it be needed, for going on.
struct SealedJournal {
    std::unique_ptr<Disk> disk;
    std::unique_ptr<journal::InflightTable> table;
    std::unique_ptr<journal::Reader> reader;
    journal::Survey survey;
    journal::RepairReport repaired;
};

Result<SealedJournal> open_journal(const journal::Volume& volume) {
    SealedJournal sealed;
    sealed.disk = HF_TRY(open_disk(volume.journal_directory));
    sealed.table = HF_TRY(journal::InflightTable::open(volume.journal_directory + "/inflight", volume.id));
    auto cursor_disk = HF_TRY(open_disk(volume.journal_directory + "/cursors"));
    const auto hints = HF_TRY(journal::survey_hints(*cursor_disk, volume.id, *sealed.table));
    sealed.survey = HF_TRY(journal::survey(*sealed.disk, volume.id, volume.segment_bytes, hints));
    const auto decision = journal::decide(sealed.survey, sealed.table->survived(), true);
    if (decision.action == Action::refuse) return Error{ErrorCode::corrupt, decision.sentence};
    // Recovery has been here before, so there is nothing to settle; this only tells where the stream goes on.
    const auto settle = [](const journal::Slot&, const journal::Record&) -> Result<std::optional<journal::Record>> {
        return Error{ErrorCode::busy, "the journal has operations in flight; recovery must settle them first"};
    };
    sealed.repaired = HF_TRY(journal::repair(*sealed.disk, volume.id, volume.segment_bytes, sealed.survey, *sealed.table,
                                             settle, hints));
    // Without the table: everything whole in a sealed journal may be read.
    sealed.reader = std::make_unique<journal::Reader>(*sealed.disk, volume.id, volume.segment_bytes, nullptr);
    return sealed;
}

// One reconciliation from the opened store on.
class Reconciliation {
public:
    Reconciliation(const journal::Volume& volume, BackingTree& tree, const ReconcileOptions& options,
                   const Clock& clock, SealedJournal& sealed, Store& store)
        : volume_(volume), tree_(tree), options_(options), clock_(clock), sealed_(sealed), store_(store) {}

    Result<ReconcileEvidence> run() {
        const uint64_t started = clock_.monotonic_ns();
        HF_TRY(store_.first_copy_pending() ? copy() : compare());
        evidence_.seconds = static_cast<double>(clock_.monotonic_ns() - started) / 1e9;
        return evidence_;
    }

private:
    Status copy();
    Status compare();
    // At the start of a segment, below its header, so that no record can have this address.
    journal::Lsn next_segment() const { return sealed_.repaired.stream_end.next_segment * volume_.segment_bytes; }
    Status apply_all();
    GapStory story() const;
    Result<CompareScope> scope() const;
    Status collect_touched(std::unordered_set<ObjectId>& touched) const;
    Status repair(JournalTarget& target, const CompareScope& scope, const TreeRepairOptions& options);

    const journal::Volume& volume_;
    BackingTree& tree_;
    const ReconcileOptions& options_;
    const Clock& clock_;
    SealedJournal& sealed_;
    Store& store_;
    ReconcileEvidence evidence_;
    bool is_gap_open_ = false;      // the journal ends inside of a gap
    bool lost_its_place_ = false;   // the store knows more of the stream than the journal holds
};

Status Reconciliation::copy() {
    evidence_.mode = "first copy";
    auto sink = store_.baseline();
    const FirstCopyReport report = HF_TRY(first_copy(tree_, *sink, store_.image(), clock_, options_.progress));
    // History begins where the next record will stand.
    HF_TRY(store_.finish_first_copy(next_segment()));
    evidence_.objects_examined = report.objects;
    evidence_.bytes_moved = report.bytes;
    evidence_.sentence = std::to_string(report.objects) + " objects and " + human_bytes(report.bytes) + " were copied";
    if (report.already_there > 0)
        evidence_.sentence += ", " + std::to_string(report.already_there) + " were there from an interrupted copy";
    return ok();
}

Status Reconciliation::apply_all() {
    journal::Lsn from = store_.applied();
    const journal::Lsn end = sealed_.repaired.end;
    if (from > sealed_.repaired.dropped_from) {
        lost_its_place_ = true;
        from = std::max(from, end);
    }
    // The stream must not use an address twice: should the store be ahead of the journal, the journal skips.
    if (from > end) {
        lost_its_place_ = true;
        auto& next = sealed_.repaired.stream_end.next_segment;
        next = std::max(next, (from + volume_.segment_bytes - 1) / volume_.segment_bytes);
        from = next * volume_.segment_bytes;
    }
    if (lost_its_place_) HF_TRY(store_.skip_to(from));
    sealed_.reader->seek(from);
    while (const uint64_t bytes = HF_TRY(store_.apply(*sealed_.reader, apply_batch_bytes))) {
        evidence_.records_applied_bytes += bytes;
        if (options_.progress && !options_.progress({0, evidence_.records_applied_bytes, 0, 0}))
            return Error{ErrorCode::unavailable, "applying the journal was asked to stop; it will be continued"};
    }
    const Status moment = store_.check_moment(store_.applied());
    is_gap_open_ = !moment && moment.error().code == ErrorCode::gap;
    return ok();
}

GapStory Reconciliation::story() const {
    GapStory story;
    story.since_ns = sealed_.survey.last_time_ns;
    story.is_open = is_gap_open_;
    if (options_.after == Action::compare_suspects) {
        story.reason = HF_GAP_HOST_CRASH;
        story.sentence = "the host stopped while the directory was protected";
    } else if (options_.after == Action::compare_everything || lost_its_place_) {
        story.reason = HF_GAP_JOURNAL_DAMAGED;
        story.sentence = "the journal lost records that it had held";
    } else {
        story.reason = HF_GAP_NOT_MOUNTED;
        story.sentence = "the directory was changed while it was not protected";
    }
    return story;
}

Result<CompareScope> Reconciliation::scope() const {
    CompareScope scope;
    const uint64_t last = sealed_.survey.last_time_ns;
    // Behind the journal's last word the clock says nothing about what came later.
    const bool clock_is_wrong = clock_.realtime_ns() < last || last == 0;
    scope.everything =
        options_.after == Action::compare_everything || is_gap_open_ || lost_its_place_ || clock_is_wrong;
    scope.ctime_from_ns = static_cast<int64_t>(last - std::min(last, ctime_margin_ns));
    if (options_.after == Action::compare_suspects && !scope.everything) {
        scope.ctime_from_ns = static_cast<int64_t>(last - std::min(last, crash_tail_ns));
        HF_TRY(collect_touched(scope.touched));
    }
    return scope;
}

Status Reconciliation::collect_touched(std::unordered_set<ObjectId>& touched) const {
    const uint64_t from_ns = sealed_.survey.last_time_ns - std::min(sealed_.survey.last_time_ns, crash_tail_ns);
    const auto lsn = HF_TRY(store_.index().lsn_at_time(from_ns));
    const UndoAddress address = HF_TRY(store_.index().undo_address_at(lsn.value_or(store_.window_begin())));
    return store_.undo_log().scan(address, [&](const UndoRecord& record) {
        if (record.time_ns >= from_ns && record.object) touched.insert(record.object);
        return true;
    });
}

Status Reconciliation::compare() {
    HF_TRY(apply_all());
    TreeRepairOptions options;
    const CompareScope scope = HF_TRY(this->scope());
    options.deletion_brake = options_.accept_deletions ? 0 : deletion_brake_objects;
    evidence_.mode = scope.everything ? "everything" : "suspects";
    const JournalPlace place{volume_, *sealed_.disk, *sealed_.table, clock_, sealed_.repaired.stream_end};
    JournalTarget target(place, store_, *sealed_.reader, story());
    // After a clean close the filter has said itself which nameless objects ended.
    if (options_.after != Action::resume && options_.after != Action::start_fresh)
        HF_TRY(end_orphans(store_, target));
    HF_TRY(target.settle());
    const bool needs_gap = options_.after == Action::compare_suspects ||
                           options_.after == Action::compare_everything || lost_its_place_;
    if (needs_gap) HF_TRY(target.open_gap());
    return repair(target, scope, options);
}

Status Reconciliation::repair(JournalTarget& target, const CompareScope& scope, const TreeRepairOptions& options) {
    RepairLedger ledger(target, options_.progress);
    TreeBytes bytes(ledger, scope);
    TreeRepair tree(tree_, ledger, bytes, options);
    auto repaired = tree.run();
    if (!repaired) {
        // What was repaired until here is applied now or at the next start; the gap stays open and says so.
        return std::move(repaired).error();
    }
    HF_TRY(target.close_gap());
    evidence_.objects_examined = ledger.objects();
    evidence_.bytes_compared = ledger.bytes_compared();
    evidence_.repairs = ledger.repairs();
    evidence_.bytes_moved = ledger.bytes_written();
    evidence_.objects_removed = tree.removed();
    evidence_.files_compared = bytes.files_compared();
    evidence_.gap_begin = target.gap_begin();
    evidence_.gap_end = target.gap_end();
    evidence_.sentence = std::to_string(evidence_.objects_examined) + " objects were compared, " +
                         human_bytes(evidence_.bytes_compared) + " of them byte by byte; " +
                         (evidence_.repairs ? std::to_string(evidence_.repairs) + " repairs were recorded"
                                            : std::string("nothing differed"));
    return ok();
}

}  // namespace

Result<ReconcileEvidence> reconcile_volume(const journal::Volume& volume, int backing_fd,
                                           const ReconcileOptions& options, const Clock& clock) {
    if (options.after == Action::refuse)
        return Error{ErrorCode::invalid_argument, "journal recovery refused to go on, so there is nothing to compare"};
    BackingTree tree = HF_TRY(BackingTree::open(backing_fd, volume.origin, volume.left_out, options.open_directory));
    SealedJournal sealed = HF_TRY(open_journal(volume));
    const auto store = HF_TRY(Store::open(volume, *sealed.reader, clock));
    return Reconciliation(volume, tree, options, clock, sealed, *store).run();
}

Result<Action> parse_action(std::string_view text) {
    for (const Action action : {Action::start_fresh, Action::resume, Action::settle_in_flight, Action::compare_suspects,
                                Action::compare_everything, Action::refuse}) {
        if (text == journal::action_name(action)) return action;
    }
    return Error{ErrorCode::invalid_argument, quoted(text) + " is no outcome of journal recovery"};
}

Json to_json(const ReconcileEvidence& evidence) {
    return Json{{"mode", evidence.mode},
                {"sentence", evidence.sentence},
                {"objects_examined", evidence.objects_examined},
                {"files_compared", evidence.files_compared},
                {"bytes_compared", evidence.bytes_compared},
                {"repairs", evidence.repairs},
                {"bytes_moved", evidence.bytes_moved},
                {"objects_removed", evidence.objects_removed},
                {"records_applied_bytes", evidence.records_applied_bytes},
                {"gap_begin", evidence.gap_begin},
                {"gap_end", evidence.gap_end},
                {"seconds", evidence.seconds}};
}

}  // namespace holdfast::rewind
