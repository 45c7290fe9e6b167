#include "rewind/restore/left_alone.h"

#include <algorithm>

namespace holdfast::rewind {

Result<LeftAlone> LeftAlone::find(const journal::LeftOut& left_out, const NamesAt& now) {
    LeftAlone alone;
    alone.left_out_ = left_out;
    for (const std::string& path : left_out.paths()) {
        for (size_t end = 0; end < path.size();) {
            end = std::min(path.find('/', end + 1), path.size());
            const auto object = now.view().resolve(path.substr(0, end));
            if (!object && object.error().code == ErrorCode::not_found) break;
            if (!object) return object.error();
            alone.staying_.insert(*object);
            if (end == path.size()) alone.directories_.insert(*object);
        }
    }
    return alone;
}

bool LeftAlone::leaves(const Change& change) const {
    if (is_concerned(change.path) || (!change.from_path.empty() && is_concerned(change.from_path))) return true;
    if (is_left_out(change.object)) return true;
    return stays(change.object) && change.change != ChangeKind::modified;
}

}  // namespace holdfast::rewind
