#include "rewind/image.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "rewind/apply/make_object.h"
#include "rewind/object_search.h"
#include "test/support/scratch.h"

namespace holdfast::rewind {

namespace {

struct Place {
    Place() {
        std::filesystem::create_directory(scratch / "image");
        std::filesystem::create_directory(scratch / "graveyard");
    }
    Image image() {
        auto opened = Image::open(scratch.path());
        if (!opened) FAIL(opened.error().message);
        return std::move(*opened);
    }
    test::ScratchDirectory scratch;
};

}  // namespace

TEST_CASE("image: an id in text is read back, and nothing else is one") {
    const ObjectId id{UINT64_MAX, UINT32_MAX, 7};
    CHECK(parse_object_id(journal::to_string(id)) == id);
    for (const char* text : {"", "1", "1:2", "1:2:", "1:2:3:", "1:2:3x", "-1:2:3", ":2:3", "1:2:4294967296", "1: 2:3"}) {
        CAPTURE(text);
        CHECK(!parse_object_id(text));
    }
}

TEST_CASE("image: an object is found by its place, whatever its name is") {
    Place place;
    const Image image = place.image();
    const ObjectId id{5, 6, 7};
    auto made = make_object(image, image.root_fd(), "first", {id, S_IFREG});
    REQUIRE(made.has_value());
    CHECK(image.object_of(image.root_fd(), "first").value() == id);
    std::filesystem::rename(place.scratch / "image/first", place.scratch / "graveyard/second");
    const auto fd = image.open_object(id, made->location, O_RDONLY);
    REQUIRE(fd.has_value());
    CHECK(image.object_of(fd->get()).value() == id);
    CHECK(image.object_of(image.root_fd(), "first").error().code == ErrorCode::not_found);
}

TEST_CASE("image: an object is searched by its handle alone, in image and graveyard, and what is gone is not found") {
    Place place;
    const Image image = place.image();
    std::filesystem::create_directories(place.scratch / "image/a/b/c");
    for (const char* other : {"image/a/other", "image/a/b/other", "graveyard/other"}) std::ofstream(place.scratch / other).flush();
    for (const char* at : {"image/a/b/c", "image/a", "image", "graveyard"}) {
        for (const uint32_t type : {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO}) {
            CAPTURE(at, type);
            const UniqueFd directory(::open((place.scratch / at).c_str(), O_RDONLY | O_DIRECTORY));
            const auto made = make_object(image, directory.get(), "wanted", {{4, 5, 6}, type, 0, "somewhere"});
            REQUIRE(made.has_value());
            const auto found = search_for(image, made->location);
            REQUIRE(found.has_value());
            CHECK(found->name == "wanted");
            CHECK(file_handle_at(found->directory.get(), "").value() == file_handle_at(directory.get(), "").value());
            std::filesystem::remove(place.scratch / at + "/wanted");
            CHECK(search_for(image, made->location).error().code == ErrorCode::not_found);
        }
    }
}

// docs/performance.md has what it says.
TEST_CASE("image: the cost of a search among 100,000 files", "[.][measure]") {
    Place place;
    const Image image = place.image();
    ImageLocation last;
    for (int directory = 0; directory < 1000; ++directory) {
        const std::string path = place.scratch / "image/" + std::to_string(directory);
        std::filesystem::create_directory(path);
        for (int file = 0; file < 100; ++file) std::ofstream(path + "/" + std::to_string(file)).flush();
        // Directories wait on a stack, so the first one is the last to be looked at.
        if (directory == 0) last = ImageLocation{file_handle_at(AT_FDCWD, path + "/99").value().bytes, S_IFREG, 1};
    }
    ::sync();
    for (const char* what : {"warm", "names forgotten", "nothing cached"}) {
        if (what[0] == 'n') std::ofstream("/proc/sys/vm/drop_caches") << (what[1] == 'a' ? 2 : 3);
        const auto begin = std::chrono::steady_clock::now();
        REQUIRE(search_for(image, last).has_value());
        std::printf("%s: %.1f ms\n", what, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    }
}

TEST_CASE("image: an object without an id, and a name that is none, are told apart from absence") {
    Place place;
    const Image image = place.image();
    std::ofstream(place.scratch / "image/stranger").flush();
    CHECK(image.object_of(image.root_fd(), "stranger").error().code == ErrorCode::corrupt);
    for (const char* name : {"", ".", "..", "a/b"}) CHECK(image.object_of(image.root_fd(), name).error().code == ErrorCode::invalid_argument);
}

TEST_CASE("image: a symbolic link is never followed") {
    Place place;
    const Image image = place.image();
    auto target = make_object(image, image.root_fd(), "target", {{1, 2, 3}, S_IFREG});
    auto link = make_object(image, image.root_fd(), "link", {{4, 5, 6}, S_IFLNK, 0, "target"});
    REQUIRE((target.has_value() && link.has_value()));
    CHECK(image.object_of(image.root_fd(), "link").value() == ObjectId{4, 5, 6});
    CHECK(image.object_of(link->fd.get()).value() == ObjectId{4, 5, 6});
    CHECK(S_ISLNK(image.attributes_of(link->fd.get()).value().mode));
}

TEST_CASE("image: every type of object can be made, and the rest of an interrupted attempt is replaced") {
    Place place;
    const Image image = place.image();
    for (const uint32_t type : {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFCHR, S_IFSOCK}) {
        CAPTURE(type);
        // As if the process had died before it could write the id.
        if (type == S_IFDIR) std::filesystem::create_directory(place.scratch / "image/object");
        else std::ofstream(place.scratch / "image/object").flush();
        auto made = make_object(image, image.root_fd(), "object", {{9, 9, 9}, type, makedev(1, 3), "somewhere"});
        REQUIRE(made.has_value());
        const ObjectAttributes attributes = image.attributes_of(made->fd.get()).value();
        CHECK((attributes.mode & S_IFMT) == type);
        if (type == S_IFCHR) CHECK(attributes.rdev == makedev(1, 3));
        CHECK(make_object(image, image.root_fd(), "object", {{8, 8, 8}, type, 0, "elsewhere"}).error().sys_errno == EEXIST);
        std::filesystem::remove(place.scratch / "image/object");
    }
}

}  // namespace holdfast::rewind
