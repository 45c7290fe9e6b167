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
    Page& add(hf_record_type type, const ObjectId& object, journal::Body body) {
        rewind::CatalogItem item{{}, 1, 10};
        item.record.type = type;
        item.record.object = object;
        item.record.body = std::move(body);
        rewind::append_item(item, bytes);
        return *this;
    }
    std::vector<std::byte> bytes;

private:
    static journal::Attributes attributes(uint32_t mode) { return {HF_ATTR_ALL, mode, 1, 2, 3, 4, 5}; }
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
