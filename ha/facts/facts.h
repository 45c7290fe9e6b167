// What a host knows about itself, as far as a switchover depends on it: a tree of JSON that its engine gathers without changing anything, and sends to the other one.
// docs/checks.md lists what stands where.
//
// It may come from a peer, so nothing is taken for granted: what is missing or of another kind is *not known*, which every question tells apart from no.
// Thread rule: plain value; const from any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace holdfast::ha {

inline constexpr size_t facts_bytes_max = 4 << 20;

// From the root to a fact; names of files and units may contain anything.
using FactPath = std::vector<std::string>;

class Facts {
public:
    explicit Facts(Json tree) : tree_(std::move(tree)) {}
    // Errors: invalid_argument: no JSON object, or too large.
    static Result<Facts> parse(std::string_view text);

    std::optional<std::string> text(const FactPath& path) const;
    std::optional<uint64_t> number(const FactPath& path) const;
    std::optional<bool> flag(const FactPath& path) const;
    std::optional<std::vector<std::string>> texts(const FactPath& path) const;
    // Names of what an object has; empty when it is none.
    std::vector<std::string> names(const FactPath& path) const;
    // Whatever stands there, as text for a person; nothing: not known.
    std::optional<std::string> shown(const FactPath& path) const;

private:
    const Json* find(const FactPath& path) const;

    Json tree_;
};

}  // namespace holdfast::ha
