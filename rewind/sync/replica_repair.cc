#include "rewind/sync/replica_repair.h"

#include "base/log.h"
#include "base/text.h"
#include "rewind/baseline_sink.h"
#include "rewind/mend_image.h"
#include "rewind/reconcile/first_copy.h"
#include "rewind/reconcile/object_repair.h"
#include "rewind/reconcile/orphans.h"
#include "rewind/reconcile/reconcile.h"
#include "rewind/reconcile/tree_repair.h"
#include "rewind/sync/baseline_target.h"
#include "rewind/sync/catalog.h"
#include "rewind/sync/catalog_copy.h"
#include "rewind/sync/remote_bytes.h"
#include "rewind/sync/store_target.h"

namespace holdfast::rewind {

namespace {

// Pages that are asked for ahead.
constexpr size_t pages_under_way = 4, full_pages_under_way = 8;
constexpr uint64_t page_bytes = 256 << 10;

// The first copy's files.
class RemoteFileCopy final : public FileCopy {
public:
    RemoteFileCopy(RepairLedger& ledger, Questions& questions, const SyncSecret& secret, BaselineSink& sink)
        : ledger_(ledger), bytes_(ledger, questions, secret, [&sink](const RemoteBytes::File& file) { return sink.finish(file.object.id, file.object.attributes, file.xattrs); }) {}

    Status copy(SourceDirectory&, const TreeObject& object, const XattrList& xattrs, bool was_there) override {
        const uint64_t size = was_there ? HF_TRY(ledger_.target().attributes(object.id)).size : 0;
        return bytes_.compare(object, xattrs, size);
    }
    Status finish() override { return bytes_.drain(); }
    uint64_t files() const { return bytes_.files(); }

private:
    RepairLedger& ledger_;
    RemoteBytes bytes_;
};

// Of which files the bytes need not be looked at.
struct Trust {
    bool times = false;  // where size and time of modification are equal
    Lsn shared = 0;      // of both histories: where neither knows of anything since; 0: none
};

// A repair's files. Their bytes come later than everything else about them, so what writing changes is set once more then.
class RemoteFileBytes final : public FileBytes {
public:
    RemoteFileBytes(RepairLedger& ledger, Questions& questions, const SyncSecret& secret, const Index& index, const Trust& trust)
        : ledger_(ledger), index_(index), trust_(trust), bytes_(ledger, questions, secret, [&ledger](const RemoteBytes::File& file) -> Status {
              if (!file.was_changed) return ok();
              HF_TRY(repeat_what_writing_clears(ledger, file.object, file.xattrs));
              return ledger.set_attributes(file.object.id, file.object.attributes, HF_ATTR_MTIME);
          }) {}

    Status fill(SourceDirectory& directory, const TreeObject& object) override {
        XattrList xattrs = HF_TRY(directory.xattrs(object));
        if (object.attributes.size == 0) return repeat_what_writing_clears(ledger_, object, xattrs);
        return bytes_.compare(object, std::move(xattrs), 0);
    }
    Result<bool> compare(SourceDirectory& directory, const TreeObject& object, const ObjectAttributes& seen) override {
        if (object.attributes.size == seen.size && HF_TRY(is_trusted(object, seen))) {
            ++trusted_;
            return false;
        }
        HF_TRY(bytes_.compare(object, HF_TRY(directory.xattrs(object)), seen.size));
        return false;
    }
    Status drain() { return bytes_.drain(); }
    uint64_t files() const { return bytes_.files(); }
    uint64_t trusted() const { return trusted_; }

private:
    Result<bool> is_trusted(const TreeObject& object, const ObjectAttributes& seen) {
        if (trust_.times && object.attributes.mtime_ns == seen.mtime_ns) return true;
        if (!object.is_unchanged || trust_.shared == 0) return false;
        return HF_TRY(index_.events_of(object.id, trust_.shared, 1)).empty();
    }

    RepairLedger& ledger_;
    const Index& index_;
    const Trust trust_;
    uint64_t trusted_ = 0;
    RemoteBytes bytes_;
};

class ReplicaRepair {
public:
    ReplicaRepair(Store& store, Disk& store_disk, std::string store_directory, const RepairPoint& point, SyncLine& line, const RepairOptions& options, const Clock& clock)
        : store_(store), store_disk_(store_disk), store_directory_(std::move(store_directory)), point_(point), options_(options), clock_(clock), questions_(line), secret_(random_secret()) {}

