#include "rewind/verify.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "rewind/undo/undo_segment.h"

namespace holdfast::rewind {

namespace {

using ChainBytes = std::array<uint8_t, 16>;

class HistoryCheck {
public:
    HistoryCheck(const UndoLog& undo, const Index& index, const HistoryOptions& options,
                 const std::function<Status(uint64_t)>& step)
        : undo_(undo), index_(index), options_(options), step_(step), stop_(undo.end()) {}

    Result<HistoryReport> run();

private:
    void tell(std::string sentence);
    Status segment(uint64_t number);
    Status record(const UndoRecord& record);
    // What is wrong with the index's answer about ITEM, if anything. Errors: not_found when it has left the window.
    Result<std::optional<std::string>> problem_of(const UndoRecord& record, const UndoItem& item);
    Result<std::optional<std::string>> problem_of_range(const UndoRecord& record, const UndoItem& item);
    Result<std::optional<std::string>> problem_of_xattr(const UndoRecord& record, const UndoItem& item);
    Result<std::optional<std::string>> problem_of_event(const UndoRecord& record);

    const UndoLog& undo_;
    const Index& index_;
    const HistoryOptions options_;
    const std::function<Status(uint64_t)>& step_;
    const UndoAddress stop_;
    HistoryReport report_;
    std::optional<ChainBytes> chain_;  // at the end of the segment before
    Lsn lsn_ = journal::lsn_max;       // of the record whose parts are coming
    std::set<ObjectId> attributes_seen_;  // in its parts so far
};

void HistoryCheck::tell(std::string sentence) {
    if (report_.problems.size() < options_.problems_max)
        report_.problems.push_back(std::move(sentence));
    else
        ++report_.problems_left_out;
}

Result<HistoryReport> HistoryCheck::run() {
    const uint64_t bytes = undo_.segment_bytes();
    for (uint64_t number = undo_.begin() / bytes; number <= stop_ / bytes; ++number) {
        if (undo_.begin() == stop_ && undo_.used_bytes() == 0) break;
        HF_TRY(segment(number));
    }
    return std::move(report_);
}

Status HistoryCheck::segment(uint64_t number) {
    Status stopped = ok();
    auto checked = undo_.check_segment(number, [&](const UndoRecord& one) {
        if (one.address >= stop_) return false;
        stopped = record(one);
        return stopped.has_value();
    });
    HF_TRY(std::move(stopped));
    if (!checked && checked.error().code == ErrorCode::not_found && undo_.begin() / undo_.segment_bytes() > number) {
        chain_.reset();  // dropped meanwhile
        return ok();
    }
    ++report_.segments;
    if (!checked) {
        const ErrorCode code = checked.error().code;
        if (code == ErrorCode::io) return std::move(checked).error();
        tell(undo_segment_name(number) + ": " + checked.error().message);
        chain_.reset();
        return ok();
    }
    if (chain_ && checked->chain_before != *chain_)
        tell(undo_segment_name(number) + " does not follow the segment before it: one of them is not the one that was written");
    chain_.reset();
    if (checked->is_sealed) {
        ++report_.seals;
        chain_ = checked->chain_after;
    }
    return ok();
}

Status HistoryCheck::record(const UndoRecord& record) {
    if (record.lsn != lsn_) {
        lsn_ = record.lsn;
        attributes_seen_.clear();
    }
    report_.undo_records += !record.continued;
    report_.bytes += record.end - record.address;
    HF_TRY(step_(record.end - record.address));
    // The newest may not be in the index yet.
    if (options_.index_every == 0 || record.lsn < 1 || record.end > index_.indexed_to()) return ok();
    if (report_.undo_records % options_.index_every != 0) return ok();
    for (const UndoItem& item : record.items) {
        auto problem = problem_of(record, item);
        if (!problem && problem.error().code == ErrorCode::not_found) return ok();  // left the window
        if (!problem && problem.error().code == ErrorCode::io) return std::move(problem).error();
        ++report_.indexed_items;
        const std::string where = "Undo record " + std::to_string(record.address) + " (LSN " + std::to_string(record.lsn) +
                                  ", object " + journal::to_string(item.object) + "): ";
        if (!problem)
            tell(where + problem.error().message);
        else if (*problem)
            tell(where + **problem);
    }
    return ok();
}

Result<std::optional<std::string>> HistoryCheck::problem_of(const UndoRecord& record, const UndoItem& item) {
    using Problem = std::optional<std::string>;
    switch (item.kind) {
        case UndoKind::data:
        case UndoKind::hole: return problem_of_range(record, item);
        case UndoKind::xattr: return problem_of_xattr(record, item);
        case UndoKind::event: return problem_of_event(record);
        case UndoKind::dirent: {
            const auto found = HF_TRY(index_.dirent_at(item.object, item.name, record.lsn));
            if (found && found->lsn == record.lsn && found->previous == item.other) return Problem();
            return Problem("the index does not know what entry " + quoted(item.name) + " was before it");
        }
        case UndoKind::attributes: {
            // Of several in one record the first counts.
            if (!attributes_seen_.insert(item.object).second) return Problem();
            const auto found = HF_TRY(index_.attributes_at(item.object, record.lsn));
            if (found && *found == item.attributes) return Problem();
            return Problem("the index does not know the attributes before it");
        }
        case UndoKind::birth:
            if (!HF_TRY(index_.existed_at(item.object, record.lsn))) return Problem();
            return Problem("the index does not know that it was born here");
        case UndoKind::death: return Problem();
    }
    return Problem();
}

Result<std::optional<std::string>> HistoryCheck::problem_of_range(const UndoRecord& record, const UndoItem& item) {
    uint64_t found = 0;
    for (const DataUndo& undo : HF_TRY(index_.data_at(item.object, item.offset, item.length, record.lsn))) {
        const bool is_hole = item.kind == UndoKind::hole;
        const bool fits = undo.lsn == record.lsn && undo.hole == is_hole && undo.item == item.address &&
                          (is_hole || undo.skip == undo.offset - item.offset);
        if (fits) found += undo.length;
    }
    if (found == item.length) return std::optional<std::string>();
    return std::optional("the index knows " + std::to_string(found) + " of the " + std::to_string(item.length) + " bytes at " +
                         std::to_string(item.offset) + " that it overwrote");
}

Result<std::optional<std::string>> HistoryCheck::problem_of_xattr(const UndoRecord& record, const UndoItem& item) {
    const std::string_view value(reinterpret_cast<const char*>(item.data.data()), item.data.size());
    for (const Index::XattrUndo& undo : HF_TRY(index_.xattrs_at(item.object, record.lsn)))
        if (undo.name == item.name && undo.present == item.present && (!undo.present || undo.value == value))
            return std::optional<std::string>();
    return std::optional("the index does not know xattr " + quoted(item.name) + " before it");
}

Result<std::optional<std::string>> HistoryCheck::problem_of_event(const UndoRecord& record) {
    const auto events = HF_TRY(index_.events_of(record.object, record.lsn, 1));
    if (!events.empty() && events[0].lsn == record.lsn && events[0].type == record.type) return std::optional<std::string>();
    // The only question that an event's age does not refuse.
    if (auto in_window = index_.existed_at(record.object, record.lsn); !in_window) return std::move(in_window).error();
    return std::optional(std::string("the index does not know this ") + journal::to_string(record.type));
}

}  // namespace

Result<HistoryReport> verify_history(const UndoLog& undo, const Index& index, const HistoryOptions& options,
                                     const std::function<Status(uint64_t bytes)>& step) {
    return HistoryCheck(undo, index, options, step).run();
}

}  // namespace holdfast::rewind
