// A TOML text that a person wrote, read table by table: everything that is missing, unknown or of the wrong kind becomes a sentence with file, line and what to do.
// Thread rule: plain values. A table borrows from its text.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/toml.h"

namespace holdfast {

class TomlTable {
public:
    // NAME is what the table is called in sentences, "" for the top.
    TomlTable(const toml::table& table, std::string name) : table_(&table), name_(std::move(name)) {}

    // "FILE, line 7, [[send]]: WHAT".
    Error wrong(const std::string& what) const;
    Status knows_only(std::initializer_list<std::string_view> keys) const;
    bool has(const char* key) const { return table_->contains(key); }
    bool is_table(const char* key) const { return (*table_)[key].is_table(); }

    // Errors of all of them: invalid_argument.
    // Not empty, and without zero bytes. Without FALLBACK it must be there.
    Result<std::string> text(const char* key, const char* fallback = nullptr) const;
    // Nothing: it is absent, or no whole number.
    std::optional<int64_t> number(const char* key) const { return (*table_)[key].value_exact<int64_t>(); }
    // False when it is absent.
    Result<bool> flag(const char* key) const;
    // A list that is not empty.
    Result<std::vector<std::string>> texts(const char* key) const;
    // "90s", "15m", "2h", "7d"; FALLBACK when it is absent.
    Result<uint64_t> duration_ns(const char* key, uint64_t fallback) const;
    Result<TomlTable> table(const char* key) const;
    // The tables of an array, none when it is absent.
    Result<std::vector<TomlTable>> rows(const char* key, size_t rows_max) const;
    std::vector<std::string> keys() const;

private:
    const toml::table* table_;
    std::string name_;
};

class TomlText {
public:
    // WHERE names the file in sentences. Errors: invalid_argument.
    static Result<TomlText> parse(std::string_view text, const std::string& where);
    TomlTable top() const { return TomlTable(*table_, ""); }
    // Takes over what OTHER has and this has not: tables key by key, everything else as a whole. Sentences about it name its own file and line.
    void inherit(TomlText other);

private:
    std::unique_ptr<toml::table> table_;
};

}  // namespace holdfast
