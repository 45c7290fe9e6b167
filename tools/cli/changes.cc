#include "tools/cli/changes.h"

#include "base/json.h"
#include "base/name_text.h"
#include "base/text.h"

namespace holdfast::cli {

std::string change_line(const Json& change) {
    std::string kind = change.value("change", "");
    std::string path = printable(text_to_name(change.value("path", "")));
    if (path.empty()) path = ".";
    if (change.value("type", "") == "directory") path += "/";
    std::string line = kind == "added" ? "A " : kind == "removed" ? "D " : kind == "renamed" ? "R " : "M ";
    if (change.contains("from_path")) line += printable(text_to_name(change.value("from_path", ""))) + " -> ";
    line += path;
    std::string details;
    for (const Json& what : change.value("what", Json::array())) details += (details.empty() ? "" : ", ") + what.get<std::string>();
    if (uint64_t bytes = number_or(change, "bytes", 0); bytes > 0) details += (details.empty() ? "" : "; ") + human_bytes(bytes);
    if (!details.empty()) line += "  (" + details + ")";
    return line + "\n";
}

}  // namespace holdfast::cli
