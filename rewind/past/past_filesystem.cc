#include "rewind/past/past_filesystem.h"

#include <algorithm>

#include "base/file_time.h"
#include "base/text.h"
#include "rewind/image.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t block_bytes = 512;
constexpr uint64_t page_bytes = 4096;
// Up to this size the blocks that a file occupies are counted exactly, which asks for everything that was
// overwritten in it. For a larger file one page less than its size is told: so tools that copy sparsely (cp, tar) see
// that there may be holes and ask where they are, which is then answered exactly.
constexpr uint64_t exact_blocks_bytes_max = 64ULL << 20;

struct stat stat_of(const ObjectAttributes& attributes, uint64_t number, uint64_t blocks) {
    struct stat status {};
    status.st_ino = number;
    status.st_mode = attributes.mode;
    status.st_nlink = attributes.nlink;
    status.st_uid = attributes.uid;
    status.st_gid = attributes.gid;
    status.st_rdev = attributes.rdev;
    status.st_size = static_cast<off_t>(attributes.size);
    status.st_blksize = page_bytes;
    status.st_blocks = static_cast<blkcnt_t>(blocks);
    status.st_atim = file_time(attributes.atime_ns);
    status.st_mtim = file_time(attributes.mtime_ns);
    status.st_ctim = file_time(attributes.ctime_ns);
    return status;
}

uint64_t pages_in_blocks(uint64_t bytes) {
    return (bytes + page_bytes - 1) / page_bytes * (page_bytes / block_bytes);
}

Result<uint64_t> blocks_of(const View& view, const journal::ObjectId& object, const ObjectAttributes& attributes) {
    if (S_ISDIR(attributes.mode)) return pages_in_blocks(attributes.size);
    if (!S_ISREG(attributes.mode) || attributes.size == 0) return uint64_t{0};
    if (attributes.size > exact_blocks_bytes_max) return (attributes.size - page_bytes) / block_bytes;
    uint64_t blocks = 0;
    for (const DataExtent& extent : HF_TRY(view.data_extents(object))) blocks += pages_in_blocks(extent.length);
    return blocks;
}

Error stale(const PastMoment& moment, const Error& why) {
    return {ErrorCode::not_found, "@" + moment.text + " can no longer be read: " + why.message, ESTALE};
}

}  // namespace

struct PastFilesystem::Question {
    StoreLoan store;
    PastNode node;
    View view;

    // The last word on every answer, be it good or an error.
    template <typename T>
    Result<T> checked(Result<T> answer) const {
        if (Status status = store->check_moment(view.at()); !status) return stale(*node.moment, status.error());
        return answer;
    }
};

Result<PastFilesystem::Question> PastFilesystem::ask(uint64_t number) {
    std::optional<PastNode> node = nodes_.find(number);
    if (!node) return Error{ErrorCode::not_found, "the kernel asks for a node that it has given back", ESTALE};
    return ask(std::move(*node));
}

Result<PastFilesystem::Question> PastFilesystem::ask(PastNode node) {
    node.moment->last_used_ns.store(clock_.monotonic_ns(), std::memory_order_relaxed);
    StoreLoan store = HF_TRY(source_.borrow());
    const Store& opened = *store;
    const Lsn at = node.moment->lsn;
    return Question{std::move(store), std::move(node), View(opened, at)};
}

Result<struct stat> PastFilesystem::attributes_of(const Question& question, const journal::ObjectId& object) {
    const ObjectAttributes attributes = HF_TRY(question.view.attributes(object));
    const uint64_t blocks = HF_TRY(blocks_of(question.view, object, attributes));
    return stat_of(attributes, PastNodes::number_of(*question.node.moment, object), blocks);
}

Result<PastFilesystem::Entry> PastFilesystem::lookup(uint64_t parent, const std::string& name, pid_t thread) {
    if (parent == PastNodes::root) return lookup_moment(name, thread);
    const Question question = HF_TRY(ask(parent));
    Result<journal::ObjectId> object = question.checked(question.view.lookup(question.node.object, name));
    if (!object) {
        const Error& error = object.error();
        if (error.code != ErrorCode::not_found || error.sys_errno != ENOENT) return std::move(object).error();
        return Entry{.valid_s = immutable_valid_s};
    }
    Entry entry;
    entry.attributes = HF_TRY(question.checked(attributes_of(question, *object)));
    entry.number = nodes_.remember(question.node.moment, *object);
    entry.attributes.st_ino = entry.number;
    entry.valid_s = entry.attributes_valid_s = immutable_valid_s;
    return entry;
}

Result<PastFilesystem::Entry> PastFilesystem::entry_of(uint64_t directory, const Name& name) {
    const Question question = HF_TRY(ask(directory));
    Entry entry;
    entry.attributes = HF_TRY(question.checked(attributes_of(question, name.object)));
    entry.number = nodes_.remember(question.node.moment, name.object);
    entry.attributes.st_ino = entry.number;
    entry.valid_s = entry.attributes_valid_s = immutable_valid_s;
    return entry;
}

