#include "test/model/generator.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <functional>

namespace holdfast::test {

namespace {

constexpr size_t objects_max = 40;
constexpr uint64_t file_bytes_max = 96 * 1024;
constexpr const char* names[] = {"a", "b", "c", "d", "e", "f", "long-name-with-some-length-to-it", "\xff\x01 odd\n"};
constexpr const char* xattr_names[] = {"user.one", "user.two", "trusted.three"};

using Predicate = std::function<bool(const ObjectId&, const Object&)>;

std::optional<ObjectId> pick(const Model& model, uint32_t dice, const Predicate& accepts) {
    std::vector<ObjectId> candidates;
    for (const auto& [id, object] : model.objects()) {
        if (accepts(id, *object)) candidates.push_back(id);
    }
    if (candidates.empty()) return std::nullopt;
    return candidates[dice % candidates.size()];
}

bool is_file(const ObjectId&, const Object& object) { return S_ISREG(object.mode); }
bool is_directory(const ObjectId&, const Object& object) { return S_ISDIR(object.mode); }

struct Place {
    ObjectId directory;
    std::string name;
    std::optional<ObjectId> object;
};

Place place(const Model& model, uint32_t directory_dice, uint32_t name_dice) {
    ObjectId directory = *pick(model, directory_dice, is_directory);
    const std::string name = names[name_dice % std::size(names)];
    const auto& entries = model.at(directory).entries;
    auto entry = entries.find(name);
    return {directory, name, entry == entries.end() ? std::nullopt : std::optional(entry->second)};
}

}  // namespace

std::vector<Op> random_ops(uint64_t seed, size_t count) {
    std::mt19937_64 random(seed);
    std::vector<Op> ops(count);
    for (Op& op : ops) {
        op.kind = static_cast<uint32_t>(random());
        for (uint32_t& dice : op.dice) dice = static_cast<uint32_t>(random());
    }
    return ops;
}

namespace {

// One member function per kind of change; each fills `made` or leaves it a VOID.
class Maker {
public:
    Maker(const Model& model, const Op& op, uint64_t& inode, uint64_t& time_ns)
        : model_(model), op_(op), inode_(inode), time_ns_(time_ns) {}

    OwnedRecord made;

    void write() { write_at([this](uint64_t) { return op_.dice[1] % (file_bytes_max / 2); }); }
    void write_whole_blocks() {
        auto file = pick(model_, op_.dice[0], is_file);
        if (!file) return;
        emit_write(*file, op_.dice[1] % 16 * block_bytes, (1 + op_.dice[2] % 4) * block_bytes);
    }
    void append() { write_at([](uint64_t size) { return size; }); }

    void truncate() {
        auto file = pick(model_, op_.dice[0], is_file);
        if (!file) return;
        const uint64_t sizes[] = {0, op_.dice[1] % file_bytes_max, op_.dice[1] % 8 * block_bytes};
        set(HF_TRUNCATE, *file, journal::Truncate{sizes[op_.dice[2] % 3]});
    }

    void fallocate() {
        auto file = pick(model_, op_.dice[0], is_file);
        if (!file) return;
        const uint64_t size = model_.at(*file).bytes->size();
        const uint32_t modes[] = {0, HF_FALLOC_KEEP_SIZE, HF_FALLOC_PUNCH_HOLE | HF_FALLOC_KEEP_SIZE, HF_FALLOC_ZERO_RANGE,
                                  HF_FALLOC_ZERO_RANGE | HF_FALLOC_KEEP_SIZE, HF_FALLOC_COLLAPSE_RANGE, HF_FALLOC_INSERT_RANGE};
        const uint32_t mode = modes[op_.dice[1] % std::size(modes)];
        journal::Fallocate body{op_.dice[2] % (file_bytes_max / 2), 1 + op_.dice[3] % 20000, mode};
        if (mode & (HF_FALLOC_COLLAPSE_RANGE | HF_FALLOC_INSERT_RANGE)) {
            body.offset = body.offset / block_bytes * block_bytes;
            body.length = (1 + op_.dice[3] % 3) * block_bytes;
            if (mode == HF_FALLOC_COLLAPSE_RANGE && body.offset + body.length >= size) return;
            if (mode == HF_FALLOC_INSERT_RANGE && (body.offset >= size || size > file_bytes_max)) return;
        }
        set(HF_FALLOCATE, *file, body);
    }

