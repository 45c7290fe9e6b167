// Which directories of a protected directory are left out: what is in them is never recorded, compared or rewound
// (docs/decisions/0015). Each is named by its path from the top of the protected directory.
//
// Thread rule: plain values. Limits: left_out_max directories, left_out_bytes_max bytes of paths.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::journal {

inline constexpr size_t left_out_max = 64;  // each is a mount
inline constexpr size_t left_out_bytes_max = 8 << 10;

class LeftOut {
public:
    LeftOut() = default;  // nothing
    // Slashes at the end do not count. Errors: invalid_argument with a sentence: no path from the top ("", "/a", "a//b", "./a", "a/../b"),
    // one twice or beneath another, too many.
    static Result<LeftOut> of(std::vector<std::string> paths);

    const std::vector<std::string>& paths() const { return paths_; }  // sorted
    bool empty() const { return paths_.empty(); }

    // Of paths from the top, as they stand here; the top itself is "".
    bool is(std::string_view path) const;        // PATH is one of the directories
    bool holds(std::string_view path) const;     // PATH lies beneath one of them
    bool leads_to(std::string_view path) const;  // one of them lies beneath PATH

    bool operator==(const LeftOut&) const = default;

private:
    std::vector<std::string> paths_;
};

// "cache, var/tmp", with what is no printable character escaped.
std::string left_out_text(const LeftOut& left_out);

}  // namespace holdfast::journal
