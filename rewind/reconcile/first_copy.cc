#include "rewind/reconcile/first_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_set>

#include "base/text.h"
#include "rewind/extents.h"
#include "rewind/reconcile/backing_tree.h"
#include "rewind/reconcile/pulse.h"
#include "rewind/read_directory.h"

namespace holdfast::rewind {

namespace {

constexpr size_t compare_bytes = 1 << 20;

bool is_directory(const TreeObject& object) {
    return (object.attributes.mode & S_IFMT) == S_IFDIR;
}

class FirstCopy {
public:
    FirstCopy(SourceTree& tree, FileCopy& files, BaselineSink& sink, const Image& image, FirstCopyReport& report, Pulse& pulse)
        : tree_(tree), files_(files), sink_(sink), image_(image), report_(report), pulse_(pulse) {}

    Status run() {
        const TreeObject root = HF_TRY(tree_.root());
        HF_TRY(prune(root));
        const std::vector<TreeObject> nameless = HF_TRY(tree_.nameless());
        HF_TRY(prune_graveyard(nameless));
        HF_TRY(fill(root));
        const auto top = HF_TRY(tree_.open(root));
        for (const TreeObject& object : nameless) {
            const XattrList xattrs = HF_TRY(top->xattrs(object));
            HF_TRY(sink_.make({object.id, {}, {}, object.attributes, {}, xattrs}));
            HF_TRY(files_.copy(*top, object, xattrs, true));
        }
        HF_TRY(files_.finish());
        return sink_.commit();
    }

private:
    struct Step {
        TreeObject directory;
        bool is_finish;
    };

    // After this every name of the image leads to the object to which it leads in the tree.
    Status prune(const TreeObject& root) {
        std::vector<TreeObject> pending{root};
        while (!pending.empty()) {
            const TreeObject directory = std::move(pending.back());
            pending.pop_back();
            HF_TRY(prune_directory(directory, pending));
            HF_TRY(pulse_.tell());
        }
        return ok();
    }

    Status prune_directory(const TreeObject& directory, std::vector<TreeObject>& pending) {
        const std::vector<std::string> names = HF_TRY(names_in_image(directory.id));
        if (names.empty()) return ok();
        const auto source = HF_TRY(tree_.open(directory));
        std::map<std::string, TreeObject> wanted;
        for (TreeObject& object : HF_TRY(source->list())) wanted.emplace(object.name, std::move(object));
        for (const std::string& name : names) {
            const auto object = wanted.find(name);
            const auto present = HF_TRY(sink_.lookup(directory.id, name));
            if (object == wanted.end() || !present || *present != object->second.id)
                HF_TRY(sink_.remove(directory.id, name));
            else if (is_directory(object->second))
                pending.push_back(HF_TRY(known(directory.id, std::move(object->second))));
        }
        return ok();
    }

    // DIRECTORY stands at its name, but the index may have lost its place with the process that made it; without one its entries would not be seen.
    Result<TreeObject> known(const ObjectId& parent, TreeObject directory) {
        if (!HF_TRY(sink_.find(directory.id))) HF_TRY(sink_.make({directory.id, parent, directory.name, directory.attributes, {}, {}}));
        return directory;
    }

    // No moment is offered yet, so nobody asks for what an earlier attempt left there.
    Status prune_graveyard(const std::vector<TreeObject>& nameless) {
        std::unordered_set<std::string> wanted;
        for (const TreeObject& object : nameless) wanted.insert(Image::grave_name(object.id));
        std::vector<std::string> graves;
        HF_TRY(read_directory(image_.graveyard_fd(), [&](const DirectoryEntry& entry) -> Status {
            if (wanted.count(entry.name) == 0) graves.push_back(entry.name);
            return ok();
        }));
        for (const std::string& grave : graves) HF_TRY(sink_.remove({}, grave));
        return ok();
    }

    Result<std::vector<std::string>> names_in_image(const ObjectId& directory) {
        std::vector<std::string> names;
        UniqueFd fd;
        if (directory == journal::root_object) {
            fd.reset(dup(image_.root_fd()));
            if (!fd) return errno_error(errno, "open the image");
        } else {
            const auto location = HF_TRY(sink_.find(directory));
            if (!location) return names;
            fd = HF_TRY(image_.open_object(directory, *location, O_RDONLY | O_DIRECTORY));
        }
        HF_TRY(read_directory(fd.get(), [&](const DirectoryEntry& entry) -> Status {
            names.push_back(entry.name);
            return ok();
        }));
        return names;
    }

    Status fill(const TreeObject& root) {
        std::vector<Step> steps{{root, false}};
        while (!steps.empty()) {
            const Step step = std::move(steps.back());
            steps.pop_back();
            const auto directory = HF_TRY(tree_.open(step.directory));
            if (step.is_finish) {
                TreeObject self = step.directory;
                self.name.clear();
                HF_TRY(sink_.finish(self.id, self.attributes, HF_TRY(directory->xattrs(self))));
                ++report_.objects;
                continue;
            }
            steps.push_back({step.directory, true});
            for (TreeObject& object : HF_TRY(directory->list())) {
                auto copied = copy(step.directory.id, *directory, object);
                if (!copied) return std::move(copied).error().within("copy " + quoted(object.name));
                if (is_directory(object)) steps.push_back({std::move(object), false});
                HF_TRY(pulse_.tell());
            }
        }
        return ok();
    }