    void birth() {
        if (model_.objects().size() >= objects_max) return;
        Place where = place(model_, op_.dice[0], op_.dice[1]);
        if (where.object) return;
        static constexpr uint32_t types[] = {S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFDIR, S_IFLNK, S_IFIFO, S_IFCHR, S_IFSOCK};
        bear(where, types[op_.dice[2] % std::size(types)]);
    }
    void nameless_birth() {
        if (model_.objects().size() >= objects_max) return;
        bear({*pick(model_, op_.dice[0], is_directory), "", std::nullopt}, S_IFREG);
    }

    void link() {
        auto object = pick(model_, op_.dice[0], [](auto&, const Object& o) { return !S_ISDIR(o.mode); });
        Place where = place(model_, op_.dice[1], op_.dice[2]);
        if (!object || where.object) return;
        set(HF_LINK, *object, journal::Link{where.directory, keep(where.name)});
    }

    void remove() {
        Place where = place(model_, op_.dice[0], op_.dice[1]);
        if (!where.object) return;
        const Object& object = model_.at(*where.object);
        if (S_ISDIR(object.mode)) {
            if (object.entries.empty()) set(HF_RMDIR, *where.object, journal::Unlink{where.directory, keep(where.name), true});
        } else {
            set(HF_UNLINK, *where.object, journal::Unlink{where.directory, keep(where.name), object.names == 1});
        }
    }

    void rename() {
        Place from = place(model_, op_.dice[0], op_.dice[1]), to = place(model_, op_.dice[2], op_.dice[3]);
        if (!from.object || from.object == to.object) return;
        const bool is_tree = S_ISDIR(model_.at(*from.object).mode);
        if (is_tree && model_.is_within(to.directory, *from.object)) return;
        const bool exchange = op_.dice[4] % 4 == 0;
        bool last_link = false;
        if (exchange) {
            if (!to.object) return;
            if (S_ISDIR(model_.at(*to.object).mode) && model_.is_within(from.directory, *to.object)) return;
        } else if (to.object) {
            const Object& other = model_.at(*to.object);
            if (S_ISDIR(other.mode) != is_tree || !other.entries.empty()) return;
            last_link = is_tree || other.names == 1;
        }
        set(HF_RENAME, *from.object,
            journal::Rename{from.directory, keep(from.name), to.directory, keep(to.name), to.object.value_or(ObjectId{}),
                            exchange, last_link});
    }

    void set_attributes() {
        auto object = pick(model_, op_.dice[0], [](auto&, const Object&) { return true; });
        journal::Attributes attributes{};
        attributes.valid = op_.dice[1] & (HF_ATTR_MODE | HF_ATTR_UID | HF_ATTR_GID | HF_ATTR_MTIME);
        attributes.mode = model_.at(*object).mode;
        if (S_ISLNK(attributes.mode)) attributes.valid &= ~HF_ATTR_MODE;
        if (attributes.valid & HF_ATTR_MODE) attributes.mode = (attributes.mode & S_IFMT) | (op_.dice[2] & 07777);
        // A change of owner clears set-id bits on most systems, so a capture layer always records the mode with it.
        if (attributes.valid & (HF_ATTR_UID | HF_ATTR_GID) && !S_ISLNK(attributes.mode)) attributes.valid |= HF_ATTR_MODE;
        attributes.uid = op_.dice[3] % 70000;
        attributes.gid = op_.dice[4] % 70000;
        attributes.mtime_ns = static_cast<int64_t>(time_ns_ - op_.dice[4]);
        if (attributes.valid) set(HF_SETATTR, *object, journal::SetAttr{attributes});
    }

    void set_xattr() {
        auto object = pick(model_, op_.dice[0], [](auto&, const Object&) { return true; });
        const std::string name = xattr_name(*object);
        // Some are so long that ext4 has no room for them, or not for all of an object.
        const size_t length = op_.dice[2] % 16 == 1 ? 1000 + op_.dice[3] % 3500 : op_.dice[2] % 4 == 0 ? op_.dice[3] % 900 : op_.dice[3] % 40;
        set(HF_SETXATTR, *object, journal::SetXattr{{keep(name), keep(noise(length))}});
    }
    void remove_xattr() {
        auto object = pick(model_, op_.dice[0], [](auto&, const Object& o) { return !o.xattrs.empty(); });
        if (!object) return;
        auto xattr = model_.at(*object).xattrs.begin();
        std::advance(xattr, op_.dice[1] % model_.at(*object).xattrs.size());
        set(HF_REMOVEXATTR, *object, journal::RemoveXattr{keep(xattr->first)});
    }

