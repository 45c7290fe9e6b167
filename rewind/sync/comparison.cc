#include "rewind/sync/comparison.h"

#include <sys/stat.h>

#include "base/json.h"
#include "base/text.h"
#include "rewind/image.h"

namespace holdfast::rewind {

namespace {

std::string octal(uint32_t mode) {
    char text[16];
    std::snprintf(text, sizeof text, "%o", mode & 07777);
    return text;
}

class Comparison {
public:
    Comparison(const Store& store, Lsn at, SyncLine& line, const CompareOptions& options)
        : options_(options), secret_(random_secret()), reader_(store, at, secret_), questions_(line) {
        part_.at = at;
        part_.position = options.from;
    }

    Result<ComparedPart> run() {
        HF_TRY(questions_.ask({SyncKind::begin, {}, 0, 0, secret_}, 0, [](const SyncAnswer&) { return ok(); }));
        HF_TRY(settle());
        if (part_.position.offset > 0) HF_TRY(go_on_within(part_.position.after));
        HF_TRY(ask_page());
        while (!is_enough() && !part_.is_last) {
            HF_TRY(settle());
            const ObjectPage page = std::move(page_);
            const bool is_last_page = is_last_page_;
            if (!is_last_page) HF_TRY(ask_page(page.to));
            HF_TRY(compare(page));
            if (is_enough()) break;
            part_.position = {page.to, 0};
            part_.is_last = is_last_page;
        }
        // The source's answers are taken, so that nothing of this comparison is under way any more.
        HF_TRY(settle());
        if (part_.is_last) part_.position = {};
        HF_TRY(find_paths());
        part_.bytes = reader_.bytes_read();
        return std::move(part_);
    }

private:
    bool is_enough() const { return reader_.bytes_read() + part_.objects * compared_object_cost >= options_.bytes_max; }

    Status settle() {
        while (!questions_.is_empty()) HF_TRY(questions_.wait());
        return ok();
    }

    Status ask_page() { return ask_page(part_.position.after); }
    Status ask_page(const ObjectId& after) {
        return questions_.ask({SyncKind::objects, after, 0, 0, {}}, 0, [this, after](const SyncAnswer& answer) -> Status {
            page_ = HF_TRY(decode_objects(answer.payload, after));
            is_last_page_ = answer.is_last;
            return ok();
        });
    }

    // Those of the page and those that are here alone, in one order.
    Status compare(const ObjectPage& page) {
        auto theirs = page.objects.begin();
        for (;;) {
            const auto ours = HF_TRY(next_here(page.to));
            for (; theirs != page.objects.end() && (!ours || theirs->object <= *ours); ++theirs) {
                HF_TRY(compare(*theirs));
                if (is_enough()) return ok();
            }
            if (!ours) return ok();
            if (part_.position.after < *ours) HF_TRY(find_alone(*ours));
        }
    }

    // The next object here that was not compared, up to TO.
    Result<std::optional<ObjectId>> next_here(const ObjectId& to) {
        if (next_here_ == here_.size()) {
            here_ = HF_TRY(reader_.ids_after(here_.empty() ? part_.position.after : std::max(here_.back(), part_.position.after), ids_at_once));
            next_here_ = 0;
        }
        if (next_here_ == here_.size() || here_[next_here_] > to) return std::optional<ObjectId>();
        return std::optional(here_[next_here_++]);
    }

    Status find_alone(const ObjectId& object) {
        if (!HF_TRY(reader_.look_anyway(object, 0))) return ok();
        note(object, "only here", true);
        return done_with(object);
    }

    Status compare(const ObjectDigest& theirs) {
        const auto ours = HF_TRY(reader_.look_anyway(theirs.object, 0));
        if (!ours) {
            note(theirs.object, "missing here", false);
            return done_with(theirs.object);
        }
        if (ours->mode == 0 || theirs.mode == 0) {
            note(theirs.object, ours->mode == 0 ? "damaged here" : "damaged there", theirs.mode == 0);
            return done_with(theirs.object);
        }
        std::string what;
        const auto tell = [&](bool differs, const std::string& sentence) {
            if (differs) what += (what.empty() ? "" : "; ") + sentence;
        };
        const auto numbers = [](uint64_t here, uint64_t there) { return " " + std::to_string(here) + " here, " + std::to_string(there) + " there"; };
        tell((ours->mode & S_IFMT) != (theirs.mode & S_IFMT), "another kind of object");
        tell((ours->mode & 07777) != (theirs.mode & 07777), "mode " + octal(ours->mode) + " here, " + octal(theirs.mode) + " there");
        tell(ours->uid != theirs.uid, "owner" + numbers(ours->uid, theirs.uid));
        tell(ours->gid != theirs.gid, "group" + numbers(ours->gid, theirs.gid));
        tell(ours->links != theirs.links, "links" + numbers(ours->links, theirs.links));
        tell(ours->rdev != theirs.rdev, "device");
        tell(ours->size != theirs.size, "size" + numbers(ours->size, theirs.size));
        tell(ours->xattrs != theirs.xattrs, "extended attributes");
        tell(ours->content != theirs.content, S_ISDIR(theirs.mode) ? "entries" : "target");
        if (!what.empty()) note(theirs.object, what, true);
        HF_TRY(done_with(theirs.object));
        if (theirs.bytes.end == 0 || !S_ISREG(ours->mode)) return ok();
        HF_TRY(compare_bytes(theirs.object, 0, theirs.bytes));
        return theirs.bytes.end < theirs.size ? go_on_within(theirs.object, theirs.bytes.end) : ok();
    }

