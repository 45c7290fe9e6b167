// What a rewind leaves alone because it is left out (journal/left_out.h): what is in such a directory, the directory itself, and that the directories which
// lead to it stand where they stand. They are neither removed nor renamed, even if they were not there at the moment, because something nobody recorded is in
// them; what else is in the directories that lead there is rewound.
//
// Thread rule: plain values.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <unordered_set>

#include "base/result.h"
#include "journal/left_out.h"
#include "rewind/restore/difference.h"
#include "rewind/restore/names_at.h"

namespace holdfast::rewind {

class LeftAlone {
public:
    LeftAlone() = default;  // nothing
    // NOW is the present, of which the directories are that are left out.
    static Result<LeftAlone> find(const journal::LeftOut& left_out, const NamesAt& now);

    // PATH lies in a directory that is left out.
    bool is_inside(const std::optional<std::string>& path) const { return path && left_out_.holds(*path); }
    // PATH is such a directory or lies in one.
    bool is_concerned(std::string_view path) const { return left_out_.is(path) || left_out_.holds(path); }
    // OBJECT is such a directory, or leads to one: it stays where it is.
    bool stays(const ObjectId& object) const { return staying_.count(object) != 0; }
    // OBJECT is such a directory.
    bool is_left_out(const ObjectId& object) const { return directories_.count(object) != 0; }
    // CHANGE is none that the rewind makes.
    bool leaves(const Change& change) const;

    // PATH stays, although the rewind would otherwise change it.
    void note(const std::string& path) { noted_.insert(path); }
    const std::set<std::string>& noted() const { return noted_; }

private:
    journal::LeftOut left_out_;
    std::unordered_set<ObjectId> staying_;
    std::unordered_set<ObjectId> directories_;
    std::set<std::string> noted_;
};

}  // namespace holdfast::rewind
