#include "fusefs/settle.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

#include "journal/segment.h"
#include "journal/writer.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::fusefs;
using holdfast::test::ScratchDirectory;

namespace {

constexpr journal::Lsn address = 65536;

uint64_t coarse_now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// A directory that stands in for the backing tree, and one slot of a worker that died.
class Tree {
public:
    Tree() : root(::open(scratch.path().c_str(), O_RDONLY | O_DIRECTORY)), slot(std::make_unique<journal::Slot>()) {
        REQUIRE(root.valid());
        auto learned = NodeIds::learn(root.get(), 1);
        REQUIRE(learned.has_value());
        nodes.emplace(std::move(*learned));
        auto made = Settler::prepare(root.get(), 1, [this](const journal::ObjectId& id, journal::Lsn) -> Result<bool> { return known.count(id) > 0; },
                                     [this](const std::string& why) { doubts.push_back(why); return ok(); });
        REQUIRE(made.has_value());
        settler.emplace(std::move(*made));
    }

    std::string path(const std::string& name) const { return scratch.path() + "/" + name; }
    void make(const std::string& name, const std::string& contents = "") { std::ofstream(path(name)) << contents; }
    ObjectName named(const std::string& name) const {
        auto found = nodes->name_at(root.get(), name);
        REQUIRE(found.has_value());
        return *found;
    }
    struct stat info(const std::string& name) const {
        struct stat found {};
        REQUIRE(::lstat(path(name).c_str(), &found) == 0);
        return found;
    }
    IntentFacts facts_of(const std::string& name) const {
        const struct stat before = info(name);
        IntentFacts facts;
        facts.node = named(name).node;
        facts.parent_node = facts.new_parent_node = root_node;
        facts.size_before = static_cast<uint64_t>(before.st_size);
        facts.links_before = static_cast<uint32_t>(before.st_nlink);
        facts.ctime_before_ns = before.st_ctim.tv_sec * 1'000'000'000 + before.st_ctim.tv_nsec;
        facts.begun_ns = coarse_now_ns();
        facts.repeatable = 1;
        return facts;
    }
    void intend(hf_record_type type, const journal::ObjectId& object, journal::Body body, const IntentFacts& facts, uint32_t room = 8192) {
        journal::Record record{.type = type, .lsn = address, .object = object, .body = std::move(body)};
        store_intent(*slot, record, std::max(room, journal::encoded_length(record.body)), facts);
    }
    // What recovery would write. Nothing: a VOID.
    std::optional<journal::Record> settled() {
        journal::Record head{.type = HF_VOID};
        auto outcome = settler->settle(*slot, head);
        INFO((outcome ? "" : outcome.error().message));
        REQUIRE(outcome.has_value());
        if (*outcome) CHECK(journal::encoded_length((*outcome)->body) <= slot->length);
        return *outcome;
    }