    Status compare_bytes(const ObjectId& object, uint64_t offset, const Stretch& theirs) {
        const auto ours = reader_.stretch_to(object, offset, theirs.end, theirs.blocks);
        if (!ours) HF_TRY(reader_.check_moment());
        if (!ours || *ours != theirs) note(object, "bytes between " + std::to_string(offset) + " and " + std::to_string(theirs.end), true);
        return ok();
    }

    Status go_on_within(const ObjectId& object) { return go_on_within(object, part_.position.offset); }
    Status go_on_within(const ObjectId& object, uint64_t offset) {
        if (!is_enough()) HF_TRY(settle());
        while (!is_enough()) {
            std::optional<Stretch> theirs;
            HF_TRY(questions_.ask({SyncKind::stretch, object, offset, 0, {}}, 0, [&](const SyncAnswer& answer) -> Status {
                theirs = HF_TRY(decode_stretch(answer.payload, offset));
                return ok();
            }));
            HF_TRY(questions_.wait());
            const auto here = theirs ? HF_TRY(reader_.look_anyway(object, 0)) : std::nullopt;
            // Where one side has no such bytes any more, sizes differ or it is gone; the next time around tells that.
            if (!here || !S_ISREG(here->mode)) {
                part_.position = {object, 0};
                return ok();
            }
            HF_TRY(compare_bytes(object, offset, *theirs));
            offset = theirs->end;
            if (options_.progress) HF_TRY(options_.progress(part_));
        }
        part_.position = {object, offset};
        return ok();
    }

    Status done_with(const ObjectId& object) {
        ++part_.objects;
        part_.position = {object, 0};
        return options_.progress && part_.objects % objects_between_progress == 0 ? options_.progress(part_) : ok();
    }

    void note(const ObjectId& object, const std::string& what, bool is_here) {
        if (last_noted_ == object) {
            if (noted_.back().object == object) noted_.back().what += "; " + what;
            return;
        }
        last_noted_ = object;
        ++part_.differences;
        if (noted_.size() < differences_listed_max) noted_.push_back({object, what, is_here});
    }

    // At the end, because the source is asked for those of what is missing here.
    Status find_paths() {
        for (const Noted& noted : noted_) {
            std::optional<std::string> path;
            if (noted.is_here)
                if (auto found = reader_.path(noted.object)) path = std::move(*found);
            if (!path) {
                HF_TRY(questions_.ask({SyncKind::path, noted.object, 0, 0, {}}, 0, [&](const SyncAnswer& answer) {
                    if (!answer.payload.empty()) path.emplace(reinterpret_cast<const char*>(answer.payload.data()), answer.payload.size());
                    return ok();
                }));
                HF_TRY(questions_.wait());
            }
            part_.listed.push_back({path ? quoted(*path) : "object " + journal::to_string(noted.object), noted.what.substr(0, what_bytes_max)});
        }
        return ok();
    }

    static constexpr size_t ids_at_once = 512;
    static constexpr uint64_t objects_between_progress = 256;
    static constexpr size_t what_bytes_max = 500;

    const CompareOptions& options_;
    const SyncSecret secret_;
    ObjectReader reader_;
    Questions questions_;
    ObjectPage page_;
    bool is_last_page_ = false;
    std::vector<ObjectId> here_;
    size_t next_here_ = 0;
    struct Noted { ObjectId object; std::string what; bool is_here; };
    std::vector<Noted> noted_;
    ObjectId last_noted_;
    ComparedPart part_;
};

Error nonsense() {
    return {ErrorCode::corrupt, "what was compared is told in a way that makes no sense"};
}

Result<uint64_t> number_of(const Json& json, const char* key) {
    const auto number = number_at(json, key);
    if (!number) return nonsense();
    return *number;
}

Result<std::string> text_of(const Json& json, const char* key) {
    if (!json.is_object() || !json.contains(key) || !json[key].is_string()) return nonsense();
    return json[key].get<std::string>();
}

}  // namespace

Result<ComparedPart> compare_stores(const Store& store, Lsn at, SyncLine& line, const CompareOptions& options) {
    return Comparison(store, at, line, options).run();
}

Json to_json(const ComparePosition& position) {
    return {{"after", position.after ? Json(journal::to_string(position.after)) : Json("")}, {"offset", position.offset}};
}

Result<ComparePosition> compare_position_of(const Json& json) {
    ComparePosition position;
    position.offset = HF_TRY(number_of(json, "offset"));
    const std::string after = HF_TRY(text_of(json, "after"));
    if (after.empty() && position.offset == 0) return position;
    const auto object = parse_object_id(after);
    if (!object) return nonsense();
    position.after = *object;
    return position;
}

Json to_json(const ComparedPart& part) {
    Json listed = Json::array();
    for (const Difference& one : part.listed) listed.push_back({{"path", one.path}, {"what", one.what}});
    return {{"at", part.at}, {"objects", part.objects}, {"bytes", part.bytes}, {"differences", part.differences},
            {"listed", std::move(listed)}, {"is_last", part.is_last}, {"position", to_json(part.position)}};
}

Result<ComparedPart> compared_part_of(const Json& json) {
    ComparedPart part;
    part.at = HF_TRY(number_of(json, "at"));
    part.objects = HF_TRY(number_of(json, "objects"));
    part.bytes = HF_TRY(number_of(json, "bytes"));
    part.differences = HF_TRY(number_of(json, "differences"));
    if (!json.contains("is_last") || !json["is_last"].is_boolean() || !json.contains("listed") || !json["listed"].is_array() || !json.contains("position")) return nonsense();
    part.is_last = json["is_last"].get<bool>();
    part.position = HF_TRY(compare_position_of(json["position"]));
    for (const Json& one : json["listed"]) {
        std::string path = HF_TRY(text_of(one, "path"));
        std::string what = HF_TRY(text_of(one, "what"));
        part.listed.push_back({std::move(path), std::move(what)});
    }
    return part;
}

}  // namespace holdfast::rewind
