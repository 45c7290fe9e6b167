#include "test/model/compare.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/text.h"

namespace holdfast::test {

namespace {

using Difference = std::optional<std::string>;

template <typename T>
Difference differ(const char* what, const T& seen, const T& expected) {
    if (seen == expected) return std::nullopt;
    if constexpr (std::is_integral_v<T>) {
        return std::string(what) + " is " + std::to_string(seen) + ", not " + std::to_string(expected);
    } else {
        return std::string(what) + " differs";
    }
}

class Comparison {
public:
    Comparison(const rewind::View& view, const Model& model) : view_(view), model_(model) {}

    Difference tree(const ObjectId& id, const std::string& path) const {
        auto found = object(id);
        if (!found && S_ISDIR(model_.at(id).mode)) return entries(id, path);
        if (found) return quoted(path) + " (" + journal::to_string(id) + "): " + *found;
        return std::nullopt;
    }

private:
    Difference entries(const ObjectId& id, const std::string& path) const {
        const auto& expected = model_.at(id).entries;
        auto listed = view_.list(id);
        if (!listed) return "list of " + quoted(path) + " fails: " + listed.error().message;
        if (listed->size() != expected.size()) return quoted(path) + ": " + std::to_string(listed->size()) + " entries, not " + std::to_string(expected.size());
        for (const auto& [name, child] : expected) {
            auto entry = std::find_if(listed->begin(), listed->end(), [&, name = std::string_view(name)](const auto& e) { return e.name == name; });
            if (entry == listed->end()) return quoted(path + "/" + name) + " is not listed";
            if (entry->object != child) return quoted(path + "/" + name) + " lists object " + journal::to_string(entry->object);
            if ((entry->mode & S_IFMT) != (model_.at(child).mode & S_IFMT)) return quoted(path + "/" + name) + " lists another type";
            auto looked_up = view_.lookup(id, name);
            if (!looked_up) return "lookup of " + quoted(path + "/" + name) + " fails: " + looked_up.error().message;
            if (*looked_up != child) return "lookup of " + quoted(path + "/" + name) + " finds another object";
            if (auto found = tree(child, path + "/" + name)) return found;
        }
        return std::nullopt;
    }

    Difference object(const ObjectId& id) const {
        const Object& expected = model_.at(id);
        auto seen = view_.attributes(id);
        if (!seen) return "attributes fail: " + seen.error().message;
        if (auto found = differ("mode", seen->mode, expected.mode)) return found;
        if (auto found = differ("uid", seen->uid, expected.uid)) return found;
        if (auto found = differ("gid", seen->gid, expected.gid)) return found;
        if (auto found = differ("link count", seen->nlink, model_.link_count(id))) return found;
        if (S_ISCHR(expected.mode)) {
            if (auto found = differ("device", seen->rdev, expected.rdev)) return found;
        }
        if (expected.mtime_ns) {
            if (auto found = differ("mtime", seen->mtime_ns, *expected.mtime_ns)) return found;
        }
        if (auto found = xattrs(id, expected)) return found;
        if (S_ISLNK(expected.mode)) {
            auto target = view_.readlink(id);
            if (!target) return "readlink fails: " + target.error().message;
            return differ("target", *target, expected.target);
        }
        if (S_ISREG(expected.mode)) {
            if (auto found = differ("size", seen->size, uint64_t{expected.bytes->size()})) return found;
            if (auto found = bytes(id, *expected.bytes)) return found;
            return holes(id, expected);
        }
        return std::nullopt;
    }

    Difference xattrs(const ObjectId& id, const Object& expected) const {
        auto seen = view_.xattrs(id);
        if (!seen) return "xattrs fail: " + seen.error().message;
        std::map<std::string, std::string> sorted(seen->begin(), seen->end());
        return differ("set of xattrs", sorted, expected.xattrs);
    }

    Difference bytes(const ObjectId& id, const std::string& expected) const {
        std::string seen(expected.size() + 1, '?');
        auto count = view_.read(id, 0, std::as_writable_bytes(std::span(seen)));
        if (!count) return "read fails: " + count.error().message;
        if (*count != expected.size()) return "read returns " + std::to_string(*count) + " bytes of " + std::to_string(expected.size());
        auto at = std::mismatch(expected.begin(), expected.end(), seen.begin()).first - expected.begin();
        if (static_cast<size_t>(at) == expected.size()) return std::nullopt;
        return "byte " + std::to_string(at) + " of " + std::to_string(expected.size()) + " is " + std::to_string(seen[at] & 255) + ", not " + std::to_string(expected[at] & 255);
    }

    Difference holes(const ObjectId& id, const Object& expected) const {
        auto extents = view_.data_extents(id);
        if (!extents) return "data extents fail: " + extents.error().message;
        std::vector<bool> is_data(expected.blocks.size());
        for (const auto& extent : *extents) {
            for (uint64_t block = extent.offset / block_bytes; block * block_bytes < extent.offset + extent.length && block < is_data.size(); ++block) is_data[block] = true;
        }
        for (size_t block = 0; block < is_data.size(); ++block) {
            if (expected.blocks[block] == Block::data && !is_data[block]) return "block " + std::to_string(block) + " is a hole, not data";
            if (expected.blocks[block] == Block::hole && is_data[block]) return "block " + std::to_string(block) + " is data, not a hole";
        }
        return std::nullopt;
    }

    const rewind::View& view_;
    const Model& model_;
};

}  // namespace

std::optional<std::string> difference(const rewind::View& view, const Model& model) {
    return Comparison(view, model).tree(journal::root_object, "");
}

}  // namespace holdfast::test
