#include "journal/recovery.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::journal {
namespace {

// docs/journal_recovery.md shows the same rows, with the reasons; a test holds the two against each other, and that
// every combination belongs to exactly one row.
constexpr RecoveryCase cases[] = {
    {"unreadable", "unreadable", "any", "any", "any", Action::refuse,
     "the disk returned an error while the journal was read; nothing was changed: look at the kernel's log, check the disk, and try again"},
    {"newer format", "newer", "any", "any", "any", Action::refuse,
     "a newer version of Holdfast wrote this journal; nothing was changed: use that version"},
    {"foreign volume", "foreign", "any", "any", "any", Action::refuse,
     "the journal directory holds segments of another volume; nothing was changed: name the right journal directory, or move those files away"},
    {"missing segment", "missing_segment", "any", "any", "any", Action::compare_everything,
     "a segment of the journal is missing: history ends before it, and everything is compared with the backing tree"},
    {"corrupt middle", "corrupt", "any", "any", "any", Action::compare_everything,
     "the journal is damaged below its durable end: history ends before the damage, and everything is compared with the backing tree"},
    {"no journal yet", "whole", "empty", "any", "any", Action::start_fresh, "there is no journal yet; one is started"},
    {"closed in order", "whole", "sealed, open", "closed", "any", Action::resume, "the journal was closed in order"},
    {"closed, then rebooted", "whole", "sealed, open", "other boot", "yes", Action::resume,
     "the journal was closed in order before the host was started again"},
    {"process died", "whole", "sealed, open, torn", "in use", "any", Action::settle_in_flight,
     "the process that wrote the journal died: what it was doing is settled by looking at the backing tree"},
    {"damaged after closing", "whole", "torn", "closed", "any", Action::compare_everything,
     "the journal was closed in order, but its end is not whole now: everything is compared with the backing tree"},
    {"host died", "whole", "sealed, open", "other boot", "no", Action::compare_suspects,
     "the host stopped while the journal was written: the backing tree is the truth, and what changed last is compared with it"},
    {"torn tail", "whole", "torn", "other boot", "any", Action::compare_suspects,
     "the host stopped while the journal was written and its end is torn: the torn end is cut off, and what changed last is compared"},
};

// Whether VALUE is one of the words of a cell such as "sealed, open".
bool cell_has(std::string_view cell, std::string_view value) {
    if (cell == "any") return true;
    while (!cell.empty()) {
        size_t comma = std::min(cell.find(", "), cell.size());
        if (cell.substr(0, comma) == value) return true;
        cell.remove_prefix(std::min(comma + 2, cell.size()));
    }
    return false;
}

}  // namespace

std::span<const RecoveryCase> recovery_cases() { return cases; }

Decision decide(const Survey& survey, bool table_survived, bool table_clean) {
    // Of a table from another boot not even "clean" means anything.
    const char* table = !table_survived ? "other boot" : table_clean ? "closed" : "in use";
    auto fits = [&](const RecoveryCase& row) {
        return cell_has(row.middle, to_string(survey.middle)) && cell_has(row.tail, to_string(survey.tail)) &&
               cell_has(row.table, table) && cell_has(row.close, survey.closed_clean ? "yes" : "no");
    };
    const RecoveryCase* row = std::find_if(std::begin(cases), std::end(cases), fits);
    HF_CHECK(row != std::end(cases));
    std::string sentence = row->sentence;
    if (!survey.sentence.empty()) sentence += " (" + survey.sentence + ")";
    return {row->action, std::move(sentence), row->name};
}

const char* to_string(TailState tail) {
    switch (tail) {
        case TailState::empty: return "empty";
        case TailState::sealed: return "sealed";
        case TailState::open: return "open";
        case TailState::torn: return "torn";
    }
    return "unknown";
}

const char* to_string(MiddleState middle) {
    switch (middle) {
        case MiddleState::whole: return "whole";
        case MiddleState::missing_segment: return "missing_segment";
        case MiddleState::corrupt: return "corrupt";
        case MiddleState::foreign: return "foreign";
        case MiddleState::unreadable: return "unreadable";
        case MiddleState::newer: return "newer";
    }
    return "unknown";
}

const char* action_name(Action action) {
    switch (action) {
        case Action::start_fresh: return "start_fresh";
        case Action::resume: return "resume";
        case Action::settle_in_flight: return "settle_in_flight";
        case Action::compare_suspects: return "compare_suspects";
        case Action::compare_everything: return "compare_everything";
        case Action::refuse: return "refuse";
    }
    return "unknown";
}

}  // namespace holdfast::journal
