#include "fusefs/bypass.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/processes.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "fusefs/mount_table.h"

namespace holdfast::fusefs {
namespace {

constexpr const char* deleted_suffix = " (deleted)";

std::string link_target(const std::string& path) {
    char target[PATH_MAX];
    const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
    return length > 0 ? std::string(target, static_cast<size_t>(length)) : std::string();
}

// One process under examination. Its mount table is its own namespace's, and the paths that /proc shows belong to it.
class Process {
public:
    Process(int pid, const BackingPlace& place)
        : pid_(pid), directory_("/proc/" + std::to_string(pid)), place_(place) {}

    std::vector<Holder> holders() {
        auto table = read_mount_table(std::to_string(pid_));
        if (!table) return {};
        table_ = std::move(*table);
        // Most processes live in a namespace where the place is not even mounted.
        if (std::none_of(table_.begin(), table_.end(), [&](const MountEntry& e) { return e.device == place_.device; })) return {};
        check_link("cwd");
        check_link("root");
        for (const int fd : numbers_in(directory_ + "/fd")) {
            const std::string number = std::to_string(fd);
            check("fd/" + number, directory_ + "/fdinfo/" + number, false);
        }
        check_mappings();
        return std::move(found_);
    }

private:
    void add(const std::string& how, const std::string& path) {
        found_.push_back({pid_, command_of(pid_), how + quoted(path)});
    }

    bool lies_beneath(const MountEntry& entry, const std::string& path) const {
        return entry.device == place_.device && is_within(path, entry.point) && is_within(path_inside(entry, path), place_.path);
    }

    // Nothing that is recorded: REQUIRES lies_beneath().
    bool is_left_out(const MountEntry& entry, const std::string& path) const {
        std::string inside = path_inside(entry, path).substr(place_.path == "/" ? 0 : place_.path.size());
        return place_.left_out.holds(inside.starts_with('/') ? std::string_view(inside).substr(1) : inside);
    }

    // Whatever the process holds under NAME ("cwd", "fd/3"). INFO names the mount that it was reached through.
    // The path alone would not tell what lies beneath our mount from what lies on it. Once the mount is known to be the
    // backing one, asking it for the file's type cannot end up at ourselves.
    void check(const std::string& name, const std::string& info, bool only_directories) {
        const std::string link = directory_ + "/" + name;
        const std::string path = link_target(link);
        if (!path.starts_with('/')) return;
        unsigned long flags = O_RDONLY;
        const MountEntry* entry = mount_with(mount_id(info, flags));
        struct stat file {};
        if (!entry || !lies_beneath(*entry, path) || ::stat(link.c_str(), &file) != 0 || file.st_nlink == 0) return;
        if (only_directories) add("has as " + name + " ", path);
        else if (S_ISDIR(file.st_mode)) add("has the directory open ", path);
        else if (!(flags & O_PATH) && (flags & O_ACCMODE) != O_RDONLY && !is_left_out(*entry, path)) add("has open for writing ", path);
    }

    // Working and root directory have no fdinfo of their own; a descriptor that only stands for the place has one.
    void check_link(const char* name) {
        const UniqueFd place(::open((directory_ + "/" + name).c_str(), O_PATH | O_CLOEXEC));
        if (place) check(name, "/proc/self/fdinfo/" + std::to_string(place.get()), true);
    }

    const MountEntry* mount_with(int id) const {
        const auto found = std::find_if(table_.begin(), table_.end(), [&](const MountEntry& e) { return e.id == id; });
        return found == table_.end() ? nullptr : &*found;
    }

    static int mount_id(const std::string& fdinfo, unsigned long& flags) {
        std::ifstream file(fdinfo);
        int id = -1;
        for (std::string word; file >> word;) {
            if (word == "flags:" && file >> word) flags = std::strtoul(word.c_str(), nullptr, 8);
            else if (word == "mnt_id:") file >> id;
        }
        return id;
    }

    // Mappings do not name their mount: any mount of the place's file system through which PATH would lead beneath it
    // counts. Another may lie on top of it; then the answer errs on the careful side.
    bool may_lie_beneath(const std::string& path) const {
        return std::any_of(table_.begin(), table_.end(), [&](const MountEntry& entry) { return lies_beneath(entry, path) && !is_left_out(entry, path); });
    }

    // address permissions offset device inode path; `s` is shared
    void check_mappings() {
        std::ifstream file(directory_ + "/maps");
        for (std::string line; std::getline(file, line);) {
            std::istringstream words(line);
            std::string address, permissions, offset, device, inode, path;
            words >> address >> permissions >> offset >> device >> inode >> std::ws;
            std::getline(words, path);
            if (permissions.size() < 4 || permissions[3] != 's' || permissions[1] != 'w') continue;
            if (path.starts_with('/') && !path.ends_with(deleted_suffix) && may_lie_beneath(path)) add("has mapped for writing ", path);
        }
    }

    int pid_;
    std::string directory_;
    const BackingPlace& place_;
    std::vector<MountEntry> table_;
    std::vector<Holder> found_;
};

}  // namespace

Result<BackingPlace> backing_place(const std::string& directory) {
    const auto table = HF_TRY(read_mount_table());
    const MountEntry* entry = mount_of(table, directory);
    if (!entry) return Error{ErrorCode::io, "the mount table does not say on which file system " + quoted(directory) + " lies"};
    return BackingPlace{entry->device, path_inside(*entry, directory), {}};
}

std::vector<Holder> find_holders(const BackingPlace& place, int self) {
    std::vector<Holder> all;
    for (const int pid : process_ids()) {
        if (pid == self) continue;
        auto found = Process(pid, place).holders();
        all.insert(all.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
    }
    return all;
}

std::string describe(const std::vector<Holder>& holders) {
    std::string text;
    for (size_t i = 0; i < holders.size() && i < holders_named_max; ++i) {
        if (i > 0) text += "; ";
        text += "process " + std::to_string(holders[i].pid) + " (" + quoted(holders[i].command) + ") " + holders[i].what;
    }
    if (holders.size() > holders_named_max) text += "; and " + std::to_string(holders.size() - holders_named_max) + " more";
    return text;
}

}  // namespace holdfast::fusefs