    Result<RepairEvidence> run() {
        const uint64_t started = clock_.monotonic_ns();
        if (HF_TRY(was_reached())) return evidence_;
        if (point_.at <= store_.applied() && !(store_.is_empty() || store_.first_copy_pending()))
            return Error{ErrorCode::unsupported, "the replica's history reaches to address " + std::to_string(store_.applied()) + ", the source's to " + std::to_string(point_.at) +
                                                     ": no repair can be put between the two. Give the replica an empty store, and keep the old one for its history"};
        const auto before = HF_TRY(load_repair_mark(store_disk_));
        const bool is_marked = before && !before->is_complete;
        is_of_everything_ = is_marked && before->is_of_everything;
        trust_.times = options_.trust_times && !is_marked && !store_.is_repairing();
        HF_TRY(begin());
        Catalog catalog = HF_TRY(Catalog::make(store_directory_));
        const bool is_empty = store_.is_empty(), is_at_once = is_empty && version_ >= sync_version_with_bytes;
        if (!is_at_once) {
            HF_TRY(find_shared());
            HF_TRY(fetch(catalog));
        }
        HF_TRY(save_repair_mark(store_disk_, {false, point_, is_of_everything_}));
        if (is_empty) HF_TRY(store_.begin_first_copy());
        HF_TRY(is_at_once ? copy_at_once(catalog) : store_.first_copy_pending() ? copy(catalog) : repair(catalog));
        HF_TRY(save_repair_mark(store_disk_, {true, point_}));
        evidence_.objects = catalog.names();
        evidence_.bytes_received = questions_.bytes_received();
        evidence_.seconds = static_cast<double>(clock_.monotonic_ns() - started) / 1e9;
        evidence_.sentence = std::to_string(evidence_.objects) + " objects, " + human_bytes(evidence_.bytes_compared) + " compared, " + human_bytes(evidence_.bytes_received) +
                             " received, " + human_bytes(evidence_.bytes_written) + " written; " +
                             (evidence_.is_first_copy ? "the replica was filled" : std::to_string(evidence_.repairs) + " repairs, " + std::to_string(evidence_.objects_removed) + " objects removed");
        if (trust_.shared != 0) evidence_.sentence += "; both have the history up to address " + std::to_string(trust_.shared) + ", and of " + std::to_string(evidence_.files_trusted) + " files neither changed since";
        if (!mended_.empty()) evidence_.sentence += "; " + mended_;
        return evidence_;
    }

private:
    // An earlier attempt got there, and was cut off before it could say so.
    Result<bool> was_reached() {
        const auto mark = HF_TRY(load_repair_mark(store_disk_));
        if (store_.has_reached_repair()) HF_TRY(store_.finish_repair());
        if (!mark || mark->point != point_ || store_.is_repairing() || store_.first_copy_pending() || store_.applied() != point_.at) return false;
        HF_TRY(save_repair_mark(store_disk_, {true, point_}));
        evidence_.sentence = "it was equal already";
        return true;
    }

    Status begin() {
        HF_TRY(questions_.ask({SyncKind::begin, {}, 0, 0, secret_}, 0, [this](const SyncAnswer& answer) -> Status {
            version_ = HF_TRY(version_of(answer));
            return ok();
        }));
        return questions_.wait();
    }

    // Both stores have the same records up to there, and their indexes know what happened to each object since. What an earlier attempt repaired is
    // known there as well.
    Status find_shared() {
        if (is_of_everything_ || store_.first_copy_pending() || version_ < sync_version_with_shared) return ok();
        std::vector<ChainPoint> positions = store_.chains();
        std::erase_if(positions, [this](const ChainPoint& point) { return point.lsn < store_.window_begin(); });
        if (positions.size() > shared_positions_max) positions.erase(positions.begin(), positions.end() - shared_positions_max);
        if (positions.empty()) return ok();
        HF_TRY(questions_.ask({.kind = SyncKind::shared, .positions = positions}, 0, [&](const SyncAnswer& answer) -> Status {
            trust_.shared = HF_TRY(shared_of(answer));
            const bool is_ours = std::any_of(positions.begin(), positions.end(), [this](const ChainPoint& point) { return point.lsn == trust_.shared; });
            return trust_.shared == 0 || is_ours ? ok() : Status(Error{ErrorCode::corrupt, "the source says that both have a position which this replica did not name"});
        }));
        return questions_.wait();
    }

    Status fetch(Catalog& catalog) {
        bool is_whole = false;
        const auto ask = [&] {
            return questions_.ask({}, page_bytes, [&](const SyncAnswer& answer) -> Status {
                // Pages beyond the last one are empty.
                is_whole |= answer.is_last;
                return catalog.add(answer.payload);
            });
        };
        for (size_t i = 0; i < pages_under_way; ++i) HF_TRY(ask());
        while (!questions_.is_empty()) {
            HF_TRY(questions_.wait());
            if (!is_whole && !questions_.is_empty()) HF_TRY(ask());
            if (options_.progress && !options_.progress({catalog.names(), questions_.bytes_received(), 0, 0})) return stopped();
        }
        if (!is_whole) return Error{ErrorCode::corrupt, "the catalog of the source's tree has no end"};
        return catalog.complete();
    }

