#include <algorithm>

#include "journal/cursor.h"
#include "journal/recovery.h"

namespace holdfast::journal {

Result<SurveyHints> survey_hints(Disk& cursors, const VolumeId& volume, InflightTable& table) {
    SurveyHints hints;
    if (table.survived()) {
        hints.published = table.head().published.load();
        // Nothing says so as long as no record was ever committed.
        if (hints.published > 0) hints.reserved = std::max(hints.published, table.head().reserved.load());
    }
    bool has_others = false;
    for (const auto& [consumer, position] : HF_TRY(load_cursors(cursors, volume))) {
        hints.taken = std::max(hints.taken, position);
        if (consumer == store_consumer) hints.needed = position;
        has_others |= consumer != store_consumer;
    }
    if (has_others) hints.needed = 0;
    return hints;
}

}  // namespace holdfast::journal
