#include "rewind/standby/standby_tree.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "rewind/read_directory.h"
#include "rewind/restore/remove_tree.h"
#include "rewind/restore/touched.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t retry_first_ns = 2'000'000'000;
constexpr uint64_t retry_longest_ns = 60'000'000'000;

Result<UniqueFd> open_graveyard(int root, const std::string& name) {
    if (::mkdirat(root, name.c_str(), 0700) != 0 && errno != EEXIST) return errno_error(errno, "make " + quoted(name) + " in the standby directory");
    UniqueFd fd(::openat(root, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return errno_error(errno, "open " + quoted(name) + " in the standby directory");
    return fd;
}

}  // namespace

Result<UniqueFd> open_standby_directory(const std::string& directory) {
    UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return errno_error(errno, "open the standby directory " + quoted(directory));
    struct statfs where;
    if (::fstatfs(fd.get(), &where) != 0) return errno_error(errno, "look at the standby directory " + quoted(directory));
    if (where.f_type == FUSE_SUPER_MAGIC)
        return Error{ErrorCode::busy, "something is mounted over the standby directory " + quoted(directory) + "; unmount it, and only then it can follow"};
    return fd;
}

std::string kept_name(const journal::VolumeId& volume) {
    return ".holdfast-standby-" + journal::to_string(volume);
}

StandbyTree::StandbyTree(const journal::Volume& volume, std::unique_ptr<TreePlaces> places, const Clock& clock)
    : directory_(volume.directory), store_(volume.store), kept_name_(kept_name(volume.id)), places_(std::move(places)), clock_(clock), retry_pause_ns_(retry_first_ns) {}

Result<std::unique_ptr<StandbyTree>> StandbyTree::open(const journal::Volume& volume, const Clock& clock) {
    auto places = HF_TRY(TreePlaces::open(volume.store + "/tree"));
    return std::unique_ptr<StandbyTree>(new StandbyTree(volume, std::move(places), clock));
}

StandbyTree::Condition StandbyTree::condition() const {
    const MutexLock lock(mutex_);
    return condition_;
}

bool StandbyTree::advance(const Original& original) {
    if (condition().failure && clock_.monotonic_ns() < retry_due_ns_) return false;
    const auto more = take_step(original);
    if (!more) {
        fail(more.error());
        return false;
    }
    retry_pause_ns_ = retry_first_ns;
    tell();
    return *more;
}

Result<bool> StandbyTree::take_step(const Original& original) {
    HF_TRY(reach(original));
    if (places_->position() && reached_ < original.window_begin) {
        log_warning("What changed since the standby directory " + quoted(directory_) + " last followed has left the window of history, so it is compared.");
        HF_TRY(must_compare());
    }
    if (!places_->position()) return compare(original);
    if (reached_ >= original.applied) return false;
    HF_TRY(follow(original, reached_));
    HF_TRY(empty_graveyard());
    reached_ = original.applied;
    return false;
}

Status StandbyTree::reach(const Original& original) {
    if (files_) return ok();
    UniqueFd root = HF_TRY(open_standby_directory(directory_));
    UniqueFd graveyard = HF_TRY(open_graveyard(root.get(), kept_name_));
    const FileHandle top = HF_TRY(file_handle_at(root.get(), "")), grave = HF_TRY(file_handle_at(graveyard.get(), ""));
    if (top.identity().inode == 0)
        return Error{ErrorCode::unsupported, "the file system of the standby directory " + quoted(directory_) + " does not tell its files apart for good; use ext4, XFS or btrfs"};
    if (!HF_TRY(places_->is_about(top, grave))) {
        if (HF_TRY(places_->location(journal::root_object)))
            return Error{ErrorCode::foreign, quoted(directory_) + " is not the standby directory that it was: is its disk mounted? Mount it and start the store's service again; or, "
                                             "if this is to be the standby directory from now on, remove `tree` in the store"};
        HF_TRY(places_->begin(top, grave));
    }
    tree_.emplace(HF_TRY(Image::of_tree(std::move(root), std::move(graveyard), *places_, store_ + "/tree-xattrs")));
    tree_->find_names_in(original.index, *places_);
    files_.emplace(*tree_, *places_);
    reached_ = places_->position().value_or(0);
    return ok();
}

Result<bool> StandbyTree::compare(const Original& original) {
    if (comparison_ && comparison_->since() < original.window_begin) comparison_.reset();
    if (!comparison_) {
        log_info("The standby directory " + quoted(directory_) + " is compared with the image.");
        comparison_.emplace(*files_, *places_, kept_name_, original.applied);
    }
    if (!HF_TRY(comparison_->step(original))) return true;
    std::vector<ObjectId> moved = HF_TRY(follow(original, comparison_->since()));
    if (!comparison_->followed(original.applied, std::move(moved))) return true;
    HF_TRY(empty_graveyard());
    const auto& figures = found_ = comparison_->figures();
    log_info("The standby directory " + quoted(directory_) + " equals the image: " + std::to_string(figures.objects) + " objects and " +
             human_bytes(figures.bytes_compared) + " were compared, " + std::to_string(figures.differences) + " differences brought over.");
    reached_ = original.applied;
    HF_TRY(save_position());
    ++comparisons_;
    comparison_.reset();
    return false;
}

// Returns the directories that were made or moved.
Result<std::vector<ObjectId>> StandbyTree::follow(const Original& original, Lsn from) {
    const Touched touched = HF_TRY(touched_between(original.index, original.undo, from, journal::lsn_max));
    std::vector<Place> places(touched.places.begin(), touched.places.end());
    std::sort(places.begin(), places.end());
    TreeUpdate update(original, *files_, *places_);
    for (const Place& place : places) HF_TRY(update.take_name(place.directory, place.name));
    for (const ObjectId& directory : touched.directories) HF_TRY(update.take_object(directory));
    std::vector<ObjectId> moved;
    for (const auto& [object, parts] : touched.objects) {
        if (!object) continue;
        HF_TRY(update.take_object(object));
        if (!(parts & touched_names)) continue;
        const auto location = HF_TRY(original.index.location(object));
        if (location && location->links > 0 && S_ISDIR(location->mode)) moved.push_back(object);
    }
    HF_TRY(update.run(!comparison_, [&](const ObjectId& object, TreeUpdate::Age age) -> Status {
        const int target = HF_TRY(files_->fd(object));
        const auto found = touched.objects.find(object);
        const uint8_t parts = found == touched.objects.end() ? 0 : found->second;
        // A comparison that is under way has brought it, unless it had no name just then.
        const bool was_brought = age == TreeUpdate::Age::known || (age == TreeUpdate::Age::new_ && comparison_ && !(parts & touched_names));
        if (!was_brought) return bring_all_bytes(original, object, target);
        return parts & touched_data ? bring_touched_bytes(original, object, from, target) : ok();
    }));
    return moved;
}

// Whatever is in it belongs to nobody now.
Status StandbyTree::empty_graveyard() {
    std::vector<std::string> names;
    HF_TRY(read_directory(tree_->graveyard_fd(), [&](const DirectoryEntry& entry) -> Status {
        names.push_back(entry.name);
        return ok();
    }));
    for (const std::string& name : names) {
        HF_TRY(remove_tree(tree_->graveyard_fd(), name));
        if (const auto object = parse_object_id(name)) HF_TRY(files_->remove(*object));
    }
    return files_->tell_all();
}

Status StandbyTree::go_back(const Original& original) {
    // Whatever comes of it: undo and index are opened anew.
    if (!places_->position()) {
        let_go();
        return ok();
    }
    const auto attempt = [&]() -> Status {
        HF_TRY(reach(original));
        HF_TRY(follow(original, std::min(reached_, original.applied)));
        HF_TRY(empty_graveyard());
        reached_ = original.applied;
        return save_position();
    };
    if (Status done = attempt(); !done) {
        fail(done.error());
        HF_TRY(must_compare());
    }
    let_go();
    return ok();
}

Status StandbyTree::must_compare() {
    comparison_.reset();
    return places_->withdraw_position();
}

void StandbyTree::save() {
    if (!files_ || comparison_ || places_->position() == reached_ || !places_->position()) return;
    if (Status saved = save_position(); !saved) fail(saved.error());
}

Status StandbyTree::save_position() {
    if (::syncfs(tree_->root_fd()) != 0) return errno_error(errno, "sync the standby directory " + quoted(directory_));
    HF_TRY(tree_->spilled().sync());
    return places_->set_position(reached_);
}

void StandbyTree::let_go() {
    comparison_.reset();
    files_.reset();
    tree_.reset();
}

// What was done without being known is found out by the next attempt.
void StandbyTree::fail(const Error& error) {
    let_go();
    // Somebody has changed it behind the product's back, or its table is wrong.
    if (error.code == ErrorCode::corrupt || error.code == ErrorCode::exists || error.code == ErrorCode::not_found) (void)must_compare().has_value();
    log_warning("The standby directory " + quoted(directory_) + " cannot follow: " + error.message + ". It is tried again in " +
                std::to_string(retry_pause_ns_ / 1'000'000'000) + " s.");
    retry_due_ns_ = clock_.monotonic_ns() + retry_pause_ns_;
    retry_pause_ns_ = std::min(2 * retry_pause_ns_, retry_longest_ns);
    const MutexLock lock(mutex_);
    condition_.state = State::unreachable;
    condition_.failure = error;
}

void StandbyTree::tell() {
    const MutexLock lock(mutex_);
    condition_.state = comparison_ ? State::comparing : State::following;
    condition_.position = places_->position() ? reached_ : 0;
    condition_.lacks_attributes = tree_ && tree_->spilled().has_any();
    condition_.figures = comparison_ ? comparison_->figures() : found_;
    condition_.comparisons = comparisons_;
    condition_.failure.reset();
}

}  // namespace holdfast::rewind
