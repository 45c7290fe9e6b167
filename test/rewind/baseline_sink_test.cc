#include "rewind/baseline_sink.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "rewind/extents.h"
#include "test/rewind/store_story.h"

namespace holdfast::test {

namespace {

using rewind::BaselineObject;
using rewind::BaselineSink;
namespace fs = std::filesystem;

const ObjectId file{100, 1, 1}, other{101, 1, 1}, directory{102, 1, 1}, inner{103, 1, 1};
constexpr uint32_t regular = S_IFREG | 0640;

template <typename T>
T need(Result<T> result) {
    return StoreStory::need(std::move(result));
}

// A store whose first copy is pending.
struct Copying {
    Copying() {
        story.close();
        std::ofstream(story.path("first-copy")).flush();
        story.open();
        sink = story.store().baseline();
    }
    void interrupt() {  // without commit()
        sink.reset();
        story.reopen();
        sink = story.store().baseline();
    }
    BaselineObject object(const ObjectId& id, const std::string& name, uint32_t mode, const ObjectId& parent = root_object) const {
        BaselineObject object{id, parent, name, {}, {}, {}};
        object.attributes.mode = mode;
        if (S_ISLNK(mode)) object.target = "some/where";
        return object;
    }
    std::string image(const std::string& name) const { return story.path("image/") + name; }

    StoreStory story;
    std::unique_ptr<BaselineSink> sink;
};

}  // namespace

TEST_CASE("baseline sink: objects have their attributes, xattrs and times in the end") {
    Copying copy;
    need(copy.sink->make(copy.object(directory, "d", S_IFDIR | 0755)));
    need(copy.sink->make(copy.object(file, "f", regular, directory)));
    rewind::ObjectAttributes attributes;
    attributes.mode = S_IFREG | 06751;
    attributes.uid = 12;
    attributes.gid = 34;
    attributes.mtime_ns = -1'500'000'000;
    need(copy.sink->finish(file, attributes, {{"user.kept", "value"}}));
    struct stat status;
    REQUIRE(::stat(copy.image("d/f").c_str(), &status) == 0);
    CHECK(status.st_mode == attributes.mode);
    CHECK(status.st_uid == 12);
    CHECK(status.st_gid == 34);
    CHECK(status.st_mtim.tv_sec == -2);
    CHECK(status.st_mtim.tv_nsec == 500'000'000);
    char value[8];
    CHECK(::getxattr(copy.image("d/f").c_str(), "user.kept", value, sizeof value) == 5);
    need(copy.sink->finish(file, attributes, {}));
    CHECK(::getxattr(copy.image("d/f").c_str(), "user.kept", value, sizeof value) < 0);
    CHECK(need(copy.sink->lookup(directory, "f")) == file);
}

TEST_CASE("baseline sink: bytes are copied and holes stay holes") {
    Copying copy;
    const std::string source = copy.story.path("source");
    const int fd = ::open(source.c_str(), O_RDWR | O_CREAT, 0600);
    REQUIRE(::pwrite(fd, "head", 4, 0) == 4);
    REQUIRE(::pwrite(fd, "tail", 4, 1 << 20) == 4);
    REQUIRE(::ftruncate(fd, 3 << 20) == 0);
    need(copy.sink->make(copy.object(file, "f", regular)));
    std::ofstream(copy.image("f")) << "what an interrupted attempt had written, and more of it than is wanted";
    uint64_t told = 0;
    need(copy.sink->copy_data(file, fd, 3 << 20, [&](uint64_t bytes) { told += bytes; }));
    ::close(fd);
    std::ifstream copied(copy.image("f"), std::ios::binary), original(source, std::ios::binary);
    CHECK(std::string(std::istreambuf_iterator<char>(copied), {}) == std::string(std::istreambuf_iterator<char>(original), {}));
    const int image = ::open(copy.image("f").c_str(), O_RDONLY);
    CHECK(need(rewind::data_extents_of(image)).size() == 2);
    ::close(image);
    CHECK(told > 0);
}

TEST_CASE("baseline sink: an interrupted copy goes on where it was, and sees what moved in the meantime") {
    Copying copy;
    need(copy.sink->make(copy.object(directory, "d", S_IFDIR | 0755)));
    need(copy.sink->make(copy.object(file, "f", regular)));
    need(copy.sink->make(copy.object(inner, "e", S_IFDIR | 0755, directory)));
    need(copy.sink->commit());
    copy.interrupt();
    need(copy.sink->make(copy.object(file, "f", regular)));
    // Renamed in the tree since the last attempt.
    need(copy.sink->make(copy.object(file, "g", regular, directory)));
    need(copy.sink->make(copy.object(inner, "moved", S_IFDIR | 0755)));
    need(copy.sink->remove(root_object, "f"));
    CHECK(!fs::exists(copy.image("f")));
    CHECK(!fs::exists(copy.image("d/e")));
    CHECK(need(copy.sink->lookup(directory, "g")) == file);
    CHECK(need(copy.sink->lookup(root_object, "moved")) == inner);
    CHECK(need(copy.sink->find(file))->links == 1);
}

TEST_CASE("baseline sink: hard links are one object, the last name takes it along") {
    Copying copy;
    need(copy.sink->make(copy.object(file, "a", regular)));
    need(copy.sink->link(file, root_object, "b"));
    need(copy.sink->link(file, root_object, "b"));
    CHECK(need(copy.sink->find(file))->links == 2);
    CHECK(fs::hard_link_count(copy.image("a")) == 2);
    need(copy.sink->make(copy.object(other, "c", S_IFIFO | 0600)));
    CHECK(copy.sink->link(file, root_object, "c").error().code == ErrorCode::exists);
    CHECK(copy.sink->make(copy.object(file, "c", regular)).error().code == ErrorCode::exists);
    need(copy.sink->remove(root_object, "a"));
    CHECK(need(copy.sink->find(file)).has_value());
    need(copy.sink->remove(root_object, "b"));
    CHECK(!need(copy.sink->find(file)));
}

TEST_CASE("baseline sink: a directory goes with everything beneath it") {
    Copying copy;
    ObjectId parent = root_object;
    for (uint64_t depth = 0; depth < 300; ++depth) {
        const ObjectId id{1000 + depth, 1, 1};
        need(copy.sink->make(copy.object(id, "down", S_IFDIR | 0755, parent)));
        need(copy.sink->make(copy.object({5000 + depth, 1, 1}, "beside", S_IFLNK | 0777, parent)));
        parent = id;
    }
    need(copy.sink->remove(root_object, "down"));
    need(copy.sink->commit());
    CHECK(!fs::exists(copy.image("down")));
    CHECK(fs::is_empty(copy.story.path("graveyard")));
    CHECK(!need(copy.sink->find({1299, 1, 1})));
}

TEST_CASE("baseline sink: a nameless object lies in the graveyard until it is linked") {
    Copying copy;
    need(copy.sink->make(copy.object(file, "", regular)));
    CHECK(need(copy.sink->find(file))->links == 0);
    CHECK(fs::exists(copy.story.path("graveyard/") + journal::to_string(file)));
    need(copy.sink->link(file, root_object, "named"));
    CHECK(need(copy.sink->find(file))->links == 1);
    CHECK(fs::is_empty(copy.story.path("graveyard")));
}

}  // namespace holdfast::test
