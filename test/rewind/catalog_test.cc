// The catalog of a source's tree: what a replica takes for one, and what it refuses.
#include "rewind/sync/catalog.h"

#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <functional>

#include "test/support/scratch.h"

namespace holdfast::test {
namespace {

using journal::ObjectId;
using journal::root_object;
using rewind::Catalog;

constexpr ObjectId directory{7, 1, 1}, file{8, 1, 1}, other{9, 1, 1};

class Page {
public:
    Page& top() { return add(HF_SETATTR, root_object, journal::SetAttr{attributes(S_IFDIR | 0755)}); }
    Page& xattr(const ObjectId& object, std::string_view name) { return add(HF_SETXATTR, object, journal::SetXattr{{name, "value"}}); }
    Page& born(const ObjectId& object, const ObjectId& parent, std::string_view name, uint32_t mode = S_IFREG | 0644) {
        journal::Birth birth;
        birth.parent = parent;
        birth.name = name;
        birth.attributes = attributes(mode);
        return add(journal::birth_type(mode), object, birth);
    }
    Page& small(const ObjectId& object, std::string_view name, uint64_t size = 10, uint32_t mode = S_IFREG | 0644) {
        journal::Birth birth;
        birth.parent = root_object;
        birth.name = name;
        birth.attributes = attributes(mode);
        return add(journal::birth_type(mode), object, birth, size, true);
    }
    Page& written(const ObjectId& object, uint64_t offset, std::string_view bytes) { return add(HF_WRITE, object, journal::Write{offset, bytes_of(bytes)}); }
    Page& add(hf_record_type type, const ObjectId& object, journal::Body body, uint64_t size = 10, bool has_bytes = false) {
        rewind::CatalogItem item{{}, 1, size, has_bytes};
        item.record.type = type;
        item.record.object = object;
        item.record.body = std::move(body);
        rewind::append_item(item, bytes);
        return *this;
    }
    static journal::Attributes attributes(uint32_t mode) { return {HF_ATTR_ALL, mode, 1, 2, 3, 4, 5}; }

