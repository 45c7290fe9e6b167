// The reference model: a volume in memory, small enough to be obviously right. It knows what each record means
// and nothing of how the store does it. Values are shared between states, so that keeping the state after every
// record of a history costs little.
//
// What is not modelled: access and change times. Modification times are known only between a SETATTR that sets
// them and the next change of the object (I3: times converge at close).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "journal/record.h"

namespace holdfast::test {

using journal::ObjectId;
using journal::Record;

inline constexpr uint64_t block_bytes = 4096;

// What SEEK_DATA must say about a block. `either`: preallocated or zeroed, file systems differ.
enum class Block : uint8_t { hole, data, either };

struct Object {
    uint32_t mode = 0;
    uint32_t uid = 0;
    uint32_t gid = 0;
    uint64_t rdev = 0;
    std::optional<int64_t> mtime_ns;
    std::string target;
    std::map<std::string, std::string> xattrs;
    std::shared_ptr<const std::string> bytes = std::make_shared<std::string>();  // regular files
    std::vector<Block> blocks;
    bool is_preallocated = false;  // there may be blocks beyond the end: a file that grows into them has `either` there
    std::map<std::string, ObjectId> entries;  // directories
    ObjectId parent;                          // directories
    uint32_t names = 0;                       // other objects
};

class Model {
public:
    Model();  // an empty root

    // REQUIRES: a record that makes sense in this state.
    void apply(const Record& record);

    const Object& at(const ObjectId& id) const { return *objects_.at(id); }
    bool contains(const ObjectId& id) const { return objects_.count(id) != 0; }
    const std::map<ObjectId, std::shared_ptr<const Object>>& objects() const { return objects_; }
    uint32_t link_count(const ObjectId& id) const;
    // True when WHICH is DIRECTORY or lies below it.
    bool is_within(const ObjectId& which, const ObjectId& directory) const;

private:
    Object& change(const ObjectId& id);
    void bind(const ObjectId& directory, std::string_view name, const ObjectId& object);
    void unbind(const ObjectId& directory, std::string_view name);
    void write(Object& object, uint64_t offset, std::string_view bytes);
    void resize(Object& object, uint64_t size);
    void fallocate(Object& object, const journal::Fallocate& body);
    void rename(const Record& record);

    std::map<ObjectId, std::shared_ptr<const Object>> objects_;
};

}  // namespace holdfast::test
