#include "test/model/model.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/check.h"

namespace holdfast::test {

namespace {

uint64_t blocks_in(uint64_t bytes) {
    return (bytes + block_bytes - 1) / block_bytes;
}

void set_block_count(Object& object, uint64_t count) {
    object.blocks.resize(count, object.is_preallocated ? Block::either : Block::hole);
}

// Something happens beyond the end of the file: it grows, if only within its last block, or space is allocated there.
// Where that block is partial and a hole, btrfs writes its zeros first, other file systems leave it.
void open_last_hole(Object& object) {
    const bool is_partial = object.bytes->size() % block_bytes != 0;
    if (is_partial && object.blocks.back() == Block::hole) object.blocks.back() = Block::either;
}

std::string_view text_of(ByteSpan bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Model::Model() {
    auto root = std::make_shared<Object>();
    root->mode = S_IFDIR | 0755;
    root->parent = journal::root_object;
    objects_[journal::root_object] = root;
}

uint32_t Model::link_count(const ObjectId& id) const {
    const Object& object = at(id);
    if (!S_ISDIR(object.mode)) return object.names;
    uint32_t count = 2;
    for (const auto& [name, child] : object.entries) count += S_ISDIR(at(child).mode) ? 1 : 0;
    return count;
}

bool Model::is_within(const ObjectId& which, const ObjectId& directory) const {
    for (ObjectId current = which;; current = at(current).parent) {
        if (current == directory) return true;
        if (current == journal::root_object) return false;
    }
}

Object& Model::change(const ObjectId& id) {
    auto copy = std::make_shared<Object>(at(id));
    Object& changed = *copy;
    objects_[id] = std::move(copy);
    return changed;
}

void Model::bind(const ObjectId& directory, std::string_view name, const ObjectId& object) {
    Object& parent = change(directory);
    HF_CHECK(parent.entries.emplace(name, object).second);
    parent.mtime_ns.reset();
    Object& child = change(object);
    if (S_ISDIR(child.mode)) {
        child.parent = directory;
    } else {
        ++child.names;
    }
}

void Model::unbind(const ObjectId& directory, std::string_view name) {
    Object& parent = change(directory);
    auto entry = parent.entries.find(std::string(name));
    HF_CHECK(entry != parent.entries.end());
    ObjectId object = entry->second;
    parent.entries.erase(entry);
    parent.mtime_ns.reset();
    if (!S_ISDIR(at(object).mode)) --change(object).names;
}

void Model::write(Object& object, uint64_t offset, std::string_view bytes) {
    auto changed = std::make_shared<std::string>(*object.bytes);
    if (changed->size() < offset) open_last_hole(object);
    if (changed->size() < offset + bytes.size()) changed->resize(offset + bytes.size());
    changed->replace(offset, bytes.size(), bytes);
    object.bytes = changed;
    set_block_count(object, blocks_in(changed->size()));
    for (uint64_t block = offset / block_bytes; block < blocks_in(offset + bytes.size()); ++block) {
        object.blocks[block] = Block::data;
    }
    object.mtime_ns.reset();
}

void Model::resize(Object& object, uint64_t size) {
    auto changed = std::make_shared<std::string>(*object.bytes);
    // A file that becomes shorter loses what lies beyond its end; one that grows keeps it.
    const uint64_t old_size = changed->size();
    if (size < old_size) object.is_preallocated = false;
    if (size > old_size) open_last_hole(object);
    changed->resize(size);
    object.bytes = changed;
    set_block_count(object, blocks_in(size));
    object.mtime_ns.reset();
}

void Model::fallocate(Object& object, const journal::Fallocate& body) {
    auto changed = std::make_shared<std::string>(*object.bytes);
    auto& blocks = object.blocks;
    const uint64_t end = body.offset + body.length;
    if (body.mode & HF_FALLOC_COLLAPSE_RANGE) {
        changed->erase(body.offset, body.length);
        blocks.erase(blocks.begin() + body.offset / block_bytes, blocks.begin() + end / block_bytes);
    } else if (body.mode & HF_FALLOC_INSERT_RANGE) {
        changed->insert(body.offset, body.length, '\0');
        blocks.insert(blocks.begin() + body.offset / block_bytes, body.length / block_bytes, Block::hole);
    } else {
        const bool is_punch = body.mode & HF_FALLOC_PUNCH_HOLE;
        if (!is_punch && end > changed->size()) open_last_hole(object);
        if (!(body.mode & HF_FALLOC_KEEP_SIZE) && changed->size() < end) changed->resize(end);
        set_block_count(object, blocks_in(changed->size()));
        if (body.mode & HF_FALLOC_KEEP_SIZE && !is_punch && end > changed->size()) object.is_preallocated = true;
        if (is_punch || (body.mode & HF_FALLOC_ZERO_RANGE)) {
            const uint64_t stop = std::min<uint64_t>(end, changed->size());
            if (body.offset < stop) std::fill(changed->begin() + body.offset, changed->begin() + stop, '\0');
        }
        for (uint64_t block = body.offset / block_bytes; block < std::min<uint64_t>(blocks.size(), blocks_in(end)); ++block) {
            const bool is_whole = block * block_bytes >= body.offset && (block + 1) * block_bytes <= end;
            if (is_punch) {
                if (is_whole) blocks[block] = Block::hole;
                // Of a block that is a hole, btrfs may write the zeros of a part.
                else if (blocks[block] == Block::hole) blocks[block] = Block::either;
                // A punch to the end of the file frees its last, partial block on some file systems.
                else if (end >= changed->size() && blocks[block] == Block::data) blocks[block] = Block::either;
            } else if (blocks[block] == Block::hole || (body.mode & HF_FALLOC_ZERO_RANGE)) {
                blocks[block] = Block::either;
            }
        }
    }
    object.bytes = changed;
    object.mtime_ns.reset();
}

void Model::rename(const Record& record) {
    const auto& body = record.as<journal::Rename>();
    if (body.exchange) {
        unbind(body.old_parent, body.old_name);
        unbind(body.new_parent, body.new_name);
        bind(body.old_parent, body.old_name, body.other);
        bind(body.new_parent, body.new_name, record.object);
        return;
    }
    if (body.other) unbind(body.new_parent, body.new_name);
    unbind(body.old_parent, body.old_name);
    bind(body.new_parent, body.new_name, record.object);
    if (body.other && S_ISDIR(at(body.other).mode)) objects_.erase(body.other);
}

void Model::apply(const Record& record) {
    switch (record.type) {
        case HF_WRITE: {
            const auto& body = record.as<journal::Write>();
            write(change(record.object), body.offset, text_of(body.data));
            break;
        }
        case HF_TRUNCATE: resize(change(record.object), record.as<journal::Truncate>().size); break;
        case HF_FALLOCATE: fallocate(change(record.object), record.as<journal::Fallocate>()); break;
        case HF_CREATE:
        case HF_MKDIR:
        case HF_MKNOD:
        case HF_SYMLINK: {
            const auto& body = record.as<journal::Birth>();
            auto born = std::make_shared<Object>();
            born->mode = body.attributes.mode;
            born->uid = body.attributes.uid;
            born->gid = body.attributes.gid;
            born->rdev = body.rdev;
            born->target = body.target;
            born->mtime_ns = body.attributes.mtime_ns;
            for (const auto& xattr : body.xattrs) born->xattrs.emplace(xattr.name, xattr.value);
            HF_CHECK(objects_.emplace(record.object, born).second);
            if (!body.name.empty()) bind(body.parent, body.name, record.object);
            break;
        }
        case HF_LINK: bind(record.as<journal::Link>().parent, record.as<journal::Link>().name, record.object); break;
        case HF_UNLINK:
        case HF_RMDIR: {
            const auto& body = record.as<journal::Unlink>();
            unbind(body.parent, body.name);
            if (record.type == HF_RMDIR) objects_.erase(record.object);
            break;
        }
        case HF_RENAME: rename(record); break;
        case HF_SETATTR: {
            const auto& attributes = record.as<journal::SetAttr>().attributes;
            Object& object = change(record.object);
            if (attributes.valid & HF_ATTR_MODE) object.mode = (object.mode & S_IFMT) | (attributes.mode & 07777);
            if (attributes.valid & HF_ATTR_UID) object.uid = attributes.uid;
            if (attributes.valid & HF_ATTR_GID) object.gid = attributes.gid;
            if (attributes.valid & HF_ATTR_MTIME) object.mtime_ns = attributes.mtime_ns;
            break;
        }
        case HF_SETXATTR: {
            const auto& xattr = record.as<journal::SetXattr>().xattr;
            change(record.object).xattrs[std::string(xattr.name)] = xattr.value;
            break;
        }
        case HF_REMOVEXATTR: change(record.object).xattrs.erase(std::string(record.as<journal::RemoveXattr>().name)); break;
        case HF_ORPHAN_END: objects_.erase(record.object); break;
        default: break;
    }
}

}  // namespace holdfast::test