    Status copy(const ObjectId& parent, SourceDirectory& directory, const TreeObject& object) {
        if (!is_directory(object) && object.attributes.nlink > 1 && !linked_.insert(object.id).second)
            return sink_.link(object.id, parent, object.name);
        const bool was_there = HF_TRY(has_name(parent, object));
        if (was_there && is_directory(object)) {
            ++report_.already_there;
            return ok();
        }
        // The rest is cheap, and so it is done again: xattrs and owner may have changed without the mtime.
        const uint32_t type = object.attributes.mode & S_IFMT;
        const XattrList xattrs = HF_TRY(directory.xattrs(object));
        if (!was_there) {
            BaselineObject made{object.id, parent, object.name, object.attributes, {}, xattrs};
            if (type == S_IFLNK) made.target = HF_TRY(directory.target(object));
            HF_TRY(sink_.make(made));
        }
        // Directories are finished after their entries.
        if (is_directory(object)) return ok();
        ++report_.objects;
        if (type == S_IFREG) return files_.copy(directory, object, xattrs, was_there);
        report_.already_there += was_there;
        return sink_.finish(object.id, object.attributes, xattrs);
    }

    // Of an image name the prune has made sure.
    Result<bool> has_name(const ObjectId& parent, const TreeObject& object) {
        const auto location = HF_TRY(sink_.find(object.id));
        if (!location || location->links == 0) return false;
        if (HF_TRY(sink_.lookup(parent, object.name))) return true;
        if (is_directory(object)) return false;
        HF_TRY(sink_.link(object.id, parent, object.name));
        return true;
    }

    SourceTree& tree_;
    FileCopy& files_;
    BaselineSink& sink_;
    const Image& image_;
    FirstCopyReport& report_;
    Pulse& pulse_;
    std::unordered_set<ObjectId> linked_;
};

// From the files of the backing tree.
class TreeFileCopy final : public FileCopy {
public:
    TreeFileCopy(BaselineSink& sink, const Image& image, FirstCopyReport& report, Pulse& pulse) : sink_(sink), image_(image), report_(report), pulse_(pulse) {}

    Status copy(SourceDirectory& directory, const TreeObject& object, const XattrList& xattrs, bool was_there) override {
        const UniqueFd file = HF_TRY(open_file_at(static_cast<BackingDirectory&>(directory).fd(), object.name));
        const bool is_complete = was_there && HF_TRY(has_same_bytes(file.get(), object));
        report_.already_there += is_complete;
        if (!is_complete && (was_there || object.attributes.size > 0)) HF_TRY(copy_data(file.get(), object));
        return sink_.finish(object.id, object.attributes, xattrs);
    }
    Status finish() override { return ok(); }

private:
    // Size and mtime prove nothing here: they may have reached the disk before a power cut took the data. So what an
    // earlier run copied is read, which is still cheaper than writing it again.
    Result<bool> has_same_bytes(int file, const TreeObject& object) {
        const auto location = HF_TRY(sink_.find(object.id));
        if (!location) return false;
        const UniqueFd image = HF_TRY(image_.open_object(object.id, *location, O_RDONLY));
        const ObjectAttributes seen = HF_TRY(image_.attributes_of(image.get()));
        if (seen.size != object.attributes.size || seen.mtime_ns != object.attributes.mtime_ns) return false;
        ExtentSet missing(HF_TRY(data_extents_of(file)));
        ExtentSet both = missing;
        for (const DataExtent& extent : HF_TRY(data_extents_of(image.get()))) {
            missing.remove(extent.offset, extent.length);
            both.add(extent.offset, extent.length);
        }
        if (!missing.empty()) return false;
        ours_.resize(compare_bytes);
        theirs_.resize(compare_bytes);
        for (const DataExtent& extent : both.take()) {
            for (uint64_t at = 0; at < extent.length; at += compare_bytes) {
                const size_t size = std::min<uint64_t>(compare_bytes, extent.length - at);
                const size_t got = HF_TRY(read_fully(file, extent.offset + at, MutableByteSpan(ours_).first(size)));
                const size_t has = HF_TRY(read_fully(image.get(), extent.offset + at, MutableByteSpan(theirs_).first(size)));
                if (got != has || std::memcmp(ours_.data(), theirs_.data(), got) != 0) return false;
                if (!pulse_.report()) return Pulse::stopped();
            }
        }
        return true;
    }

    Status copy_data(int file, const TreeObject& object) {
        bool is_stopped = false;
        HF_TRY(sink_.copy_data(object.id, file, object.attributes.size, [&](uint64_t bytes) {
            report_.bytes += bytes;
            is_stopped |= !pulse_.report();
        }));
        if (is_stopped) return Pulse::stopped();
        return ok();
    }

    BaselineSink& sink_;
    const Image& image_;
    FirstCopyReport& report_;
    Pulse& pulse_;
    std::vector<std::byte> ours_;
    std::vector<std::byte> theirs_;
};

}  // namespace

Result<FirstCopyReport> first_copy(SourceTree& tree, FileCopy& files, BaselineSink& sink, const Image& image, const Clock& clock,
                                   const ProgressSink& progress) {
    FirstCopyReport report;
    Pulse pulse(sink, report, clock, progress);
    HF_TRY(FirstCopy(tree, files, sink, image, report, pulse).run());
    return report;
}

Result<FirstCopyReport> first_copy(BackingTree& tree, BaselineSink& sink, const Image& image, const Clock& clock, const ProgressSink& progress) {
    FirstCopyReport report;
    Pulse pulse(sink, report, clock, progress);
    TreeFileCopy files(sink, image, report, pulse);
    HF_TRY(FirstCopy(tree, files, sink, image, report, pulse).run());
    return report;
}

}  // namespace holdfast::rewind
