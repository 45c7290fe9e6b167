// A store and its journal, told in records: tests say what happened and ask what was.
#pragma once

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rewind/image.h"
#include "rewind/view.h"
#include "test/model/bench.h"
#include "test/support/scratch.h"

namespace holdfast::test {

using journal::Lsn;
using journal::ObjectId;
using journal::Record;
using journal::root_object;

class StoreStory {
public:
    // CHANGE may set limits in the volume's description.
    explicit StoreStory(const std::function<void(journal::Volume&)>& change = {}) : volume_(need(make_volume(scratch_.path()))) {
        if (change) change(volume_);
        journal_ = need(WrittenJournal::open(volume_));
        open();
    }

    void open() { store_ = need(FollowingStore::open(volume_)); }
    void close() { store_.reset(); }
    void reopen() { close(), open(); }
    rewind::Store& store() { return store_->store(); }
    const journal::Volume& volume() const { return volume_; }
    std::string path(const std::string& part) const { return volume_.store + "/" + part; }

    // Appends a record and returns the moment after it.
    Lsn tell(hf_record_type type, const ObjectId& object, journal::Body body, uint16_t flags = 0) {
        Record record;
        record.type = type;
        record.flags = flags;
        record.object = object;
        record.body = std::move(body);
        last_ = need(journal_->writer().append(record));
        return journal_->writer().published();
    }
    Lsn last() const { return last_; }  // where the last record lies
    Lsn birth(const ObjectId& object, std::string_view name, uint32_t mode, const ObjectId& parent = root_object,
              std::vector<journal::Xattr> xattrs = {}) {
        journal::Birth body;
        body.parent = parent;
        body.name = name;
        body.attributes = {HF_ATTR_ALL, mode, 0, 0, 1, 1, 1};
        if (S_ISLNK(mode)) body.target = "target";
        body.xattrs = std::move(xattrs);
        return tell(journal::birth_type(mode), object, body);
    }
    Lsn write(const ObjectId& object, uint64_t offset, std::string_view bytes) {
        return tell(HF_WRITE, object, journal::Write{offset, bytes_of(bytes)});
    }
    Lsn unlink(const ObjectId& object, std::string_view name, const ObjectId& parent = root_object) {
        return tell(HF_UNLINK, object, journal::Unlink{parent, name, true});
    }
    Lsn set_xattr(const ObjectId& object, std::string_view name, std::string_view value) {
        return tell(HF_SETXATTR, object, journal::SetXattr{{name, value}});
    }
    Lsn set_attributes(const ObjectId& object, uint32_t valid, uint32_t mode, uint32_t uid = 0, uint32_t gid = 0) {
        return tell(HF_SETATTR, object, journal::SetAttr{{valid, mode, uid, gid, 0, 0, 0}});
    }
    void apply() { need(store_->apply_all()); }

    rewind::View at(Lsn moment) {
        need(store().check_moment(moment));
        return rewind::View(store(), moment);
    }
    std::string read(Lsn moment, const std::string& path) {
        const rewind::View view = at(moment);
        const ObjectId object = need(view.resolve(path));
        std::string bytes(need(view.attributes(object)).size, '?');
        bytes.resize(need(view.read(object, 0, std::as_writable_bytes(std::span(bytes)))));
        return bytes;
    }
    bool exists(Lsn moment, const std::string& path) { return at(moment).resolve(path).has_value(); }
    std::map<std::string, std::string> xattrs(Lsn moment, const std::string& path) {
        const auto list = need(at(moment).xattrs(need(at(moment).resolve(path))));
        return {list.begin(), list.end()};
    }
    uint32_t mode(Lsn moment, const std::string& path) { return need(at(moment).attributes(need(at(moment).resolve(path)))).mode; }

    template <typename T>
    static T need(Result<T> result) {
        if (!result) FAIL(result.error().message);
        if constexpr (!std::is_void_v<T>) return std::move(result).value();
    }

private:
    ScratchDirectory scratch_;
    journal::Volume volume_;
    std::unique_ptr<WrittenJournal> journal_;
    std::unique_ptr<FollowingStore> store_;
    Lsn last_ = 0;
};

}  // namespace holdfast::test