    // Page after page, with the bytes of small files. Pages wait while answers about large files are waited for.
    Status copy_at_once(Catalog& catalog) {
        evidence_.is_first_copy = true;
        const auto sink = store_.baseline();
        BaselineTarget target(*sink, store_.image());
        RepairLedger ledger(target, options_.progress);
        RemoteBytes large(ledger, questions_, secret_, [&](const RemoteBytes::File& file) { return sink->finish(file.object.id, file.object.attributes, file.xattrs); });
        CatalogCopy copy(catalog, large, *sink, clock_, options_.progress);
        std::deque<std::vector<std::byte>> pages;
        size_t asked = 0;
        bool is_whole = false;
        const auto ask = [&] {
            ++asked;
            return questions_.ask({SyncKind::catalog, {}, 0, small_file_bytes_max, {}}, page_bytes + small_file_bytes_max, [&](const SyncAnswer& answer) -> Status {
                --asked;
                is_whole |= answer.is_last;
                pages.push_back(answer.payload);
                return ok();
            });
        };
        while (!is_whole || asked > 0 || !pages.empty()) {
            while (!is_whole && asked + pages.size() < full_pages_under_way) HF_TRY(ask());
            if (pages.empty()) {
                HF_TRY(questions_.wait());
                continue;
            }
            const std::vector<std::byte> page = std::move(pages.front());
            pages.pop_front();
            HF_TRY(copy.take(page));
        }
        HF_TRY(copy.finish());
        take_figures(ledger);
        evidence_.bytes_written += copy.report().bytes;
        evidence_.files_compared = large.files();
        return store_.finish_first_copy(point_.at);
    }

    Status copy(const Catalog& catalog) {
        evidence_.is_first_copy = true;
        CatalogTree tree(catalog);
        const auto sink = store_.baseline();
        BaselineTarget target(*sink, store_.image());
        RepairLedger ledger(target, options_.progress);
        RemoteFileCopy files(ledger, questions_, secret_, *sink);
        HF_TRY(first_copy(tree, files, *sink, store_.image(), clock_, options_.progress));
        take_figures(ledger);
        evidence_.files_compared = files.files();
        return store_.finish_first_copy(point_.at);
    }

    Status repair(const Catalog& catalog) {
        CatalogTree tree(catalog);
        HF_TRY(mend());
        HF_TRY(store_.begin_repair(point_.at));
        StoreTarget target(store_, point_);
        HF_TRY(target.open_gap("the replica had lost its place in the source's journal"));
        RepairLedger ledger(target, options_.progress);
        for (const ObjectId& object : HF_TRY(open_orphans(store_, store_.applied()))) HF_TRY(ledger.change(HF_ORPHAN_END, object, journal::OrphanEnd{}));
        RemoteFileBytes bytes(ledger, questions_, secret_, store_.index(), trust_);
        TreeRepairOptions tree_options;
        tree_options.deletion_brake = options_.accept_deletions ? 0 : deletion_brake_objects;
        tree_options.brake_advice = "say `accept_deletions = true` in the replica's [[keep]] and reload the configuration";
        TreeRepair walk(tree, ledger, bytes, tree_options);
        HF_TRY(walk.run());
        HF_TRY(bytes.drain());
        take_figures(ledger);
        evidence_.repairs = ledger.repairs();
        evidence_.files_compared = bytes.files();
        evidence_.files_trusted = bytes.trusted();
        evidence_.objects_removed = walk.removed();
        return target.finish("the replica was compared with the source");
    }

    // Who changed names behind the product's back may have left times as they were.
    Status mend() {
        const MendReport mended = HF_TRY(store_.mend([this]() -> Status { return !options_.progress || options_.progress({}) ? ok() : Status(stopped()); }));
        if (mended.is_whole()) return ok();
        trust_ = {};
        mended_ = mended.sentence();
        log_warning("The replica's store " + quoted(store_directory_) + " was mended: " + mended_ + ".");
        return ok();
    }

    void take_figures(const RepairLedger& ledger) {
        evidence_.bytes_compared = ledger.bytes_compared();
        evidence_.bytes_written = ledger.bytes_written();
    }

    static Error stopped() {
        return {ErrorCode::unavailable, "the comparison with the source was asked to stop; it will be repeated"};
    }

    Store& store_;
    Disk& store_disk_;
    const std::string store_directory_;
    const RepairPoint point_;
    const RepairOptions& options_;
    const Clock& clock_;
    Questions questions_;
    const SyncSecret secret_;
    bool is_of_everything_ = false;
    Trust trust_;
    uint32_t version_ = 1;  // that the source speaks
    std::string mended_;     // what was, in a sentence
    RepairEvidence evidence_;
};

}  // namespace

Json to_json(const RepairEvidence& evidence) {
    return {{"is_first_copy", evidence.is_first_copy}, {"objects", evidence.objects},
            {"files_compared", evidence.files_compared}, {"files_trusted", evidence.files_trusted}, {"bytes_compared", evidence.bytes_compared},
            {"bytes_received", evidence.bytes_received}, {"bytes_written", evidence.bytes_written},
            {"repairs", evidence.repairs}, {"objects_removed", evidence.objects_removed},
            {"seconds", evidence.seconds}, {"sentence", evidence.sentence}};
}

Result<RepairEvidence> repair_replica(Store& store, Disk& store_disk, const std::string& store_directory, const RepairPoint& point, SyncLine& line,
                                      const RepairOptions& options, const Clock& clock) {
    return ReplicaRepair(store, store_disk, store_directory, point, line, options, clock).run();
}

}  // namespace holdfast::rewind
