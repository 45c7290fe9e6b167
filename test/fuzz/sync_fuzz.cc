// Arbitrary bytes as what two stores say to each other while one is made equal to the other: questions, answers, what an engine passes
// on, what is told of objects that are compared, and pages of a catalog, of which whatever is taken must be a tree that can be walked to its end. The records in a
// catalog get right checksums, or hardly any would be looked at.

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "rewind/sync/catalog.h"
#include "rewind/sync/object_digest.h"
#include "rewind/sync/sync_pipe.h"
#include "test/fuzz/target.h"

using namespace holdfast;
using namespace holdfast::rewind;

namespace {

constexpr size_t item_head_bytes = 16;

void try_question(ByteSpan bytes) {
    const auto question = decode_question(bytes);
    if (!question) return;
    const auto again = encode_question(*question);
    HF_CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
}

void try_answer(ByteSpan bytes) {
    const auto answer = decode_answer(bytes);
    if (!answer) return;
    if (answer->kind == SyncKind::begin) (void)version_of(*answer).has_value();
    if (answer->kind == SyncKind::shared) (void)shared_of(*answer).has_value();
    for (ByteSpan rest = answer->payload; !rest.empty();) {
        const auto found = take_record(rest);
        if (!found) return;
        HF_CHECK(found->bytes > 0 && found->bytes <= rest.size());
        rest = rest.subspan(found->bytes);
    }
}

void try_pipe(ByteSpan bytes) {
    SyncMessageReader reader;
    // In two pieces.
    for (const ByteSpan piece : {bytes.first(bytes.size() / 2), bytes.subspan(bytes.size() / 2)}) {
        reader.take(piece);
        for (;;) {
            const auto message = reader.next();
            if (!message) return;
            if (!*message) break;
            HF_CHECK((*message)->bytes.size() <= bytes.size());
            (void)control_of(**message).has_value();
        }
    }
}

void make_right(std::vector<std::byte>& page) {
    for (size_t at = 0; at + item_head_bytes + sizeof(hf_record_header) <= page.size();) {
        uint32_t record_bytes;
        std::memcpy(&record_bytes, &page[at], sizeof record_bytes);
        const size_t record = at + item_head_bytes;
        hf_record_header header;
        std::memcpy(&header, &page[record], sizeof header);
        const size_t covered = std::min(page.size() - record, sizeof header + size_t{header.data_length});
        const uint64_t checksum = journal::xxh3_64_without(ByteSpan(page).subspan(record, covered), offsetof(hf_record_header, checksum));
        std::memcpy(&page[record + offsetof(hf_record_header, checksum)], &checksum, sizeof checksum);
        at = record + std::max<size_t>(record_bytes, 1);
    }
}

void walk(CatalogTree& tree, uint64_t names) {
    const auto root = tree.root();
    HF_CHECK(root.has_value());
    std::vector<TreeObject> waiting{*root};
    uint64_t seen = 0;
    while (!waiting.empty()) {
        const auto directory = tree.open(waiting.back());
        HF_CHECK(directory.has_value());
        waiting.pop_back();
        const auto entries = (*directory)->list();
        HF_CHECK(entries.has_value());
        for (const TreeObject& object : *entries) {
            HF_CHECK(++seen <= names);
            HF_CHECK(object.name.find('/') == object.name.npos && object.name != "." && object.name != "..");
            HF_CHECK((*directory)->xattrs(object).has_value());
            if ((object.attributes.mode & S_IFMT) == S_IFLNK) HF_CHECK((*directory)->target(object).has_value());
            if ((object.attributes.mode & S_IFMT) == S_IFDIR) waiting.push_back(object);
        }
    }
    HF_CHECK(tree.nameless().has_value());
}

Status check_told(const CatalogObject& told) {
    uint64_t end = 0;
    for (const journal::Write& write : told.bytes) {
        HF_CHECK(told.has_bytes && write.offset >= end && !write.data.empty());
        end = write.offset + write.data.size();
    }
    HF_CHECK(end <= told.object.attributes.size && (!told.has_bytes || told.object.attributes.size <= small_file_bytes_max));
    return ok();
}

void try_catalog(ByteSpan bytes) {
    std::vector<std::byte> page(bytes.begin(), bytes.end());
    make_right(page);
    auto catalog = Catalog::make("/tmp");
    HF_CHECK(catalog.has_value());
    // Told or not, the same is refused, but for objects that go over two pages.
    auto told = Catalog::make("/tmp");
    HF_CHECK(told.has_value());
    const bool is_told = told->add(page, check_told).has_value();
    if (!catalog->add(page) || !catalog->complete()) return;
    HF_CHECK(is_told && told->names() == catalog->names());
    for (const ObjectId& id : told->directories_without_entries()) HF_CHECK(told->directory(id).has_value());
    CatalogTree tree(*catalog);
    walk(tree, catalog->names());
}

// What was taken says the same when it is told again.
void try_objects(ByteSpan bytes) {
    const ObjectId after{5, 0, 0};
    const auto page = decode_objects(bytes, after);
    if (!page) return;
    const auto again = encode_objects(*page);
    HF_CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
    for (const ObjectDigest& object : page->objects) HF_CHECK(object.object > after && object.object <= page->to && object.bytes.end <= object.size);
}

void try_stretch(ByteSpan bytes) {
    const auto stretch = decode_stretch(bytes, 4096);
    if (stretch && *stretch) HF_CHECK((*stretch)->end > 4096);
}

std::vector<std::byte> sample_page() {
    std::vector<std::byte> page;
    const auto add = [&](hf_record_type type, const ObjectId& object, journal::Body body, uint32_t links, uint64_t size, bool has_bytes = false) {
        CatalogItem item{{}, links, size, has_bytes};
        item.record.type = type;
        item.record.object = object;
        item.record.body = std::move(body);
        append_item(item, page);
    };
    const journal::Attributes attributes{HF_ATTR_ALL, S_IFDIR | 0755, 0, 0, 1, 2, 3};
    const auto birth = [&](const ObjectId& parent, std::string_view name, uint32_t mode) {
        journal::Birth born;
        born.parent = parent;
        born.name = name;
        born.attributes = attributes;
        born.attributes.mode = mode;
        if ((mode & S_IFMT) == S_IFLNK) born.target = "target";
        return born;
    };
    add(HF_SETATTR, journal::root_object, journal::SetAttr{attributes}, 3, 4096);
    add(HF_SETXATTR, journal::root_object, journal::SetXattr{{"user.a", "b"}}, 0, 0);
    add(HF_MKDIR, {7, 1, 1}, birth(journal::root_object, "directory", S_IFDIR | 0700), 2, 4096);
    add(HF_CREATE, {8, 1, 1}, birth(journal::root_object, "file", S_IFREG | 0644), 2, 10);
    add(HF_SYMLINK, {9, 1, 1}, birth({7, 1, 1}, "link", S_IFLNK | 0777), 1, 6);
    add(HF_CREATE, {8, 1, 1}, birth({7, 1, 1}, "name two", S_IFREG | 0644), 2, 10);
    add(HF_CREATE, {11, 1, 1}, birth({7, 1, 1}, "small", S_IFREG | 0600), 1, 8, true);
    add(HF_WRITE, {11, 1, 1}, journal::Write{0, bytes_of(std::string_view("abc"))}, 0, 0);
    add(HF_WRITE, {11, 1, 1}, journal::Write{6, bytes_of(std::string_view("gh"))}, 0, 0);
    add(HF_CREATE, {10, 1, 1}, birth({}, "", S_IFREG | 0600), 0, 5);
    return page;
}

ObjectPage sample_objects() {
    ObjectDigest file, directory;
    file.object = {8, 1, 1};
    file.mode = S_IFREG | 0644;
    file.size = 5000;
    file.bytes = {4096, 1, {}};
    directory.object = {7, 1, 1};
    directory.mode = S_IFDIR | 0755;
    return {{9, 0, 0}, {directory, file}};
}

}  // namespace

