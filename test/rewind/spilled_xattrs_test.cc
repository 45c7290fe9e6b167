#include "rewind/spilled_xattrs.h"

#include <linux/limits.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "test/rewind/store_story.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using rewind::SpilledXattrs;
using List = std::vector<std::pair<std::string, std::string>>;

const ObjectId file{100, 1, 1}, other{101, 1, 1};

struct Place {
    ScratchDirectory scratch;
    std::unique_ptr<SpilledXattrs> spilled;

    Place() { reopen(); }
    void reopen() { spilled = StoreStory::need(SpilledXattrs::open(scratch / "xattrs")); }
    List of(const ObjectId& object) const {
        List list = StoreStory::need(spilled->of(object));
        std::sort(list.begin(), list.end());
        return list;
    }
    bool is_empty() const { return fs::is_empty(scratch / "xattrs"); }
};

// Names that an application may give: with slashes, dots and signs of ours, and as long as can be.
const std::vector<std::string> odd_names = {
    "user.a", "user.a/b", "user./", "user.%2F", "user.%", "user.a=", "user.=", "user..", "user.../..", "trusted.\xff\xfe\n",
    "user." + std::string(250, '/'), "user." + std::string(250, '%'), "user." + std::string(235, 'x'), "user." + std::string(236, 'x'), "user." + std::string(234, 'x'), "user." + std::string(234, 'x') + "=and more", "user." + std::string(250, '.')};

}  // namespace

TEST_CASE("spilled xattrs: whatever the name, what was put is there until it is removed") {
    Place place;
    List expected;
    for (const std::string& name : odd_names) {
        REQUIRE(place.spilled->put(file, name, "value of " + name));
        expected.emplace_back(name, "value of " + name);
    }
    std::sort(expected.begin(), expected.end());
    place.reopen();
    CHECK(place.of(file) == expected);
    CHECK(place.of(other).empty());
    for (const auto& [name, value] : expected) {
        INFO(name);
        CHECK(StoreStory::need(place.spilled->value(file, name)) == value);
        CHECK(!StoreStory::need(place.spilled->value(other, name)));
        REQUIRE(place.spilled->remove(file, name));
        REQUIRE(place.spilled->remove(file, name));
        CHECK(!StoreStory::need(place.spilled->value(file, name)));
    }
    CHECK(place.is_empty());
}

TEST_CASE("spilled xattrs: a value is replaced whole, and an object's are forgotten together") {
    Place place;
    REQUIRE(place.spilled->put(file, "user.a", std::string(XATTR_SIZE_MAX, 'l')));
    REQUIRE(place.spilled->put(file, "user.a", ""));
    REQUIRE(place.spilled->put(other, "user.a", "kept"));
    CHECK(place.of(file) == List{{"user.a", ""}});
    for (const std::string& name : odd_names) REQUIRE(place.spilled->put(file, name, "x"));
    REQUIRE(place.spilled->forget(file));
    REQUIRE(place.spilled->forget(file));
    CHECK(place.of(file).empty());
    CHECK(place.of(other) == List{{"user.a", "kept"}});
}

TEST_CASE("spilled xattrs: one that a power loss took counts as not there") {
    Place place;
    for (const char* name : {"user.cut", "user.empty", "user.rotten", "user.whole"}) REQUIRE(place.spilled->put(file, name, "value"));
    const std::string directory = place.scratch / ("xattrs/" + journal::to_string(file));
    fs::resize_file(directory + "/user.cut=", 10);
    fs::resize_file(directory + "/user.empty=", 0);
    std::ofstream(directory + "/user.rotten=", std::ios::in | std::ios::out | std::ios::binary).seekp(9) << "!";
    CHECK(place.of(file) == List{{"user.whole", "value"}});
    CHECK(!StoreStory::need(place.spilled->value(file, "user.rotten")));
}

}  // namespace holdfast::test