    ScratchDirectory scratch;
    UniqueFd root;
    std::unique_ptr<journal::Slot> slot;
    std::optional<NodeIds> nodes;
    std::optional<Settler> settler;
    std::set<journal::ObjectId> known;
    std::vector<std::string> doubts;
};

std::string text(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

journal::Birth birth_of(std::string_view name, uint32_t mode) {
    journal::Birth birth{journal::root_object, name, {}};
    birth.attributes.valid = HF_ATTR_MODE;
    birth.attributes.mode = mode;
    return birth;
}

IntentFacts birth_facts() {
    IntentFacts facts;
    facts.parent_node = root_node;
    facts.begun_ns = coarse_now_ns();
    return facts;
}

constexpr journal::ObjectId unborn{1, 0, 1};

}  // namespace

TEST_CASE("settle: a write that took effect is recorded with the bytes that are there") {
    Tree tree;
    tree.make("f", "old contents");
    auto facts = tree.facts_of("f");
    facts.length = 6;
    tree.intend(HF_WRITE, tree.named("f").id, journal::Write{4, {}}, facts);
    UniqueFd file(::open(tree.path("f").c_str(), O_WRONLY));
    REQUIRE(::pwrite(file.get(), "NEWNEW", 6, 4) == 6);
    auto record = tree.settled();
    REQUIRE(record.has_value());
    CHECK(record->as<journal::Write>().offset == 4);
    CHECK(text(record->as<journal::Write>().data) == "NEWNEW");
}

TEST_CASE("settle: a write that was cut off is recorded as far as it came") {
    Tree tree;
    tree.make("f");
    auto facts = tree.facts_of("f");
    facts.length = 12288;
    tree.intend(HF_WRITE, tree.named("f").id, journal::Write{0, {}}, facts, 16384);
    UniqueFd file(::open(tree.path("f").c_str(), O_WRONLY));
    const std::string half(4096, 'h');
    REQUIRE(::pwrite(file.get(), half.data(), half.size(), 0) == 4096);
    auto record = tree.settled();
    REQUIRE(record.has_value());
    CHECK(text(record->as<journal::Write>().data) == half);
}

TEST_CASE("settle: a write into a hole or beyond the end that never happened is void") {
    Tree tree;
    tree.make("f");
    REQUIRE(::truncate(tree.path("f").c_str(), 1 << 20) == 0);
    auto facts = tree.facts_of("f");
    facts.length = 4096;
    tree.intend(HF_WRITE, tree.named("f").id, journal::Write{65536, {}}, facts);
    CHECK_FALSE(tree.settled().has_value());
    tree.intend(HF_WRITE, tree.named("f").id, journal::Write{2 << 20, {}}, facts);
    CHECK_FALSE(tree.settled().has_value());
}

TEST_CASE("settle: a write to a file that is gone is void") {
    Tree tree;
    tree.make("f", "x");
    auto facts = tree.facts_of("f");
    facts.length = 1;
    tree.intend(HF_WRITE, tree.named("f").id, journal::Write{0, {}}, facts);
    REQUIRE(::unlink(tree.path("f").c_str()) == 0);
    CHECK_FALSE(tree.settled().has_value());
    CHECK(tree.doubts.empty());
}

TEST_CASE("settle: a truncation is recorded when the size is the wanted one") {
    Tree tree;
    tree.make("f", "0123456789");
    tree.intend(HF_TRUNCATE, tree.named("f").id, journal::Truncate{3}, tree.facts_of("f"));
    CHECK_FALSE(tree.settled().has_value());
    REQUIRE(::truncate(tree.path("f").c_str(), 3) == 0);
    auto record = tree.settled();
    REQUIRE(record.has_value());
    CHECK(record->as<journal::Truncate>().size == 3);
}

TEST_CASE("settle: every way to allocate is void before and recorded after") {
    struct Row { int mode; uint64_t offset, length; };
    for (const Row& row : {Row{0, 65536, 8192}, Row{FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192}, Row{FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 20000},
                           Row{FALLOC_FL_ZERO_RANGE, 4096, 100}, Row{FALLOC_FL_COLLAPSE_RANGE, 4096, 8192}, Row{FALLOC_FL_INSERT_RANGE, 4096, 8192}}) {
        INFO("mode " << row.mode << " at " << row.offset);
        Tree tree;
        tree.make("f", std::string(32768, 'd'));
        UniqueFd file(::open(tree.path("f").c_str(), O_RDWR));
        tree.intend(HF_FALLOCATE, tree.named("f").id, journal::Fallocate{row.offset, row.length, static_cast<uint32_t>(row.mode)}, tree.facts_of("f"));
        CHECK_FALSE(tree.settled().has_value());
        if (::fallocate(file.get(), row.mode, static_cast<off_t>(row.offset), static_cast<off_t>(row.length)) != 0) {
            WARN("this file system lacks mode " << row.mode);
            continue;
        }
        auto record = tree.settled();
        REQUIRE(record.has_value());
        CHECK(record->as<journal::Fallocate>().mode == static_cast<uint32_t>(row.mode));
        CHECK(tree.doubts.empty());
    }
}

TEST_CASE("settle: births of every type are recorded as what was made, and void when nothing was") {
    for (const uint32_t type : {S_IFREG, S_IFDIR, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFLNK}) {
        INFO("type " << type);
        Tree tree;
        auto body = birth_of("new", type | 0777);
        if (type == S_IFLNK) body.target = "somewhere";
        tree.intend(journal::birth_type(type), unborn, body, birth_facts());
        CHECK_FALSE(tree.settled().has_value());
        const std::string path = tree.path("new");
        if (type == S_IFDIR) REQUIRE(::mkdir(path.c_str(), 0750) == 0);
        else if (type == S_IFLNK) REQUIRE(::symlink("somewhere", path.c_str()) == 0);
        else REQUIRE(::mknod(path.c_str(), type | 0640, type == S_IFCHR ? makedev(1, 3) : 0) == 0);
        if (type != S_IFLNK) REQUIRE(::lsetxattr(path.c_str(), "trusted.t", "v", 1, 0) == 0);
        auto record = tree.settled();
        REQUIRE(record.has_value());
        const auto& birth = record->as<journal::Birth>();
        const struct stat info = tree.info("new");
        CHECK(record->type == journal::birth_type(type));
        CHECK(record->object == tree.named("new").id);
        CHECK(birth.parent == journal::root_object);
        CHECK(birth.name == "new");
        CHECK(birth.attributes.mode == info.st_mode);
        CHECK(birth.rdev == info.st_rdev);
        CHECK(birth.target == (type == S_IFLNK ? "somewhere" : ""));
        CHECK(birth.xattrs.size() == (type == S_IFLNK ? 0 : 1));
        CHECK(tree.doubts.empty());
    }
}

TEST_CASE("settle: a birth is void when the name was there before, by age or because the journal knows it") {
    Tree tree;
    tree.make("new");
    auto facts = birth_facts();
    tree.known.insert(tree.named("new").id);
    tree.intend(HF_CREATE, unborn, birth_of("new", S_IFREG | 0644), facts);
    CHECK_FALSE(tree.settled().has_value());
    tree.known.clear();
    CHECK(tree.settled().has_value());
    facts.begun_ns += 1'000'000'000;
    tree.intend(HF_CREATE, unborn, birth_of("new", S_IFREG | 0644), facts);
    CHECK_FALSE(tree.settled().has_value());
}

TEST_CASE("settle: a nameless birth died with its worker") {
    Tree tree;
    tree.intend(HF_CREATE, unborn, birth_of("", S_IFREG | 0600), birth_facts());
    CHECK_FALSE(tree.settled().has_value());
}

TEST_CASE("settle: a birth that does not fit its address is void and raises a doubt") {
    Tree tree;
    auto body = birth_of("new", S_IFREG | 0644);
    journal::Record record{.type = HF_CREATE, .lsn = address, .object = unborn, .body = body};
    store_intent(*tree.slot, record, journal::encoded_length(record.body), birth_facts());
    tree.make("new");
    REQUIRE(::setxattr(tree.path("new").c_str(), "user.big", std::string(2000, 'v').data(), 2000, 0) == 0);
    CHECK_FALSE(tree.settled().has_value());
    CHECK(tree.doubts.size() == 1);
}

TEST_CASE("settle: a link is recorded when the object has one more than before") {
    Tree tree;
    tree.make("f");
    tree.make("other");
    tree.intend(HF_LINK, tree.named("f").id, journal::Link{journal::root_object, "g"}, tree.facts_of("f"));
    CHECK_FALSE(tree.settled().has_value());
    REQUIRE(::link(tree.path("f").c_str(), tree.path("g").c_str()) == 0);
    CHECK(tree.settled().has_value());
    // The same once more: it was going to fail, because the name is there.
    tree.intend(HF_LINK, tree.named("f").id, journal::Link{journal::root_object, "g"}, tree.facts_of("f"));
    CHECK_FALSE(tree.settled().has_value());
    tree.intend(HF_LINK, tree.named("f").id, journal::Link{journal::root_object, "other"}, tree.facts_of("f"));
    CHECK_FALSE(tree.settled().has_value());
    CHECK(tree.doubts.empty());
}

TEST_CASE("settle: removals of names are recorded when the name is gone") {
    Tree tree;
    tree.make("f");
    REQUIRE(::mkdir(tree.path("d").c_str(), 0755) == 0);
    // A removal's facts name no node (operations/names.cc): the object's id says whose name it was.
    const auto facts_of = [&](const char* name) {
        IntentFacts facts = tree.facts_of(name);
        facts.node = 0;
        return facts;
    };
    tree.intend(HF_UNLINK, tree.named("f").id, journal::Unlink{journal::root_object, "f", true}, facts_of("f"));
    CHECK_FALSE(tree.settled().has_value());
    REQUIRE(::unlink(tree.path("f").c_str()) == 0);
    auto record = tree.settled();
    REQUIRE(record.has_value());
    CHECK(record->as<journal::Unlink>().last_link);

    tree.intend(HF_RMDIR, tree.named("d").id, journal::Unlink{journal::root_object, "d", true}, facts_of("d"));
    CHECK_FALSE(tree.settled().has_value());
    REQUIRE(::rmdir(tree.path("d").c_str()) == 0);
    CHECK(tree.settled().has_value());
    CHECK(tree.doubts.empty());
}

TEST_CASE("settle: a rename is recorded when the object arrived, with and without a replaced one") {
    for (const bool replaces : {false, true}) {
        Tree tree;
        tree.make("a", "a");
        if (replaces) tree.make("b", "b");
        auto facts = tree.facts_of("a");
        journal::Rename body{journal::root_object, "a", journal::root_object, "b", {}};
        if (replaces) {
            facts.other_node = tree.named("b").node;
            body.other = tree.named("b").id;
            body.last_link = true;
        }
        tree.intend(HF_RENAME, tree.named("a").id, body, facts);
        CHECK_FALSE(tree.settled().has_value());
        REQUIRE(::rename(tree.path("a").c_str(), tree.path("b").c_str()) == 0);
        auto record = tree.settled();
        REQUIRE(record.has_value());
        CHECK(record->as<journal::Rename>().other == body.other);
        CHECK(record->as<journal::Rename>().last_link == replaces);
        CHECK(tree.doubts.empty());
    }
}

TEST_CASE("settle: an exchange is recorded when both changed places") {
    Tree tree;
    tree.make("a", "a");
    REQUIRE(::mkdir(tree.path("b").c_str(), 0755) == 0);
    auto facts = tree.facts_of("a");
    facts.other_node = tree.named("b").node;
    tree.intend(HF_RENAME, tree.named("a").id, journal::Rename{journal::root_object, "a", journal::root_object, "b", tree.named("b").id, true}, facts);
    CHECK_FALSE(tree.settled().has_value());
    REQUIRE(::renameat2(AT_FDCWD, tree.path("a").c_str(), AT_FDCWD, tree.path("b").c_str(), RENAME_EXCHANGE) == 0);
    auto record = tree.settled();
    REQUIRE(record.has_value());
    CHECK(record->as<journal::Rename>().exchange);
    CHECK(tree.doubts.empty());
}

TEST_CASE("settle: attributes are recorded as they are now, set-id bits included") {
    Tree tree;
    tree.make("f");
    REQUIRE(::chmod(tree.path("f").c_str(), 06755) == 0);
    journal::Attributes wanted{};
    wanted.valid = HF_ATTR_UID;
    wanted.uid = 1234;
    tree.intend(HF_SETATTR, tree.named("f").id, journal::SetAttr{wanted}, tree.facts_of("f"));
    auto before = tree.settled();
    REQUIRE(before.has_value());
    CHECK(before->as<journal::SetAttr>().attributes.uid == 0);
    CHECK((before->as<journal::SetAttr>().attributes.mode & 07777) == 06755);
    REQUIRE(::chown(tree.path("f").c_str(), 1234, static_cast<gid_t>(-1)) == 0);
    auto after = tree.settled();
    REQUIRE(after.has_value());
    const auto& now = after->as<journal::SetAttr>().attributes;
    CHECK(now.uid == 1234);
    CHECK((now.valid & HF_ATTR_MODE) != 0);
    CHECK(now.mode == tree.info("f").st_mode);
}

TEST_CASE("settle: an extended attribute is recorded with the value that is there") {
    Tree tree;
    tree.make("f");
    const std::string path = tree.path("f");
    auto facts = tree.facts_of("f");
    tree.intend(HF_SETXATTR, tree.named("f").id, journal::SetXattr{{"user.a", ""}}, facts);
    CHECK_FALSE(tree.settled().has_value());
    REQUIRE(::setxattr(path.c_str(), "user.a", "value", 5, 0) == 0);
    auto record = tree.settled();
    REQUIRE(record.has_value());
    CHECK(record->as<journal::SetXattr>().xattr.value == "value");
    CHECK(tree.slot->answer_error == 0);

    // Asked to create what was there: the caller of the request that is sent again learns it.
    facts = tree.facts_of("f");
    facts.repeatable = 0;
    tree.intend(HF_SETXATTR, tree.named("f").id, journal::SetXattr{{"user.a", ""}}, facts);
    CHECK(tree.settled().has_value());
    CHECK(tree.slot->answer_error == EEXIST);

    tree.intend(HF_REMOVEXATTR, tree.named("f").id, journal::RemoveXattr{"user.a"}, tree.facts_of("f"));
    CHECK_FALSE(tree.settled().has_value());
    REQUIRE(::removexattr(path.c_str(), "user.a") == 0);
    CHECK(tree.settled().has_value());
    CHECK(tree.slot->answer_error == 0);
}

TEST_CASE("settle: an intent that makes no sense is void and raises a doubt") {
    Tree tree;
    tree.slot->lsn = address;
    tree.slot->length = 64;
    tree.slot->intent_length = 3;
    CHECK_FALSE(tree.settled().has_value());
    CHECK(tree.doubts.size() == 1);
}

TEST_CASE("settle: the journal knows births below an address, also behind an address that was never filled") {
    ScratchDirectory scratch;
    auto disk = open_disk(scratch.path());
    REQUIRE(disk.has_value());
    const auto volume = journal::random_volume_id();
    auto table = journal::InflightTable::open(scratch / "inflight", volume);
    REQUIRE(table.has_value());
    journal::WriterOptions options;
    options.segment_bytes = HF_SEGMENT_BYTES_MIN;
    options.journal_bytes_max = 16ULL * HF_SEGMENT_BYTES_MIN;
    auto writer = journal::Writer::open(**disk, **table, system_clock(), volume, {}, options);
    REQUIRE(writer.has_value());
    const journal::ObjectId born{77, 3, 1}, other{78, 3, 1};
    journal::Record record{.type = HF_CREATE, .object = born, .body = birth_of("f", S_IFREG | 0644)};
    auto hole = (*writer)->reserve(256);
    REQUIRE(hole.has_value());
    auto lsn = (*writer)->append(record);
    REQUIRE(lsn.has_value());
    const auto end = *lsn + journal::encoded_length(record.body);
    auto knows = [&](const journal::ObjectId& id, journal::Lsn below) {
        auto answer = journal_knows_birth(**disk, options.segment_bytes, id, below);
        REQUIRE(answer.has_value());
        return *answer;
    };
    CHECK(knows(born, end));
    CHECK_FALSE(knows(born, *lsn));
    CHECK_FALSE(knows(other, end));
    CHECK((*writer)->abandon(*hole).has_value());
}