Result<std::shared_ptr<PastMoment>> PastFilesystem::resolve(const std::string& text, pid_t thread) {
    const bool relative = is_relative(parse_moment(text));
    const pid_t process = relative ? source_.process_of(thread) : 0;
    if (relative) {
        if (auto pinned = pins_.find(text, process, clock_.monotonic_ns())) return pinned;
    }
    const Moment resolved = HF_TRY(source_.resolve(text));
    std::shared_ptr<PastMoment> moment = nodes_.moment(text, resolved.lsn);
    if (!moment) return Error{ErrorCode::no_space, "too many moments are in use on one mount of the past", ENFILE};
    if (relative) pins_.pin(process, moment, clock_.monotonic_ns());
    return moment;
}

Result<PastFilesystem::Entry> PastFilesystem::lookup_moment(const std::string& name, pid_t thread) {
    if (!name.starts_with('@')) return Error{ErrorCode::not_found, "moments are written @MOMENT", ENOENT};
    Result<std::shared_ptr<PastMoment>> moment = resolve(name.substr(1), thread);
    if (!moment) {
        Error error = std::move(moment).error();
        log_limit_.warn("There is no " + quoted(name) + " in the past: " + error.message + ".");
        const bool is_answer = error.code == ErrorCode::not_found || error.code == ErrorCode::invalid_argument ||
                               error.code == ErrorCode::gap;
        if (is_answer) error.sys_errno = ENOENT;
        return error;
    }
    const Question question = HF_TRY(ask(PastNode{*moment, journal::root_object}));
    Entry entry;
    entry.attributes = HF_TRY(question.checked(attributes_of(question, journal::root_object)));
    entry.number = nodes_.remember(*moment, journal::root_object);
    entry.attributes.st_ino = entry.number;
    // Not kept at all when it depends on who asks.
    entry.valid_s = is_relative(parse_moment((*moment)->text)) ? 0 : moment_valid_s;
    entry.attributes_valid_s = immutable_valid_s;
    return entry;
}

struct stat PastFilesystem::top_attributes() const {
    struct stat status {};
    status.st_ino = PastNodes::root;
    // Who may look into the past is decided by the modes of that past; the top directory holds nothing but names.
    status.st_mode = S_IFDIR | 0555;
    status.st_nlink = 2;
    status.st_blksize = page_bytes;
    status.st_atim = status.st_mtim = status.st_ctim = file_time(static_cast<int64_t>(mounted_ns_));
    return status;
}

Result<std::pair<struct stat, double>> PastFilesystem::attributes(uint64_t number) {
    if (number == PastNodes::root) return std::pair(top_attributes(), moment_valid_s);
    const Question question = HF_TRY(ask(number));
    struct stat status = HF_TRY(question.checked(attributes_of(question, question.node.object)));
    status.st_ino = number;
    return std::pair(status, immutable_valid_s);
}

Result<std::vector<PastFilesystem::Name>> PastFilesystem::list(uint64_t directory) {
    std::vector<Name> names;
    if (directory == PastNodes::root) {
        for (const BookmarkEntry& bookmark : source_.offered_bookmarks())
            names.push_back(
                {"@" + bookmark.name, PastNodes::number_of_moment(bookmark.name, bookmark.lsn), S_IFDIR, {}});
        return names;
    }
    const Question question = HF_TRY(ask(directory));
    for (ViewEntry& entry : HF_TRY(question.checked(question.view.list(question.node.object)))) {
        const uint64_t number = PastNodes::number_of(*question.node.moment, entry.object);
        names.push_back({std::move(entry.name), number, entry.mode, entry.object});
    }
    return names;
}

Result<std::string> PastFilesystem::readlink(uint64_t number) {
    const Question question = HF_TRY(ask(number));
    return question.checked(question.view.readlink(question.node.object));
}

Result<std::string> PastFilesystem::read(uint64_t number, uint64_t offset, size_t length) {
    const Question question = HF_TRY(ask(number));
    std::string bytes(length, '\0');
    const MutableByteSpan into{reinterpret_cast<std::byte*>(bytes.data()), bytes.size()};
    bytes.resize(HF_TRY(question.checked(question.view.read(question.node.object, offset, into))));
    return bytes;
}

Result<std::vector<DataExtent>> PastFilesystem::data_extents(uint64_t number) {
    const Question question = HF_TRY(ask(number));
    return question.checked(question.view.data_extents(question.node.object));
}

Result<PastFilesystem::XattrList> PastFilesystem::xattrs(uint64_t number) {
    if (number == PastNodes::root) return XattrList();
    const Question question = HF_TRY(ask(number));
    return question.checked(question.view.xattrs(question.node.object));
}

Result<struct statvfs> PastFilesystem::statistics() {
    const StoreLoan store = HF_TRY(source_.borrow());
    struct statvfs status;
    if (::fstatvfs(store->image().root_fd(), &status) != 0) return errno_error(errno, "ask for the image's free space");
    return status;
}

}  // namespace holdfast::rewind