std::vector<fuzz::Input> fuzz::seeds() {
    const auto input = [](uint8_t kind, const std::vector<std::byte>& bytes) { return joined(Input{kind}, input_of(bytes)); };
    SyncAnswer answer;
    journal::Record record;
    record.type = HF_WRITE;
    record.object = {8, 1, 1};
    record.body = journal::Write{4096, bytes_of(std::string_view("some bytes"))};
    append_record(record, answer.payload);
    return {input(0, encode_question({SyncKind::begin, {}, 0, 0, SyncSecret{}})), input(0, encode_question({SyncKind::bytes, {8, 1, 1}, 4096, 10, {}})),
            input(0, encode_question({SyncKind::objects, {8, 1, 1}, 0, 0, {}})), input(0, encode_question({SyncKind::stretch, {8, 1, 1}, 4096, 0, {}})),
            input(0, encode_question({SyncKind::catalog, {}, 0, small_file_bytes_max, {}})), input(1, encode_answer(version_answer())),
            input(0, encode_question({.kind = SyncKind::shared, .positions = {{4096, {}}, {8192, {1}}}})), input(1, encode_answer(shared_answer(4096))),
            input(4, encode_objects(sample_objects())), input(5, encode_stretch(Stretch{8192, 1, {}})), input(1, encode_answer(answer)), input(2, encode_sync_control(Json{{"role", "serve"}})), input(3, sample_page())};
}

// The first byte says as what.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const std::vector<std::byte> bytes = fuzz::copy_of(data + 1, size - 1);
    switch (data[0] % 6) {
        case 0: try_question(bytes); break;
        case 1: try_answer(bytes); break;
        case 2: try_pipe(bytes); break;
        case 4: try_objects(bytes); break;
        case 5: try_stretch(bytes); break;
        default: try_catalog(bytes);
    }
    return 0;
}
