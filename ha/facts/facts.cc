#include "ha/facts/facts.h"

namespace holdfast::ha {

Result<Facts> Facts::parse(std::string_view text) {
    if (text.size() > facts_bytes_max) return Error{ErrorCode::invalid_argument, "the facts of a host are larger than they may be"};
    Json tree = Json::parse(text, nullptr, false);
    if (!tree.is_object()) return Error{ErrorCode::invalid_argument, "the facts of a host are no JSON object; `holdfast ha facts` writes them"};
    return Facts(std::move(tree));
}

const Json* Facts::find(const FactPath& path) const {
    const Json* at = &tree_;
    for (const std::string& name : path) {
        if (!at->is_object()) return nullptr;
        const auto found = at->find(name);
        if (found == at->end() || found->is_null()) return nullptr;
        at = &*found;
    }
    return at;
}

std::optional<std::string> Facts::text(const FactPath& path) const {
    const Json* found = find(path);
    return found != nullptr && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

std::optional<uint64_t> Facts::number(const FactPath& path) const {
    const Json* found = find(path);
    return found != nullptr && found->is_number_unsigned() ? std::optional(found->get<uint64_t>()) : std::nullopt;
}

std::optional<bool> Facts::flag(const FactPath& path) const {
    const Json* found = find(path);
    return found != nullptr && found->is_boolean() ? std::optional(found->get<bool>()) : std::nullopt;
}

std::optional<std::vector<std::string>> Facts::texts(const FactPath& path) const {
    const Json* found = find(path);
    if (found == nullptr || !found->is_array()) return std::nullopt;
    std::vector<std::string> all;
    for (const Json& entry : *found)
        if (entry.is_string()) all.push_back(entry.get<std::string>());
    return all;
}

std::vector<std::string> Facts::names(const FactPath& path) const {
    std::vector<std::string> all;
    const Json* found = find(path);
    if (found == nullptr || !found->is_object()) return all;
    for (const auto& [name, value] : found->items()) all.push_back(name);
    return all;
}

std::optional<std::string> Facts::shown(const FactPath& path) const {
    const Json* found = find(path);
    if (found == nullptr) return std::nullopt;
    return found->is_string() ? found->get<std::string>() : found->dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace holdfast::ha
