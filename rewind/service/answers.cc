#include "rewind/service/answers.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/name_text.h"

namespace holdfast::rewind {

const char* type_name(uint32_t mode) {
    switch (mode & S_IFMT) {
        case S_IFREG: return "file";
        case S_IFDIR: return "directory";
        case S_IFLNK: return "symlink";
        case S_IFIFO: return "fifo";
        case S_IFSOCK: return "socket";
        case S_IFCHR: return "character device";
        case S_IFBLK: return "block device";
    }
    return "unknown";
}

Json changes_to_json(const std::vector<Change>& changes, size_t count) {
    Json list = Json::array();
    for (size_t i = 0; i < std::min(count, changes.size()); ++i) {
        const Change& change = changes[i];
        Json entry = {{"path", name_to_text(change.path)},
                      {"change", to_string(change.change)},
                      {"type", type_name(change.mode)},
                      {"what", changed_part_names(change.parts)},
                      {"bytes", change.bytes}};
        if (!change.from_path.empty()) entry["from_path"] = name_to_text(change.from_path);
        list.push_back(std::move(entry));
    }
    return list;
}

}  // namespace holdfast::rewind
