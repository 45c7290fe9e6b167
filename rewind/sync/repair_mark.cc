#include "rewind/sync/repair_mark.h"

#include "base/json.h"
#include "base/small_file.h"

namespace holdfast::rewind {

namespace {

constexpr std::string_view mark_file = "repairing";
constexpr size_t mark_bytes_max = 1024;

Error damaged() {
    return {ErrorCode::corrupt, "the file `repairing` of the store is damaged; it says that the image was being compared with its source. Remove the "
                                "store's `position`, `position.copy` and `repairing` to have everything compared anew; its history ends there"};
}

}  // namespace

Json to_json(const RepairPoint& point) {
    return {{"at", point.at}, {"time_ns", point.time_ns}, {"begin", point.begin}, {"begin_chain", journal::to_text(point.begin_chain)}};
}

Result<RepairPoint> repair_point_of(const Json& json) {
    const auto at = number_at(json, "at"), time_ns = number_at(json, "time_ns"), begin = number_at(json, "begin");
    if (!at || !time_ns || !begin || !json.contains("begin_chain") || !json["begin_chain"].is_string()) return Error{ErrorCode::corrupt, "a repair point that is none"};
    RepairPoint point{.at = *at, .time_ns = *time_ns, .begin = *begin};
    point.begin_chain = HF_TRY(journal::parse_chain(json["begin_chain"].get<std::string>()));
    return point;
}

Result<std::optional<RepairMark>> load_repair_mark(Disk& store) {
    auto text = read_small_file(store, mark_file, mark_bytes_max);
    if (!text && text.error().code == ErrorCode::not_found) return std::optional<RepairMark>();
    if (!text && text.error().code == ErrorCode::corrupt) return damaged();
    const Json json = Json::parse(HF_TRY(std::move(text)), nullptr, false);
    if (!json.is_object() || !json.contains("is_complete") || !json["is_complete"].is_boolean()) return damaged();
    const auto point = repair_point_of(json);
    if (!point) return damaged();
    // An earlier version wrote no such word, and a mark without a point when somebody asked.
    const bool is_of_everything = point->at == 0 || json.value("is_of_everything", Json()) == true;
    return std::optional(RepairMark{json["is_complete"].get<bool>(), *point, is_of_everything});
}

Status save_repair_mark(Disk& store, const RepairMark& mark) {
    Json json = to_json(mark.point);
    json["is_complete"] = mark.is_complete;
    json["is_of_everything"] = mark.is_of_everything;
    return replace_small_file(store, mark_file, json.dump() + "\n");
}

Status remove_repair_mark(Disk& store) {
    return remove_small_file(store, mark_file);
}

}  // namespace holdfast::rewind
