#include "base/text.h"
#include "replicator/launch/task.h"

namespace holdfast::replicator {

namespace {

constexpr const char* kind_names[] = {"run-store", "take-store-back", "make-store", "hook"};

}  // namespace

Json to_json(const Task& task) {
    return {{"kind", kind_names[static_cast<size_t>(task.kind)]}, {"store", task.store}, {"number", task.number},
            {"volume", journal::to_string(task.volume)}, {"command", task.command}, {"input", task.input},
            {"standby", task.standby}, {"replace_contents", task.replace_contents}};
}

Result<Task> task_of(const Json& json) {
    try {
        const std::string kind = json.at("kind").get<std::string>();
        for (size_t i = 0; i < std::size(kind_names); ++i) {
            if (kind != kind_names[i]) continue;
            const journal::VolumeId volume = HF_TRY(journal::parse_volume_id(json.at("volume").get<std::string>()));
            const auto number = number_at(json, "number");
            if (!number) return Error{ErrorCode::invalid_argument, "what is to be run is malformed: it has no number"};
            return Task{static_cast<Task::Kind>(i), json.at("store"), *number, volume, json.at("command"), json.at("input"), json.at("standby"), json.at("replace_contents")};
        }
        return Error{ErrorCode::invalid_argument, "there is no program of the kind " + quoted(kind)};
    } catch (const Json::exception& wrong) {
        return Error{ErrorCode::invalid_argument, std::string("what is to be run is malformed: ") + wrong.what()};
    }
}

}  // namespace holdfast::replicator
