#include "test/support/sample_records.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace holdfast::test {
namespace {

using namespace journal;

constexpr ObjectId file{1234567, 42, 1}, directory{77, 7, 1}, other{88, 8, 2};

Attributes attributes(uint32_t mode) {
    return {HF_ATTR_ALL, mode, 1000, 100, 1'700'000'000'000'000'001, 1'700'000'000'000'000'002, -3};
}

class Collector {
public:
    void add(hf_record_type type, const ObjectId& object, Body body, uint16_t flags = 0) {
        Record record;
        record.type = type;
        record.flags = flags;
        record.time_ns = 1'790'000'000'000'000'000 + records.size();
        record.object = object;
        record.body = std::move(body);
        records.push_back(std::move(record));
    }
    std::vector<Record> records;
};

void add_births(Collector& out) {
    Birth born{directory, "plain \xff\n name", attributes(S_IFREG | 0640)};
    born.xattrs = {{"user.empty", ""}, {"system.posix_acl_access", std::string_view("\x02\0\0\0", 4)}};
    out.add(HF_CREATE, file, born);
    out.add(HF_CREATE, file, Birth{directory, "", attributes(S_IFREG | 0600)});  // O_TMPFILE
    out.add(HF_MKDIR, other, Birth{root_object, "d", attributes(S_IFDIR | S_ISGID | 0755)});
    out.add(HF_MKNOD, other, Birth{directory, "null", attributes(S_IFCHR | 0666), makedev(1, 3)});
    out.add(HF_MKNOD, other, Birth{directory, "pipe", attributes(S_IFIFO | 0600)});
    out.add(HF_SYMLINK, other, Birth{directory, "link", attributes(S_IFLNK | 0777), 0, "../else/where"});
}

void add_names(Collector& out) {
    out.add(HF_LINK, file, Link{directory, "second"});
    out.add(HF_UNLINK, file, Unlink{directory, "second", false});
    out.add(HF_UNLINK, file, Unlink{directory, "last", true});
    out.add(HF_RMDIR, other, Unlink{directory, "d", true});
    out.add(HF_RENAME, file, Rename{directory, "from", root_object, "to", {}, false, false});
    out.add(HF_RENAME, file, Rename{directory, "from", directory, "over", other, false, true});
    out.add(HF_RENAME, file, Rename{directory, "this", root_object, "that", other, true, false});
    out.add(HF_ORPHAN_END, file, OrphanEnd{});
}

void add_attributes(Collector& out) {
    out.add(HF_SETATTR, file, SetAttr{attributes(S_IFREG | 0600)}, HF_RECORD_REPAIR);
    out.add(HF_SETXATTR, file, SetXattr{{"user.comment", "value"}});
    out.add(HF_REMOVEXATTR, file, RemoveXattr{"user.comment"});
}

void add_events(Collector& out) {
    const std::array<uint8_t, 16> boot{0xb0, 0x07, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    out.add(HF_BOOKMARK, {}, Bookmark{"before the upgrade"});
    out.add(HF_HEARTBEAT, {}, Marker{});
    out.add(HF_SYNC_POINT, {}, Marker{});
    out.add(HF_GAP_BEGIN, {}, Gap{true, HF_GAP_HOST_CRASH, 1'789'000'000'000'000'000, "the host crashed"});
    out.add(HF_GAP_END, {}, Gap{false, HF_GAP_HOST_CRASH, 1'789'000'000'000'000'000, ""});
    out.add(HF_SESSION_OPEN, {}, Session{true, boot, 9, false});
    out.add(HF_SESSION_CLOSE, {}, Session{false, boot, 9, true});
    out.add(HF_VOID, {}, Marker{});
}

}  // namespace

std::vector<Record> sample_records() {
    Collector out;
    out.add(HF_WRITE, file, Write{4096, bytes_of(std::string_view("seven b"))});
    out.add(HF_WRITE, file, Write{(1ULL << 40) + 1, bytes_of(std::string_view("from a mapping!!"))}, HF_RECORD_FROM_MMAP);
    out.add(HF_TRUNCATE, file, Truncate{1'000'001});
    out.add(HF_FALLOCATE, file, Fallocate{8192, 4096, HF_FALLOC_PUNCH_HOLE | HF_FALLOC_KEEP_SIZE});
    add_births(out);
    add_names(out);
    add_attributes(out);
    add_events(out);
    return std::move(out.records);
}

std::vector<std::byte> joined(const EncodedRecord& record) {
    std::vector<std::byte> bytes;
    for (ByteSpan piece : record.pieces()) bytes.insert(bytes.end(), piece.begin(), piece.end());
    return bytes;
}

std::vector<std::byte> encoded(const Record& record) {
    return joined(EncodedRecord(record, encoded_length(record.body)));
}

}  // namespace holdfast::test
