// Where the objects of a standby tree lie, and which object each of its files is: STORE/tree, a small RocksDB beside the store. The files
// themselves carry nothing (rewind/image.h), so this is the only one who knows.
//
// It also says how far the tree is. A position is a promise: the tree has, on its disk, everything of the objects that were there then. What was made since is
// known as new, because a crash may have left it half filled.
//
// What is told here outlives the process at once, and a power loss from the next birth, removal of a promise, or set_position() on. It is derived: lost or
// damaged, the tree is compared and who is who is found out by names.
//
// Thread rule: the store's thread; position() from any.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "rewind/image.h"
#include "rewind/places.h"

namespace rocksdb {
class DB;
class WriteBatch;
}

namespace holdfast::rewind {

using journal::Lsn;

class TreePlaces final : public Places, public ObjectMarks {
public:
    // DIRECTORY is made when it is missing. One that is damaged is emptied. Errors: io, no_space.
    static Result<std::unique_ptr<TreePlaces>> open(const std::string& directory);
    ~TreePlaces() override;

    Result<std::optional<ImageLocation>> location(const ObjectId& object) const override;
    // Durable on return when an object is in it that was not known before, and there is a position.
    Status take_in(const std::vector<LocationChange>& changes) override;
    Result<ObjectId> object_of(const FileHandle& handle) const override;

    // An id of the tree's own, for a file that is no object of the volume.
    bool is_own(const ObjectId& object) const { return object.origin == origin_; }
    // It came to the tree since the last position.
    Result<bool> is_new(const ObjectId& object) const;

    // Whether it is about the tree with this top and this graveyard. begin() forgets everything and is about that one then, without a position.
    Result<bool> is_about(const FileHandle& root, const FileHandle& graveyard) const;
    Status begin(const FileHandle& root, const FileHandle& graveyard);

    // Nothing: the tree must be compared.
    std::optional<Lsn> position() const;
    // Durable on return. REQUIRES: the tree is, up to there.
    Status set_position(Lsn position);
    Status withdraw_position();

private:
    explicit TreePlaces(std::unique_ptr<rocksdb::DB> db);
    Status load();
    Status clear();
    Result<std::optional<std::string>> get(const std::string& key) const;
    Status write(rocksdb::WriteBatch& batch, bool durable);

    std::unique_ptr<rocksdb::DB> db_;
    uint32_t origin_ = 0;
    std::atomic<bool> has_position_{false};
    std::atomic<Lsn> position_{0};
};

}  // namespace holdfast::rewind
