#include <linux/limits.h>
#include <sys/xattr.h>

#include <filesystem>
#include <fstream>

#include "rewind/baseline_sink.h"
#include "test/rewind/store_story.h"

namespace holdfast::test {

namespace {

const ObjectId file{100, 1, 1}, other{101, 1, 1}, directory{102, 1, 1};
constexpr uint32_t regular = S_IFREG | 0644;

// A capability as the kernel accepts it: version 2, cap_net_raw permitted and effective.
const std::string capability("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);

// An access ACL: version, then (tag, permissions, id) of owner, one user, group, mask and others.
std::string acl(uint16_t owner, uint16_t user, uint16_t mask) {
    std::string value("\x02\x00\x00\x00", 4);
    const auto entry = [&](uint16_t tag, uint16_t perm, uint32_t id) {
        value.append(reinterpret_cast<const char*>(&tag), 2).append(reinterpret_cast<const char*>(&perm), 2);
        value.append(reinterpret_cast<const char*>(&id), 4);
    };
    entry(0x01, owner, ~0u);
    entry(0x02, user, 1234);
    entry(0x04, 4, ~0u);
    entry(0x10, mask, ~0u);
    entry(0x20, 0, ~0u);
    return value;
}

std::string image_xattr(const std::string& path, const char* name) {
    std::string value(256, '\0');
    const ssize_t length = ::lgetxattr(path.c_str(), name, value.data(), value.size());
    return length < 0 ? std::string() : value.substr(0, static_cast<size_t>(length));
}

}  // namespace

TEST_CASE("store: a second process is told that it is in use") {
    StoreStory story;
    const auto second = FollowingStore::open(story.volume());
    REQUIRE(!second);
    CHECK(second.error().code == ErrorCode::busy);
}

TEST_CASE("store: another volume's store is refused") {
    StoreStory story;
    StoreStory::need(story.store().checkpoint());
    story.close();
    journal::Volume stranger = story.volume();
    stranger.id = journal::random_volume_id();
    const auto opened = FollowingStore::open(stranger);
    REQUIRE(!opened);
    CHECK(opened.error().code == ErrorCode::foreign);
    CHECK(FollowingStore::open(story.volume()).has_value());
}

TEST_CASE("store: moments before the window and in the future are refused") {
    StoreStory story;
    const Lsn now = story.birth(file, "file", regular);
    CHECK(story.store().check_moment(now).error().code == ErrorCode::not_found);
    story.apply();
    CHECK(story.store().check_moment(now).has_value());
    CHECK(story.store().check_moment(now + 1).error().code == ErrorCode::not_found);
}

TEST_CASE("store: no moment inside a gap is offered, before and after a restart") {
    StoreStory story;
    const Lsn before = story.birth(file, "file", regular);
    const Lsn begun = story.tell(HF_GAP_BEGIN, {}, journal::Gap{true, HF_GAP_JOURNAL_FULL, 7, "the journal was full"});
    const Lsn inside = story.write(file, 0, "repaired");
    const Lsn ended = story.tell(HF_GAP_END, {}, journal::Gap{false, HF_GAP_JOURNAL_FULL, 7, "repaired"});
    story.apply();
    for (int round = 0; round < 2; ++round) {
        CHECK(story.store().check_moment(before).has_value());
        CHECK(story.store().check_moment(begun).error().code == ErrorCode::gap);
        CHECK(story.store().check_moment(inside).error().code == ErrorCode::gap);
        CHECK(story.store().check_moment(ended).has_value());
        story.reopen();
    }
}

TEST_CASE("store: an object that is made again after its death keeps its earlier life in the past") {
    StoreStory story;
    story.birth(file, "old", regular, root_object, {{"user.old", "1"}});
    const Lsn lived = story.write(file, 0, "the earlier life");
    story.unlink(file, "old");
    const Lsn dead = story.tell(HF_ORPHAN_END, file, journal::OrphanEnd{});
    const bool at_once = GENERATE(true, false);  // in one batch, or death and rebirth apart
    if (!at_once) story.apply();
    story.birth(file, "new", S_IFREG | 0600, root_object, {{"user.new", "2"}});
    const Lsn again = story.write(file, 4, "back");
    story.apply();
    for (int round = 0; round < 2; ++round) {
        CHECK(story.read(lived, "old") == "the earlier life");
        CHECK(story.xattrs(lived, "old") == std::map<std::string, std::string>{{"user.old", "1"}});
        CHECK(!story.exists(dead, "old"));
        CHECK(!story.exists(dead, "new"));
        CHECK(story.read(again, "new") == std::string("\0\0\0\0back", 8));
        CHECK(story.xattrs(again, "new") == std::map<std::string, std::string>{{"user.new", "2"}});
        CHECK(story.mode(again, "new") == (S_IFREG | 0600));
        story.reopen();  // without a checkpoint: all of it is applied again
    }
}

TEST_CASE("store: attributes for which the file system of the image has no room are there at every moment, through restarts") {
    StoreStory story;
    const bool one_by_one = GENERATE(true, false);  // each applied, and looked at in the image, or all in one batch
    std::vector<std::pair<Lsn, std::map<std::string, std::string>>> moments;
    std::map<std::string, std::string> expected;
    const auto is_as_told = [&] {
        for (const auto& [moment, then] : moments) CHECK(story.xattrs(moment, "f") == then);
    };
    const auto note = [&](Lsn moment) {
        moments.emplace_back(moment, expected);
        if (!one_by_one) return;
        story.apply();
        is_as_told();
    };
    const auto set = [&](const std::string& name, const std::string& value) {
        expected[name] = value;
        note(story.set_xattr(file, name, value));
    };
    const std::string large(XATTR_SIZE_MAX, 'l');  // more than ext4 and btrfs keep
    note(story.birth(file, "f", regular));
    for (const char* name : {"user.a", "user.b", "user.c"}) set(name, std::string(1800, name[5]));
    set("user.a", "small");
    set("user.c", std::string(3000, 'C'));
    for (const std::string& value : {large, std::string("which fits"), large, std::string("a value that fits"), large}) set("user.large", value);
    expected.erase("user.c");
    note(story.tell(HF_REMOVEXATTR, file, journal::RemoveXattr{"user.c"}));
    story.apply();
    is_as_told();
    CHECK(!std::filesystem::is_empty(story.path("xattrs")));
    expected.erase("user.large");
    note(story.tell(HF_REMOVEXATTR, file, journal::RemoveXattr{"user.large"}));
    story.reopen();  // without a checkpoint: all of it is applied again
    story.apply();
    is_as_told();
}

TEST_CASE("store: a directory that is made again after its removal is the same one") {
    StoreStory story;
    story.birth(directory, "d", S_IFDIR | 0755);
    const Lsn lived = story.birth(file, "f", regular, directory);
    story.unlink(file, "f", directory);
    story.tell(HF_RMDIR, directory, journal::Unlink{root_object, "d", true});
    story.apply();
    story.birth(directory, "e", S_IFDIR | 0700);
    const Lsn again = story.birth(other, "g", regular, directory);
    story.apply();
    CHECK(story.exists(lived, "d/f"));
    CHECK(!story.exists(again, "d"));
    CHECK(story.exists(again, "e/g"));
    CHECK(!story.exists(again, "e/f"));
}

TEST_CASE("store: an object that lives cannot be born again") {
    StoreStory story;
    story.birth(file, "file", regular);
    story.birth(file, "twice", regular);
    auto taken = story.store().apply(*std::make_unique<journal::Reader>(*StoreStory::need(open_disk(story.volume().journal_directory)),
                                                                       story.volume().id, story.volume().segment_bytes, nullptr),
                                     1 << 20);
    REQUIRE(!taken);
    CHECK(taken.error().code == ErrorCode::corrupt);
    // Fenced: nothing is applied any more.
    CHECK(story.store().checkpoint().error().code == ErrorCode::corrupt);
}

TEST_CASE("store: a capability stays when the stream does not say that it went") {
    StoreStory story;
    story.birth(file, "ping", S_IFREG | 04755);
    const Lsn has = story.set_xattr(file, "security.capability", capability);
    story.apply();
    StoreStory::need(story.store().checkpoint());  // from here on only its undo tells recovery of the capability
    const Lsn written = story.write(file, 0, "binary");
    const Lsn owned = story.set_attributes(file, HF_ATTR_UID, 0, 1000);
    story.apply();
    for (int round = 0; round < 2; ++round) {
        for (const Lsn moment : {has, written, owned}) CHECK(story.xattrs(moment, "ping").count("security.capability") == 1);
        CHECK(image_xattr(story.path("image/ping"), "security.capability") == capability);
        CHECK(story.mode(owned, "ping") == (S_IFREG | 04755));
        // As a crash between the write and the restoring of the capability would leave it.
        story.close();
        if (round == 0) CHECK(::removexattr(story.path("image/ping").c_str(), "security.capability") == 0);
        story.open();
    }
    const Lsn gone = story.tell(HF_REMOVEXATTR, file, journal::RemoveXattr{"security.capability"});
    story.apply();
    CHECK(story.xattrs(gone, "ping").empty());
    CHECK(story.xattrs(owned, "ping").size() == 1);
}

TEST_CASE("store: ACL and mode are those of their moment") {
    StoreStory story;
    story.birth(file, "file", regular);
    story.set_xattr(file, "system.posix_acl_access", acl(6, 7, 7));
    const Lsn set = story.set_attributes(file, HF_ATTR_MODE, S_IFREG | 0670);
    const Lsn narrowed = story.set_attributes(file, HF_ATTR_MODE, S_IFREG | 0640);
    story.apply();
    CHECK(story.mode(set, "file") == (S_IFREG | 0670));
    CHECK(story.xattrs(set, "file").at("system.posix_acl_access") == acl(6, 7, 7));
    CHECK(story.mode(narrowed, "file") == (S_IFREG | 0640));
    CHECK(story.xattrs(narrowed, "file").at("system.posix_acl_access") == acl(6, 7, 4));
}

TEST_CASE("store: a default ACL gives nothing to what is born without one") {
    StoreStory story;
    story.birth(directory, "d", S_IFDIR | 0755, root_object, {{"system.posix_acl_default", acl(7, 7, 7)}});
    story.apply();
    const Lsn born = story.birth(file, "plain", regular, directory);
    story.apply();
    CHECK(story.xattrs(born, "d/plain").empty());
    CHECK(story.mode(born, "d/plain") == regular);
}

TEST_CASE("store: an application cannot give an object another identity") {
    StoreStory story;
    story.birth(file, "file", regular, root_object, {{"trusted.holdfast.id", "1:7:7"}});
    const Lsn now = story.set_xattr(file, "trusted.holdfast.id", "1:8:8");
    story.apply();
    CHECK(image_xattr(story.path("image/file"), "trusted.holdfast.id") == journal::to_string(file));
    CHECK(story.xattrs(now, "file").empty());
}

TEST_CASE("store: a damaged index is made anew from the undo log and the image") {
    StoreStory story;
    story.birth(directory, "d", S_IFDIR | 0755);
    story.birth(file, "f", regular, directory);
    const Lsn first = story.write(file, 0, "first");
    const Lsn second = story.write(file, 0, "other");
    story.apply();
    StoreStory::need(story.store().checkpoint());
    story.close();
    for (const auto& entry : std::filesystem::directory_iterator(story.path("index")))
        if (entry.path().filename().string().starts_with("MANIFEST")) std::ofstream(entry.path(), std::ios::trunc) << "damage";
    story.open();
    CHECK(story.store().evidence().find("made anew") != std::string::npos);
    CHECK(story.read(first, "d/f") == "first");
    CHECK(story.read(second, "d/f") == "other");
    const Lsn third = story.write(file, 0, "third");
    story.apply();
    CHECK(story.read(third, "d/f") == "third");
    CHECK(story.read(second, "d/f") == "other");
}

TEST_CASE("store: where its position is damaged or gone the copy of it serves, and without both it is refused") {
    StoreStory story;
    story.birth(file, "file", regular);
    const Lsn first = story.write(file, 0, "first");
    story.apply();
    StoreStory::need(story.store().checkpoint());
    const Lsn second = story.write(file, 0, "other");
    story.apply();
    StoreStory::need(story.store().checkpoint());
    story.close();
    const auto damage = [&](const char* name) { std::ofstream(story.path(name), std::ios::in | std::ios::binary) << "h0ldfast"; };
    SECTION("damaged") { damage("position"); }
    SECTION("gone") { std::filesystem::remove(story.path("position")); }
    SECTION("the copy is") { damage("position.copy"); }
    story.open();
    CHECK(story.read(first, "file") == "first");
    CHECK(story.read(second, "file") == "other");
    StoreStory::need(story.store().checkpoint());  // writes both anew
    story.close();
    damage("position");
    story.reopen();
    CHECK(story.read(second, "file") == "other");
    story.close();
    damage("position"), damage("position.copy");
    const auto refused = FollowingStore::open(story.volume());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::corrupt);
    CHECK(refused.error().message.find("and so is its copy") != std::string::npos);
}

TEST_CASE("store: records that the journal lost are told, and older moments stay exact") {
    StoreStory story;
    story.birth(file, "file", regular);
    const Lsn safe = story.write(file, 0, "safe");
    story.apply();
    StoreStory::need(story.store().checkpoint());
    const Lsn lost = story.write(file, 0, "lost");
    const Lsn damaged = story.last();
    story.apply();
    story.close();
    std::fstream segment(story.volume().journal_directory + "/" + journal::segment_name(0), std::ios::in | std::ios::out | std::ios::binary);
    segment.seekp(static_cast<std::streamoff>(damaged + 30));
    segment.write("damage", 6);
    segment.close();
    for (int round = 0; round < 2; ++round) {
        story.open();
        if (round == 0) CHECK(story.store().evidence().find("The journal lost") != std::string::npos);
        CHECK(story.read(safe, "file") == "safe");
        CHECK(story.store().check_moment(lost).error().code == ErrorCode::gap);
        story.close();
    }
}

// Btrfs makes data of them; test/model/on_file_system.sh runs this there.
TEST_CASE("store: what is applied again leaves holes where a file had become shorter since") {
    constexpr uint64_t block = 4096;
    StoreStory story;
    story.birth(file, "file", regular);
    story.write(file, 0, std::string(2 * block, 'x'));
    const auto keep = [&] {
        story.apply();
        StoreStory::need(story.store().checkpoint());
    };
    const auto grow = [&] { return story.tell(HF_TRUNCATE, file, journal::Truncate{6 * block}); };
    std::vector<Lsn> moments;
    SECTION("by a larger size") {
        keep();
        moments.push_back(grow());
    }
    SECTION("by a shift") {
        moments.push_back(grow());
        keep();
        moments.push_back(story.tell(HF_FALLOCATE, file, journal::Fallocate{4 * block, block, HF_FALLOC_INSERT_RANGE}));
    }
    moments.push_back(story.tell(HF_TRUNCATE, file, journal::Truncate{2 * block + 100}));
    story.apply();
    story.reopen();
    CHECK(story.store().evidence().find("applied again") != std::string::npos);
    for (const Lsn moment : moments) {
        const auto extents = StoreStory::need(story.at(moment).data_extents(file));
        REQUIRE(extents.size() == 1);
        CHECK(extents[0].offset + extents[0].length == 2 * block);
    }
}

TEST_CASE("store: one that cannot be brought forward is opened as it is, applies nothing, and offers nothing since its checkpoint") {
    StoreStory story;
    story.birth(file, "file", regular);
    const Lsn safe = story.write(file, 0, "safe");
    story.apply();
    StoreStory::need(story.store().checkpoint());
    const Lsn later = story.write(file, 0, "late");
    story.apply();
    story.close();
    std::filesystem::remove(story.path("image/file"));
    const auto disk = StoreStory::need(open_disk(story.volume().journal_directory));
    journal::Reader reader(*disk, story.volume().id, story.volume().segment_bytes, nullptr);
    REQUIRE_FALSE(rewind::Store::open(story.volume(), reader, system_clock()));
    const auto store = StoreStory::need(rewind::Store::open(story.volume(), reader, system_clock(), rewind::Store::Opening::as_it_is));
    CHECK(store->awaits_repair());
    CHECK(store->applied() == later);
    CHECK(store->check_moment(safe).has_value());
    REQUIRE_FALSE(store->check_moment(later));
    CHECK(store->check_moment(later).error().code == ErrorCode::gap);
    story.write(file, 0, "more");
    CHECK(StoreStory::need(store->apply(reader, 1 << 20)) == 0);
    CHECK(store->applied() == later);
}

TEST_CASE("store: a first copy offers no moment until it is finished") {
    StoreStory story;
    story.close();
    std::ofstream(story.path("first-copy")).flush();
    story.open();
    REQUIRE(story.store().first_copy_pending());
    CHECK(story.store().check_moment(0).error().code == ErrorCode::not_found);
    auto sink = story.store().baseline();
    StoreStory::need(sink->make({file, root_object, "file", {regular}, {}, {}}));
    StoreStory::need(sink->commit());
    sink.reset();
    StoreStory::need(story.store().finish_first_copy(HF_SEGMENT_HEADER_BYTES));
    CHECK(!story.store().first_copy_pending());
    CHECK(story.exists(HF_SEGMENT_HEADER_BYTES, "file"));
    CHECK(story.store().check_moment(HF_SEGMENT_HEADER_BYTES - 1).error().code == ErrorCode::not_found);
    const Lsn written = story.write(file, 0, "on top of the copy");
    story.apply();
    story.reopen();
    CHECK(story.read(written, "file") == "on top of the copy");
}

TEST_CASE("store: the window gives way to its limit, oldest first, with the bodies that only it could reach") {
    StoreStory story([](journal::Volume& volume) { volume.window_bytes_max = 24 << 20; });
    story.birth(file, "file", regular);
    const Lsn early = story.birth(other, "dead", regular);
    story.set_xattr(other, "user.large", std::string(XATTR_SIZE_MAX, 'l'));
    story.unlink(other, "dead");
    story.tell(HF_ORPHAN_END, other, journal::OrphanEnd{});
    const std::string bytes(1 << 20, 'x');
    Lsn moment = 0;
    for (int round = 0; round < 60; ++round) {
        moment = story.write(file, 0, bytes);
        if (round % 10 == 9) story.apply();
    }
    story.apply();
    StoreStory::need(story.store().checkpoint());
    const std::string grave = story.path("graveyard/") + rewind::Image::grave_name(other);
    REQUIRE(std::filesystem::exists(grave));
    CAPTURE(story.store().undo_log().used_bytes(), story.store().undo_log().segment_bytes(), story.store().undo_log().end());
    REQUIRE(StoreStory::need(story.store().prune()) > 0);
    CHECK(story.store().window_begin() > early);
    CHECK(story.store().check_moment(early).error().code == ErrorCode::not_found);
    CHECK(!std::filesystem::exists(grave));
    CHECK(std::filesystem::is_empty(story.path("xattrs")));
    CHECK(story.store().undo_log().used_bytes() < uint64_t{40} << 20);
    CHECK(story.read(moment, "file") == bytes);
    const Lsn begin = story.store().window_begin();
    story.reopen();
    CHECK(story.store().window_begin() == begin);
    CHECK(StoreStory::need(story.store().prune()) == 0);
}

}  // namespace holdfast::test
