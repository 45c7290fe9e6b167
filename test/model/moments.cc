#include "test/model/moments.h"

#include "base/text.h"
#include "test/model/compare.h"

namespace holdfast::test {

Outcome check_moments(const rewind::Store& store, const std::vector<Moment>& moments, size_t stride) {
    Outcome outcome;
    for (size_t index = 0; index < moments.size(); index += stride) {
        const auto& [at, model] = moments[index];
        if (at > store.applied()) break;
        if (auto status = store.check_moment(at); !status) return {outcome.points, "moment " + std::to_string(at) + ": " + status.error().message};
        if (auto found = difference(rewind::View(store, at), model)) {
            return {outcome.points, "after " + std::to_string(index) + " records, at LSN " + std::to_string(at) + ": " + *found};
        }
        ++outcome.points;
    }
    return outcome;
}

std::string tell(const Record& record) {
    std::string line = std::string(journal::to_string(record.type)) + " " + journal::to_string(record.object);
    const auto add = [&](const char* what, const std::string& value) { line += std::string(" ") + what + " " + value; };
    if (const auto* write = std::get_if<journal::Write>(&record.body)) {
        add("at", std::to_string(write->offset));
        add("bytes", std::to_string(write->data.size()));
    } else if (const auto* truncate = std::get_if<journal::Truncate>(&record.body)) {
        add("to", std::to_string(truncate->size));
    } else if (const auto* fallocate = std::get_if<journal::Fallocate>(&record.body)) {
        add("at", std::to_string(fallocate->offset));
        add("bytes", std::to_string(fallocate->length));
        add("mode", std::to_string(fallocate->mode));
    } else if (const auto* birth = std::get_if<journal::Birth>(&record.body)) {
        add("as", quoted(birth->name));
        add("in", journal::to_string(birth->parent));
    } else if (const auto* link = std::get_if<journal::Link>(&record.body)) {
        add("as", quoted(link->name));
        add("in", journal::to_string(link->parent));
    } else if (const auto* unlink = std::get_if<journal::Unlink>(&record.body)) {
        add("from", quoted(unlink->name));
        add("in", journal::to_string(unlink->parent));
    } else if (const auto* rename = std::get_if<journal::Rename>(&record.body)) {
        add("from", quoted(rename->old_name));
        add("in", journal::to_string(rename->old_parent));
        add("to", quoted(rename->new_name));
        add("in", journal::to_string(rename->new_parent));
        add(rename->exchange ? "exchanging" : "replacing", journal::to_string(rename->other));
    } else if (const auto* set = std::get_if<journal::SetAttr>(&record.body)) {
        add("valid", std::to_string(set->attributes.valid));
        add("mode", std::to_string(set->attributes.mode));
    } else if (const auto* xattr = std::get_if<journal::SetXattr>(&record.body)) {
        add("name", quoted(xattr->xattr.name));
        add("bytes", std::to_string(xattr->xattr.value.size()));
    } else if (const auto* removal = std::get_if<journal::RemoveXattr>(&record.body)) {
        add("name", quoted(removal->name));
    }
    return line;
}

}  // namespace holdfast::test
