#include "replicator/engine/config.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <fstream>
#include <initializer_list>
#include <set>
#include <sstream>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "base/text.h"
#include "replicator/trust/peers.h"

namespace holdfast::replicator {

namespace {

// One table of the file, and how to speak of it.
class Table {
public:
    Table(const toml::table& table, std::string name, const std::string& where) : table_(table), name_(std::move(name)), where_(where) {}

    Error wrong(const std::string& what) const {
        return {ErrorCode::invalid_argument, where_ + ", line " + std::to_string(table_.source().begin.line) + (name_.empty() ? "" : ", " + name_) + ": " + what};
    }
    Status knows_only(std::initializer_list<std::string_view> keys) const {
        for (const auto& [key, value] : table_)
            if (std::find(keys.begin(), keys.end(), key.str()) == keys.end()) {
                std::string known;
                for (const std::string_view name : keys) known += (known.empty() ? "" : ", ") + std::string(name);
                return wrong("nothing is called " + quoted(key.str()) + " here; there are " + known);
            }
        return ok();
    }
    Result<std::string> text(const char* key, const char* fallback = nullptr) const {
        const toml::node* node = table_.get(key);
        if (node == nullptr && fallback != nullptr) return std::string(fallback);
        if (node == nullptr) return wrong("`" + std::string(key) + "` is missing");
        const auto value = node->value<std::string>();
        if (!node->is_string() || value->empty() || value->find('\0') != value->npos) return wrong("`" + std::string(key) + "` must be a text that is not empty");
        return *value;
    }

private:
    const toml::table& table_;
    const std::string name_;
    const std::string& where_;
};

Result<std::vector<Table>> tables(const toml::table& root, const char* key, const Table& top, const std::string& where) {
    std::vector<Table> all;
    const toml::node* node = root.get(key);
    if (node == nullptr) return all;
    const toml::array* array = node->as_array();
    const std::string name = "[[" + std::string(key) + "]]";
    if (array == nullptr) return top.wrong("`" + std::string(key) + "` is written as tables: " + name);
    if (array->size() > edges_max) return top.wrong("more than " + std::to_string(edges_max) + " of " + name);
    for (const toml::node& entry : *array) {
        if (!entry.is_table()) return top.wrong("`" + std::string(key) + "` is written as tables: " + name);
        all.emplace_back(*entry.as_table(), name, where);
    }
    return all;
}

Result<SendRule> send_rule(const Table& table) {
    HF_TRY(table.knows_only({"volume", "to"}));
    SendRule rule;
    rule.volume = HF_TRY(table.text("volume"));
    rule.to = HF_TRY(table.text("to"));
    if (Status named = check_peer_name(rule.to); !named) return table.wrong(named.error().message);
    return rule;
}

Result<KeepRule> keep_rule(const Table& table) {
    HF_TRY(table.knows_only({"volume", "from", "store"}));
    KeepRule rule;
    rule.from = HF_TRY(table.text("from"));
    rule.store = HF_TRY(table.text("store"));
    const std::string id = HF_TRY(table.text("volume"));
    const auto volume = journal::parse_volume_id(id);
    if (!volume) return table.wrong(quoted(id) + " is no volume id; `holdfast status` on the source shows it");
    rule.volume = *volume;
    if (Status named = check_peer_name(rule.from); !named) return table.wrong(named.error().message);
    if (!rule.store.starts_with('/')) return table.wrong("`store` must be an absolute path");
    return rule;
}

std::string host_name() {
    char name[HOST_NAME_MAX + 1] = {};
    return ::gethostname(name, sizeof name - 1) == 0 && name[0] != 0 ? name : "holdfast";
}

}  // namespace

Result<Config> parse_config(std::string_view text, const std::string& where) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed)
        return Error{ErrorCode::invalid_argument, where + ", line " + std::to_string(parsed.error().source().begin.line) + ": " + std::string(parsed.error().description())};
    const Table top(parsed.table(), "", where);
    HF_TRY(top.knows_only({"name", "listen", "address", "send", "keep"}));
    Config config;
    config.name = HF_TRY(top.text("name", host_name().c_str()));
    if (Status named = check_peer_name(config.name); !named) return top.wrong(named.error().message);
    for (const auto& [key, value] : {std::pair{"listen", &config.listen}, std::pair{"address", &config.address}}) {
        if (!parsed.table().contains(key)) continue;
        *value = HF_TRY(top.text(key));
        if (Status fits = check_peer_address(*value); !fits) return top.wrong(fits.error().message);
    }
    std::set<SendRule> sent;
    for (const Table& table : HF_TRY(tables(parsed.table(), "send", top, where))) {
        config.send.push_back(HF_TRY(send_rule(table)));
        if (!sent.insert(config.send.back()).second) return table.wrong("the same is written twice");
    }
    std::set<std::string> kept, stores;
    for (const Table& table : HF_TRY(tables(parsed.table(), "keep", top, where))) {
        config.keep.push_back(HF_TRY(keep_rule(table)));
        if (!kept.insert(journal::to_string(config.keep.back().volume)).second) return table.wrong("a volume is kept once on a host");
        if (!stores.insert(config.keep.back().store).second) return table.wrong("a store holds one volume");
    }
    if (!config.keep.empty() && config.listen.empty()) return top.wrong("a host that keeps replicas must `listen`: their sources call it");
    return config;
}

Result<Config> load_config(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        const int reason = errno;
        if (reason == ENOENT) return Error{ErrorCode::not_found, "there is no configuration " + quoted(path) + "; docs/engine.md shows one to begin with"};
        return errno_error(reason, "read " + quoted(path));
    }
    std::string text(config_bytes_max + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
    if (text.size() > config_bytes_max) return Error{ErrorCode::invalid_argument, quoted(path) + " is longer than a configuration can be"};
    return parse_config(text, path);
}

}  // namespace holdfast::replicator