    std::vector<std::byte> bytes;
};

std::string take(const Page& page) {
    ScratchDirectory scratch;
    auto catalog = Catalog::make(scratch.path());
    REQUIRE(catalog.has_value());
    Status taken = catalog->add(page.bytes);
    if (taken) taken = catalog->complete();
    if (taken) return "";
    CHECK(taken.error().code == ErrorCode::corrupt);
    return taken.error().message;
}

}  // namespace

TEST_CASE("catalog: the tree that was told, over several pages") {
    ScratchDirectory scratch;
    auto catalog = Catalog::make(scratch.path());
    REQUIRE(catalog.has_value());
    const auto add = [&](const Page& page) { REQUIRE(catalog->add(page.bytes).has_value()); };
    add(Page().top().xattr(root_object, "user.top").born(directory, root_object, "a", S_IFDIR | 0700));
    add(Page().xattr(directory, "user.one").xattr(directory, "user.more").born(file, root_object, "b"));
    add(Page().born(file, directory, "second name"));
    add(Page().born(other, {}, ""));
    REQUIRE(catalog->complete().has_value());
    CHECK(catalog->names() == 4);

    rewind::CatalogTree tree(*catalog);
    const auto root = tree.root();
    REQUIRE(root.has_value());
    CHECK(root->id == root_object);
    CHECK(root->attributes.mode == (S_IFDIR | 0755));
    auto top = tree.open(*root);
    REQUIRE(top.has_value());
    CHECK((*top)->xattrs(*root).value() == rewind::XattrList{{"user.top", "value"}});
    const auto entries = (*top)->list();
    REQUIRE(entries.has_value());
    REQUIRE(entries->size() == 2);
    CHECK((*entries)[0].name == "a");
    CHECK((*top)->xattrs((*entries)[0]).value() == rewind::XattrList{{"user.more", "value"}, {"user.one", "value"}});
    CHECK((*entries)[1].id == file);
    CHECK((*entries)[1].attributes.size == 10);
    CHECK((*top)->xattrs((*entries)[1])->empty());
    auto below = tree.open((*entries)[0]);
    REQUIRE(below.has_value());
    REQUIRE((*below)->list()->size() == 1);
    CHECK((*below)->list()->front().name == "second name");
    const auto nameless = tree.nameless();
    REQUIRE(nameless.has_value());
    REQUIRE(nameless->size() == 1);
    CHECK(nameless->front().id == other);
}

TEST_CASE("catalog: the objects of a page are told with their bytes, which are not kept") {
    ScratchDirectory scratch;
    auto catalog = Catalog::make(scratch.path());
    REQUIRE(catalog.has_value());
    std::vector<std::string> told;
    const auto tell = [&](const rewind::CatalogObject& object) -> Status {
        std::string text = object.object.name + (object.has_bytes ? " has" : "");
        for (const auto& [name, value] : object.xattrs) text += " " + name;
        for (const journal::Write& write : object.bytes) text += " " + std::to_string(write.offset) + "+" + std::to_string(write.data.size());
        told.push_back(text);
        return ok();
    };
    Page page;
    page.top().small(file, "a").xattr(file, "user.x").written(file, 0, "xy").written(file, 8, "ab").small(other, "b").born(directory, root_object, "c", S_IFDIR | 0700);
    REQUIRE(catalog->add(page.bytes, tell).has_value());
    REQUIRE(catalog->complete().has_value());
    CHECK(told == std::vector<std::string>{"", "a has user.x 0+2 8+2", "b has", "c"});
    CHECK(catalog->directories_without_entries() == std::vector<ObjectId>{directory});
    CHECK(catalog->directory(directory)->attributes.mode == (S_IFDIR | 0700));
    rewind::CatalogTree tree(*catalog);
    const auto top = tree.open(*tree.root());
    const auto entries = (*top)->list();
    REQUIRE(entries.has_value());
    REQUIRE(entries->size() == 3);
    CHECK((*entries)[1].attributes.size == 10);
    CHECK((*top)->xattrs((*entries)[0]).value() == rewind::XattrList{{"user.x", "value"}});

    const Status two_pages = catalog->add(Page().xattr(directory, "user.late").bytes, tell);
    REQUIRE(!two_pages.has_value());
    CHECK(two_pages.error().code == ErrorCode::corrupt);
}

TEST_CASE("catalog: what makes no sense is refused") {
    struct Case {
        const char* what;
        std::function<void(Page&)> fill;
    };
    const Case cases[] = {
        {"nothing", [](Page&) {}},
        {"no top", [](Page& p) { p.born(file, root_object, "a"); }},
        {"two tops", [](Page& p) { p.top().top(); }},
        {"a top that is a file", [](Page& p) { p.add(HF_SETATTR, root_object, journal::SetAttr{{HF_ATTR_ALL, S_IFREG, 0, 0, 0, 0, 0}}); }},
        {"an xattr of nothing", [](Page& p) { p.xattr(file, "user.x"); }},
        {"an xattr of the store's own", [](Page& p) { p.top().xattr(root_object, "trusted.holdfast.id"); }},
        {"entries of nobody", [](Page& p) { p.top().born(file, directory, "a"); }},
        {"entries out of order", [](Page& p) { p.top().born(file, root_object, "b").born(other, root_object, "a"); }},
        {"one name twice", [](Page& p) { p.top().born(file, root_object, "a").born(other, root_object, "a"); }},
        {"a directory in itself", [](Page& p) { p.top().born(directory, root_object, "a", S_IFDIR).born(directory, directory, "b", S_IFDIR); }},
        {"two listings of one directory",
         [](Page& p) { p.top().born(directory, root_object, "a", S_IFDIR).born(file, directory, "b").born(other, root_object, "c"); }},
        {"a file that is a directory, too", [](Page& p) { p.top().born(directory, root_object, "a", S_IFDIR).born(directory, root_object, "b"); }},
        {"the top below itself", [](Page& p) { p.top().born(root_object, root_object, "a", S_IFDIR); }},
        {"bytes of files", [](Page& p) { p.top().add(HF_WRITE, file, journal::Write{0, bytes_of(std::string_view("x"))}); }},
        {"bytes of a file that was not said to have them", [](Page& p) { p.top().born(file, root_object, "a").written(file, 0, "x"); }},
        {"bytes of another file", [](Page& p) { p.top().small(file, "a").written(other, 0, "x"); }},
        {"bytes beyond the end", [](Page& p) { p.top().small(file, "a").written(file, 9, "xy"); }},
        {"bytes far beyond the end", [](Page& p) { p.top().small(file, "a").written(file, 1ULL << 40, "xy"); }},
        {"bytes twice", [](Page& p) { p.top().small(file, "a").written(file, 0, "xy").written(file, 1, "x"); }},
        {"no bytes", [](Page& p) { p.top().small(file, "a").written(file, 0, ""); }},
        {"bytes after another object", [](Page& p) { p.top().small(file, "a").small(other, "b").written(file, 0, "x"); }},
        {"bytes of a directory", [](Page& p) { p.top().small(directory, "a", 10, S_IFDIR | 0700); }},
        {"bytes of the top", [](Page& p) { p.add(HF_SETATTR, root_object, journal::SetAttr{Page::attributes(S_IFDIR | 0755)}, 10, true); }},
        {"bytes of a large file", [](Page& p) { p.top().small(file, "a", rewind::small_file_bytes_max + 1); }},
        {"half an item", [](Page& p) { p.top().bytes.pop_back(); }},
    };
    for (const Case& one : cases) {
        Page page;
        one.fill(page);
        INFO(one.what);
        CHECK(take(page) != "");
    }
}

}  // namespace holdfast::test
