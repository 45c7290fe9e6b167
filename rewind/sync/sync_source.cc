#include "rewind/sync/sync_source.h"

#include <sys/stat.h>

#include <algorithm>

#include "rewind/reconcile/repair_ledger.h"
#include "rewind/store.h"

namespace holdfast::rewind {

std::vector<std::byte> SyncSource::answer(ByteSpan bytes) {
    const auto question = decode_question(bytes);
    auto answered = question ? answer_to(*question) : Result<SyncAnswer>(question.error());
    if (answered && answered->payload.size() > sync_answer_bytes_max)
        answered = Error{ErrorCode::unsupported, "an object has more extended attributes than a comparison can tell of at once"};
    if (answered) return encode_answer(*answered);
    return encode_answer({question ? question->kind : SyncKind::catalog, false, answered.error(), {}});
}

Result<SyncAnswer> SyncSource::answer_to(const SyncQuestion& question) {
    switch (question.kind) {
        case SyncKind::begin: secret_ = question.secret; return version_answer();
        case SyncKind::shared: return shared(question.positions);
        case SyncKind::catalog: return page(question.length);
        case SyncKind::digests: return digests(question);
        case SyncKind::bytes: return bytes(question);
        case SyncKind::objects: return objects(question.object);
        case SyncKind::stretch: return stretch(question);
        case SyncKind::path: return path(question.object);
    }
    return Error{ErrorCode::corrupt, "a question that is none"};
}

// Of what changed since then the index knows, as long as it lies in the window.
Result<SyncAnswer> SyncSource::shared(const std::vector<ChainPoint>& positions) {
    const auto ours = store_.chains();
    for (const ChainPoint& point : ours)
        if (point.lsn <= view_.at() && point.lsn >= store_.window_begin() && std::find(positions.begin(), positions.end(), point) != positions.end()) shared_ = point.lsn;
    return shared_answer(shared_);
}

// In this order: what leaves the window is forgotten after the window has said so.
Result<bool> SyncSource::is_unchanged(const ObjectId& object) const {
    if (shared_ == 0) return false;
    const bool has_no_event = HF_TRY(store_.index().events_of(object, shared_, 1)).empty();
    return has_no_event && store_.window_begin() <= shared_;
}

Result<SyncAnswer> SyncSource::page(uint32_t bytes_max) {
    SyncAnswer answer{SyncKind::catalog, false, {}, {}};
    if (!has_begun_) HF_TRY(add_top(answer.payload));
    while (answer.payload.size() < page_bytes_) {
        if (next_ < entries_.size()) {
            HF_TRY(add_object(listed_, entries_[next_].name, entries_[next_].object, bytes_max, answer.payload));
            ++next_;
            continue;
        }
        if (directories_.empty() && orphans_.empty()) {
            answer.is_last = true;
            break;
        }
        if (directories_.empty()) {
            const ObjectId orphan = orphans_.back();
            orphans_.pop_back();
            // Nothing can be written to a special file or a link that has no name.
            if (S_ISREG(HF_TRY(view_.attributes(orphan)).mode)) HF_TRY(add_object({}, {}, orphan, bytes_max, answer.payload));
            continue;
        }
        listed_ = directories_.back();
        directories_.pop_back();
        entries_ = HF_TRY(view_.list(listed_));
        next_ = 0;
    }
    return answer;
}

Status SyncSource::add_top(std::vector<std::byte>& page) {
    const ObjectAttributes attributes = HF_TRY(view_.attributes(journal::root_object));
    CatalogItem item{{}, attributes.nlink, attributes.size};
    item.record.type = HF_SETATTR;
    item.record.object = journal::root_object;
    item.record.body = journal::SetAttr{record_attributes(attributes, HF_ATTR_ALL)};
    append_item(item, page);
    HF_TRY(add_xattrs(journal::root_object, HF_TRY(view_.xattrs(journal::root_object)), 0, page));
    directories_.push_back(journal::root_object);
    has_begun_ = true;
    return ok();
}

Status SyncSource::add_object(const ObjectId& directory, const std::string& name, const ObjectId& object, uint32_t bytes_max, std::vector<std::byte>& page) {
    const ViewObject told = HF_TRY(view_.look(object, bytes_max));
    const ObjectAttributes& attributes = told.attributes;
    std::string target;
    if (S_ISLNK(attributes.mode)) target = HF_TRY(view_.readlink(object));
    journal::Birth birth = birth_of(directory, name, attributes, target);
    const size_t first = xattrs_in_birth(told.xattrs);
    for (size_t i = 0; i < first; ++i) birth.xattrs.push_back({told.xattrs[i].first, told.xattrs[i].second});
    CatalogItem item{{}, attributes.nlink, attributes.size, told.has_data && attributes.nlink <= 1};
    item.is_unchanged = S_ISREG(attributes.mode) && HF_TRY(is_unchanged(object));
    item.record.type = journal::birth_type(attributes.mode);
    item.record.object = object;
    item.record.body = std::move(birth);
    append_item(item, page);
    if (S_ISDIR(attributes.mode)) directories_.push_back(object);
    HF_TRY(add_xattrs(object, told.xattrs, first, page));
    if (!item.has_bytes) return ok();
    for (const ViewObject::Data& data : told.data) {
        CatalogItem bytes;
        bytes.record.type = HF_WRITE;
        bytes.record.object = object;
        bytes.record.body = journal::Write{data.offset, data.bytes};
        append_item(bytes, page);
    }
    return ok();
}

Status SyncSource::add_xattrs(const ObjectId& object, const XattrList& xattrs, size_t from, std::vector<std::byte>& page) {
    for (size_t i = from; i < xattrs.size(); ++i) {
        CatalogItem item;
        item.record.type = HF_SETXATTR;
        item.record.object = object;
        item.record.body = journal::SetXattr{{xattrs[i].first, xattrs[i].second}};
        append_item(item, page);
    }
    return ok();
}

Status SyncSource::look_at(const ObjectId& object) {
    if (file_ == object) return ok();
    extents_ = HF_TRY(view_.data_extents(object));
    file_ = object;
    return ok();
}

Result<SyncAnswer> SyncSource::digests(const SyncQuestion& question) {
    if (!secret_) return Error{ErrorCode::corrupt, "digests were asked for before their secret was told"};
    HF_TRY(look_at(question.object));
    SyncAnswer answer{SyncKind::digests, false, {}, {}};
    const ReadRange read = [&](uint64_t offset, MutableByteSpan into) { return view_.read(question.object, offset, into); };
    HF_TRY(digest_range(*secret_, extents_, read, question.offset, question.length, answer.payload));
    return answer;
}

Result<SyncAnswer> SyncSource::bytes(const SyncQuestion& question) {
    HF_TRY(look_at(question.object));
    SyncAnswer answer{SyncKind::bytes, false, {}, {}};
    std::vector<std::byte> data;
    for (const DataExtent& extent : clipped(extents_, question.offset, question.length)) {
        data.resize(extent.length);
        const size_t got = HF_TRY(view_.read(question.object, extent.offset, data));
        journal::Record record;
        record.type = HF_WRITE;
        record.object = question.object;
        record.body = journal::Write{extent.offset, ByteSpan(data).first(got)};
        append_record(std::move(record), answer.payload);
    }
    return answer;
}

Result<ObjectReader*> SyncSource::reader() {
    if (!secret_) return Error{ErrorCode::corrupt, "digests were asked for before their secret was told"};
    if (!reader_) reader_.emplace(store_, view_.at(), *secret_);
    return &*reader_;
}

Result<SyncAnswer> SyncSource::objects(const ObjectId& after) {
    ObjectReader& reader = *HF_TRY(this->reader());
    SyncAnswer answer{SyncKind::objects, false, {}, {}};
    const auto ids = HF_TRY(reader.ids_after(after, compared_objects_max));
    const uint64_t read_before = reader.bytes_read();
    ObjectPage page;
    size_t told = 0;
    while (told < ids.size() && reader.bytes_read() - read_before < compared_page_bytes) {
        page.to = ids[told++];
        if (const auto object = HF_TRY(reader.look_anyway(page.to, compared_inline_bytes))) page.objects.push_back(*object);
    }
    answer.is_last = told == ids.size() && ids.size() < compared_objects_max;
    if (answer.is_last) page.to = last_object;
    answer.payload = encode_objects(page);
    return answer;
}

Result<SyncAnswer> SyncSource::stretch(const SyncQuestion& question) {
    ObjectReader& reader = *HF_TRY(this->reader());
    SyncAnswer answer{SyncKind::stretch, false, {}, {}};
    answer.payload = encode_stretch(HF_TRY(reader.stretch(question.object, question.offset, compared_stretch_bytes)));
    return answer;
}

Result<SyncAnswer> SyncSource::path(const ObjectId& object) {
    ObjectReader& reader = *HF_TRY(this->reader());
    SyncAnswer answer{SyncKind::path, false, {}, {}};
    const auto path = HF_TRY(reader.path(object));
    if (path) answer.payload.assign(bytes_of(*path).begin(), bytes_of(*path).end());
    return answer;
}

}  // namespace holdfast::rewind
