// What was touched in a gap, as it is in the backing tree at one instant: looked at while nothing changes, compared afterwards.
//
// All of names, attributes and xattrs is remembered; of bytes only where they are to be found, because reading them would take too
// long for everybody who waits. Nothing else of the tree is looked at, but for what leads from a touched directory to the top.
//
// Memory: what was touched.
// Thread rule: one thread.
#pragma once

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "journal/healing.h"
#include "rewind/heal/touched_places.h"
#include "rewind/reconcile/backing_tree.h"
#include "rewind/view.h"

namespace holdfast::rewind {

class TouchedTree {
public:
    struct Entry {
        std::string name;
        ObjectId object;  // zero: there is no such name now
    };
    struct Directory {
        ObjectId id;
        uint32_t depth = 0;          // 0: the top
        std::vector<Entry> entries;  // the touched ones, by name
    };
    struct Item {
        TreeObject object;
        XattrList xattrs;
        std::string target;
    };

    // REQUIRES: nothing changes meanwhile. Errors: those of PLACES; corrupt when the top is not among TOUCHED, or what is found is not what it is called.
    static Result<TouchedTree> look(TouchedPlaces& places, const journal::Touched& touched, uint32_t origin);

    // Top down; the top is always among them.
    const std::vector<Directory>& directories() const { return directories_; }
    // By id: everything touched, and everything that has a touched name, as far as it is there.
    const std::unordered_map<ObjectId, Item>& items() const { return items_; }
    const Item& item(const ObjectId& object) const { return items_.at(object); }
    // Without a name and open; among the items.
    const std::unordered_set<ObjectId>& nameless() const { return nameless_; }
    // Which bytes of a file were touched, within its size.
    std::vector<DataExtent> ranges(const ObjectId& object) const;
    uint64_t bytes() const;  // all of them

private:
    struct Step;
    static Result<std::vector<Step>> steps_to(const journal::Touched& touched);
    Status take(const Step& step, Result<UniqueFd> opened);
    Status look_at(const Step& step, int fd);
    Status look_at_name(const std::string& name, Result<UniqueFd> opened);
    Result<ObjectId> remember(int fd, ObjectId known_as);
    Result<uint32_t> depth_of(int directory_fd);

    TreeIdentity identity_;
    FileHandle top_;
    bool is_inside_ = false;  // of the last of directories_, whose names follow
    std::vector<Directory> directories_;
    std::unordered_map<ObjectId, Item> items_;
    std::unordered_set<ObjectId> nameless_;
    std::unordered_map<ObjectId, std::vector<journal::TouchedRange>> ranges_;
    std::unordered_map<std::string, uint32_t> depths_;  // by handle
};

}  // namespace holdfast::rewind
