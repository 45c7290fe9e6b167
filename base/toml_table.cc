#include "base/toml_table.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast {

namespace {

// Nodes are moved, because a copy does not know its line.
void take_over(toml::table& into, toml::table& from) {
    for (auto&& [key, node] : from) {
        toml::node* const own = into.get(key.str());
        if (own != nullptr && own->is_table() && node.is_table()) take_over(*own->as_table(), *node.as_table());
        if (own == nullptr) node.visit([&, name = std::string(key.str())](auto& value) { into.insert(name, std::move(value)); });
    }
}

}  // namespace

Error TomlTable::wrong(const std::string& what) const {
    const auto& source = table_->source();
    return {ErrorCode::invalid_argument, (source.path ? *source.path : std::string("?")) + ", line " + std::to_string(source.begin.line) + (name_.empty() ? "" : ", " + name_) + ": " + what};
}

Status TomlTable::knows_only(std::initializer_list<std::string_view> keys) const {
    for (const auto& [key, value] : *table_) {
        if (std::find(keys.begin(), keys.end(), key.str()) != keys.end()) continue;
        std::string known;
        for (const std::string_view name : keys) known += (known.empty() ? "" : ", ") + std::string(name);
        return wrong("nothing is called " + quoted(key.str()) + " here; there are " + known);
    }
    return ok();
}

Result<std::string> TomlTable::text(const char* key, const char* fallback) const {
    const toml::node* node = table_->get(key);
    if (node == nullptr && fallback != nullptr) return std::string(fallback);
    if (node == nullptr) return wrong("`" + std::string(key) + "` is missing");
    const auto value = node->value<std::string>();
    if (!node->is_string() || value->empty() || value->find('\0') != value->npos) return wrong("`" + std::string(key) + "` must be a text that is not empty");
    return *value;
}

Result<bool> TomlTable::flag(const char* key) const {
    const auto value = (*table_)[key].value_exact<bool>();
    if (has(key) && !value) return wrong("`" + std::string(key) + "` must be true or false");
    return value.value_or(false);
}

Result<std::vector<std::string>> TomlTable::texts(const char* key) const {
    const toml::array* array = (*table_)[key].as_array();
    const Error no_texts = wrong("`" + std::string(key) + "` must be a list of texts, and not empty");
    if (array == nullptr || array->empty()) return no_texts;
    std::vector<std::string> all;
    for (const toml::node& entry : *array) {
        const auto value = entry.value<std::string>();
        if (!entry.is_string() || value->find('\0') != value->npos) return no_texts;
        all.push_back(*value);
    }
    return all;
}

Result<uint64_t> TomlTable::duration_ns(const char* key, uint64_t fallback) const {
    if (!has(key)) return fallback;
    const std::string given = HF_TRY(text(key));
    const auto parsed = parse_duration_ns(given);
    if (!parsed) return wrong(quoted(given) + " in `" + std::string(key) + "` is no time; write 90s, 15m, 2h or 7d");
    return *parsed;
}

Result<TomlTable> TomlTable::table(const char* key) const {
    const toml::table* inner = (*table_)[key].as_table();
    if (inner == nullptr) return wrong("`" + std::string(key) + "` is written as a table: " + std::string(key) + " = { … }");
    return TomlTable(*inner, name_ + (name_.empty() ? "" : " ") + key);
}

Result<std::vector<TomlTable>> TomlTable::rows(const char* key, size_t rows_max) const {
    std::vector<TomlTable> all;
    const toml::node* node = table_->get(key);
    if (node == nullptr) return all;
    const toml::array* array = node->as_array();
    const std::string shown = name_.empty() ? "[[" + std::string(key) + "]]" : std::string(key) + " = [ { … } ]";
    const auto no_tables = [&] { return wrong("`" + std::string(key) + "` is written as tables: " + shown); };
    if (array == nullptr) return no_tables();
    if (array->size() > rows_max) return wrong("more than " + std::to_string(rows_max) + " of " + shown);
    for (const toml::node& entry : *array) {
        if (!entry.is_table()) return no_tables();
        all.emplace_back(*entry.as_table(), name_.empty() ? shown : name_ + " " + key);
    }
    return all;
}

std::vector<std::string> TomlTable::keys() const {
    std::vector<std::string> all;
    for (const auto& [key, value] : *table_) all.emplace_back(key.str());
    return all;
}

Result<TomlText> TomlText::parse(std::string_view text, const std::string& where) {
    toml::parse_result parsed = toml::parse(text, where);
    if (!parsed) return Error{ErrorCode::invalid_argument, where + ", line " + std::to_string(parsed.error().source().begin.line) + ": " + std::string(parsed.error().description())};
    TomlText read;
    read.table_ = std::make_unique<toml::table>(std::move(parsed).table());
    return read;
}

void TomlText::inherit(TomlText other) {
    take_over(*table_, *other.table_);
}

}  // namespace holdfast