    void orphan_end() {
        auto object = pick(model_, op_.dice[0], [](auto&, const Object& o) { return !S_ISDIR(o.mode) && o.names == 0; });
        if (object) set(HF_ORPHAN_END, *object, journal::OrphanEnd{});
    }
    void heartbeat() { set(HF_HEARTBEAT, {}, journal::Marker{}); }

private:
    std::string_view keep(std::string text) {
        made.strings.push_back(std::move(text));
        return made.strings.back();
    }
    void set(hf_record_type type, const ObjectId& object, journal::Body body) {
        made.record.type = type;
        made.record.object = object;
        made.record.body = std::move(body);
    }
    std::string noise(size_t length) const {
        std::mt19937 random(op_.dice[4]);
        std::string bytes(length, '\0');
        std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random()); });
        return bytes;
    }
    std::string xattr_name(const ObjectId& object) const {
        const uint32_t mode = model_.at(object).mode;
        const bool allows_user = S_ISREG(mode) || S_ISDIR(mode);
        return allows_user ? xattr_names[op_.dice[1] % std::size(xattr_names)] : "trusted.three";
    }
    void write_at(const std::function<uint64_t(uint64_t)>& offset_for_size) {
        auto file = pick(model_, op_.dice[0], is_file);
        if (!file) return;
        const uint64_t offset = offset_for_size(model_.at(*file).bytes->size());
        const uint64_t length = op_.dice[3] % 3 == 0 ? 1 + op_.dice[2] % 20000 : 1 + op_.dice[2] % 300;
        if (offset + length <= 2 * file_bytes_max) emit_write(*file, offset, length);
    }
    void emit_write(const ObjectId& file, uint64_t offset, uint64_t length) {
        set(HF_WRITE, file, journal::Write{offset, bytes_of(keep(noise(length)))});
    }
    void bear(const Place& where, uint32_t type) {
        journal::Birth body;
        body.parent = where.directory;
        body.name = keep(where.name);
        body.attributes.valid = HF_ATTR_ALL;
        body.attributes.mode = type | (S_ISLNK(type) ? 0777 : op_.dice[3] & 07777);
        body.attributes.uid = op_.dice[4] % 3000;
        body.attributes.gid = op_.dice[4] % 2000;
        body.attributes.mtime_ns = body.attributes.atime_ns = body.attributes.ctime_ns = static_cast<int64_t>(time_ns_);
        if (S_ISLNK(type)) body.target = keep("../" + noise(4).append("x"));
        if (S_ISLNK(type)) std::replace(made.strings.back().begin(), made.strings.back().end(), '\0', '0');
        if (S_ISCHR(type)) body.rdev = makedev(1, 3);
        if (S_ISREG(type) && op_.dice[2] % 5 == 0) body.xattrs.push_back({keep("user.born"), keep("with it")});
        const ObjectId id{next_inode(), op_.dice[4], 1};
        set(journal::birth_type(type), id, std::move(body));
    }
    uint64_t next_inode() { return ++inode_; }

    const Model& model_;
    const Op& op_;
    uint64_t& inode_;
    uint64_t& time_ns_;
};

// How often each kind comes up: its share of the dice.
constexpr struct {
    uint32_t share;
    void (Maker::*make)();
} kinds[] = {
    {14, &Maker::write},         {8, &Maker::write_whole_blocks}, {8, &Maker::append},       {5, &Maker::truncate},
    {10, &Maker::fallocate},     {18, &Maker::birth},             {3, &Maker::nameless_birth}, {6, &Maker::link},
    {7, &Maker::remove},         {10, &Maker::rename},            {6, &Maker::set_attributes}, {5, &Maker::set_xattr},
    {3, &Maker::remove_xattr},   {3, &Maker::orphan_end},         {1, &Maker::heartbeat},
};

}  // namespace

OwnedRecord Generator::next(const Model& model, const Op& op) {
    next_time_ns_ += 1'000'000;
    Maker maker(model, op, next_inode_, next_time_ns_);
    maker.made.strings.reserve(8);  // records borrow from the strings, so they must not move
    uint32_t total = 0;
    for (const auto& kind : kinds) total += kind.share;
    uint32_t left = op.kind % total;
    for (const auto& kind : kinds) {
        if (left < kind.share) {
            (maker.*kind.make)();
            break;
        }
        left -= kind.share;
    }
    return std::move(maker.made);
}

}  // namespace holdfast::test
