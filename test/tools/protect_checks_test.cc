#include "tools/cli/protect_checks.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::cli;
namespace fs = std::filesystem;

namespace {

struct Place {
    test::ScratchDirectory scratch;
    std::string real = fs::canonical(scratch.path());
};

}  // namespace

TEST_CASE("protect: places that lie in one another are refused, whichever way round") {
    journal::Volume volume;
    auto code = [&](const char* directory, const char* store, const char* journal) {
        volume.directory = directory;
        volume.store = store;
        volume.journal_directory = journal;
        auto checked = check_places(volume);
        return checked ? std::string("fine") : std::string(to_string(checked.error().code));
    };
    CHECK(code("/srv/data", "/backup/data", "/backup/data/journal") == "fine");
    CHECK(code("/srv/data", "/backup/data", "/fast/journal") == "fine");
    CHECK(code("/srv/data", "/srv/data2", "/srv/data2/journal") == "fine");
    CHECK(code("/srv/data", "/srv/data", "/srv/data/journal") == "invalid argument");
    CHECK(code("/srv/data", "/srv/data/store", "/x") == "invalid argument");
    CHECK(code("/srv/data", "/srv", "/srv/journal") == "invalid argument");
    CHECK(code("/srv/data", "/backup", "/srv/data/journal") == "invalid argument");
    CHECK(code("/srv/data", "/backup", "/srv") == "invalid argument");
    CHECK(code("/srv/data", "/backup/s", "/backup") == "invalid argument");
}

TEST_CASE("protect: a store is only made where its parent is") {
    Place place;
    CHECK(*place_for(place.real + "/new", "store") == place.real + "/new");
    CHECK(*place_for(place.real + "/./new/", "store") == place.real + "/new");
    auto missing = place_for(place.real + "/none/new", "store");
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().code == ErrorCode::not_found);
    fs::create_directory(place.real + "/real");
    fs::create_directory_symlink(place.real + "/real", place.real + "/link");
    CHECK(*place_for(place.real + "/link", "store") == place.real + "/real");
    CHECK(*place_for(place.real + "/link/new", "store") == place.real + "/real/new");
}

TEST_CASE("protect: what is left out is a directory to which directories alone lead") {
    Place place;
    fs::create_directories(place.real + "/var/tmp");
    std::ofstream(place.real + "/file") << "x";
    fs::create_directory_symlink("var", place.real + "/link");
    auto code = [&](const char* path) {
        auto checked = check_left_out(place.real, journal::LeftOut::of({path}).value());
        if (!checked) CHECK(checked.error().message.find(path) != std::string::npos);
        return checked ? std::string("fine") : std::string(to_string(checked.error().code));
    };
    CHECK(code("var") == "fine");
    CHECK(code("var/tmp") == "fine");
    CHECK(code("nothing") == "not found");
    CHECK(code("var/nothing/x") == "not found");
    CHECK(code("file") == "invalid argument");
    CHECK(code("file/x") == "invalid argument");
    CHECK(code("link") == "invalid argument");
    CHECK(code("link/tmp") == "invalid argument");
}
