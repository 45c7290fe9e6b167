#include "rewind/restore/path_history.h"

#include <sys/stat.h>

#include <algorithm>

#include "rewind/restore/names_at.h"
#include "rewind/store.h"

namespace holdfast::rewind {

namespace {

// Everything that NAME in the directory of PARENT led to while that directory had its path.
Status holders_below(const Store& store, const Holder& parent, std::string_view name, std::vector<Holder>& found) {
    // The image first, the index second: then the last binding is right whatever is applied meanwhile.
    const NamesAt now(store, store.applied());
    const ObjectId present = HF_TRY(now.object_at({parent.object, std::string(name)}));
    Lsn since = 0;
    const auto add = [&](const ObjectId& object, Lsn from, Lsn to) {
        from = std::max(from, parent.from);
        to = std::min(to, parent.to);
        if (object && from < to) found.push_back({object, from, to});
    };
    for (const DirentUndo& change : HF_TRY(store.index().bindings_of(parent.object, name))) {
        add(change.previous, since, change.lsn);
        since = change.lsn;
    }
    add(present, since, journal::lsn_max);
    return ok();
}

}  // namespace

Result<std::vector<Holder>> holders_of(const Store& store, std::string_view path) {
    std::vector<Holder> holders{{journal::root_object, 0, journal::lsn_max}};
    while (!path.empty()) {
        const size_t slash = path.find('/');
        const std::string_view name = path.substr(0, slash);
        path = slash == path.npos ? std::string_view() : path.substr(slash + 1);
        std::vector<Holder> next;
        for (const Holder& holder : holders) {
            const auto location = HF_TRY(store.index().location(holder.object));
            if (!location || !S_ISDIR(location->mode)) continue;
            HF_TRY(holders_below(store, holder, name, next));
        }
        holders = std::move(next);
    }
    std::sort(holders.begin(), holders.end(), [](const Holder& a, const Holder& b) { return a.from < b.from; });
    return holders;
}

}  // namespace holdfast::rewind
