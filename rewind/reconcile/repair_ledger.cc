#include "rewind/reconcile/repair_ledger.h"

#include <sys/stat.h>

#include "base/clock.h"

namespace holdfast::rewind {

using journal::Record;

namespace {
constexpr uint64_t report_every_ns = 400'000'000;
constexpr size_t birth_xattr_bytes_max = 256 << 10;
}

journal::Birth birth_of(const ObjectId& parent, std::string_view name, const ObjectAttributes& attributes, std::string_view target) {
    journal::Birth birth;
    birth.parent = parent;
    birth.name = name;
    birth.attributes = record_attributes(attributes, HF_ATTR_ALL);
    birth.target = target;
    if (S_ISCHR(attributes.mode) || S_ISBLK(attributes.mode)) birth.rdev = attributes.rdev;
    return birth;
}

size_t xattrs_in_birth(const XattrList& xattrs) {
    size_t bytes = 0, count = 0;
    for (const auto& [name, value] : xattrs) {
        bytes += name.size() + value.size();
        if (bytes > birth_xattr_bytes_max) break;
        ++count;
    }
    return count;
}

journal::Attributes record_attributes(const ObjectAttributes& attributes, uint32_t valid) {
    return {valid, attributes.mode, attributes.uid, attributes.gid, attributes.atime_ns, attributes.mtime_ns, attributes.ctime_ns};
}

Status RepairLedger::append(const Record& record) {
    if (unsettled_bytes_ > ledger_unsettled_bytes_max || names_changed_.size() > ledger_unsettled_names_max)
        HF_TRY(settle());
    auto appended = target_.append(record);
    if (!appended && appended.error().code == ErrorCode::no_space) {
        // What is applied may be deleted from the journal, which makes room for the rest.
        HF_TRY(settle());
        appended = target_.append(record);
    }
    HF_TRY(std::move(appended));
    unsettled_bytes_ += journal::encoded_length(record.body);
    ++repairs_;
    return ok();
}

Status RepairLedger::settle() {
    HF_TRY(target_.settle());
    unsettled_bytes_ = 0;
    links_changed_.clear();
    names_changed_.clear();
    entries_changed_.clear();
    return report();
}

Status RepairLedger::report() {
    const uint64_t now = system_clock().monotonic_ns();
    if (!progress_ || now - reported_ns_ < report_every_ns) return ok();
    reported_ns_ = now;
    if (progress_({objects_, bytes_compared_ + bytes_written_, 0, 0})) return ok();
    return Error{ErrorCode::unavailable, "the comparison of tree and image was asked to stop; it will be repeated"};
}

Status RepairLedger::bear(const ObjectId& object, const journal::Birth& birth) {
    Record record;
    record.type = journal::birth_type(birth.attributes.mode);
    record.flags = HF_RECORD_REPAIR;
    record.object = object;
    record.body = birth;
    HF_TRY(append(record));
    ++links_changed_[object];
    names_changed_.insert(object);
    entries_changed_.insert(birth.parent);
    dirty_.insert(birth.parent);
    return ok();
}

Status RepairLedger::link(const ObjectId& object, const ObjectId& directory, const std::string& name) {
    Record record;
    record.type = HF_LINK;
    record.flags = HF_RECORD_REPAIR;
    record.object = object;
    record.body = journal::Link{directory, name};
    HF_TRY(append(record));
    ++links_changed_[object];
    names_changed_.insert(object);
    entries_changed_.insert(directory);
    dirty_.insert(directory);
    return ok();
}

Status RepairLedger::unlink(const ObjectId& object, const ObjectId& directory, const std::string& name, bool is_last) {
    Record record;
    record.type = HF_UNLINK;
    record.flags = HF_RECORD_REPAIR | (is_last ? HF_RECORD_LAST_LINK : 0);
    record.object = object;
    record.body = journal::Unlink{directory, name, is_last};
    HF_TRY(append(record));
    --links_changed_[object];
    names_changed_.insert(object);
    entries_changed_.insert(directory);
    dirty_.insert(directory);
    // Otherwise nobody has it open: there is no mount yet, or whoever serves it has said what is open.
    if (is_last && open_.count(object) == 0) HF_TRY(change(HF_ORPHAN_END, object, journal::OrphanEnd{}));
    return ok();
}

Status RepairLedger::remove_directory(const ObjectId& object, const ObjectId& parent, const std::string& name) {
    Record record;
    record.type = HF_RMDIR;
    record.flags = HF_RECORD_REPAIR | HF_RECORD_LAST_LINK;
    record.object = object;
    record.body = journal::Unlink{parent, name, true};
    HF_TRY(append(record));
    --links_changed_[object];
    names_changed_.insert(object);
    entries_changed_.insert(parent);
    dirty_.insert(parent);
    return ok();
}

Status RepairLedger::move(const ObjectId& object, const ImageName& from, const ImageName& to) {
    Record record;
    record.type = HF_RENAME;
    record.flags = HF_RECORD_REPAIR;
    record.object = object;
    record.body = journal::Rename{from.directory, from.name, to.directory, to.name, {}, false, false};
    HF_TRY(append(record));
    names_changed_.insert(object);
    for (const ObjectId& directory : {from.directory, to.directory}) {
        entries_changed_.insert(directory);
        dirty_.insert(directory);
    }
    return ok();
}

Status RepairLedger::change(hf_record_type type, const ObjectId& object, journal::Body body) {
    Record record;
    record.type = type;
    record.flags = HF_RECORD_REPAIR;
    record.object = object;
    record.body = std::move(body);
    HF_TRY(append(record));
    if (type == HF_WRITE) bytes_written_ += record.as<journal::Write>().data.size();
    return ok();
}

Status RepairLedger::set_attributes(const ObjectId& object, const ObjectAttributes& attributes, uint32_t valid) {
    return change(HF_SETATTR, object, journal::SetAttr{record_attributes(attributes, valid)});
}

Result<uint32_t> RepairLedger::links(const ObjectId& object) {
    const auto location = HF_TRY(target_.find(object));
    const auto changed = links_changed_.find(object);
    const int64_t before = location ? location->links : 0;
    return static_cast<uint32_t>(before + (changed == links_changed_.end() ? 0 : changed->second));
}

Result<std::vector<ViewEntry>> RepairLedger::list(const ObjectId& directory) {
    if (entries_changed_.count(directory)) HF_TRY(settle());
    return target_.list(directory);
}

Result<std::optional<ViewEntry>> RepairTarget::lookup(const ObjectId& directory, const std::string& name) {
    const auto location = HF_TRY(find(directory));
    if (!location || location->links == 0) return std::optional<ViewEntry>();
    for (ViewEntry& entry : HF_TRY(list(directory)))
        if (entry.name == name) return std::optional(std::move(entry));
    return std::optional<ViewEntry>();
}

Result<std::optional<ViewEntry>> RepairLedger::lookup(const ObjectId& directory, const std::string& name) {
    if (entries_changed_.count(directory)) HF_TRY(settle());
    return target_.lookup(directory, name);
}

Result<std::vector<ImageName>> RepairLedger::names(const ObjectId& object) {
    if (names_changed_.count(object)) HF_TRY(settle());
    return target_.names(object);
}

}  // namespace holdfast::rewind
