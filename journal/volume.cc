#include "journal/volume.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/disk.h"
#include "base/log.h"
#include "base/mount_table.h"
#include "base/real_path.h"
#include "base/small_file.h"
#include "base/text.h"
#include "journal/volume_text.h"

namespace holdfast::journal {
namespace {

constexpr const char* volume_file = "volume.toml";

std::string environment_or(const char* variable, const char* fallback) {
    const char* value = ::getenv(variable);
    return value != nullptr && *value != '\0' ? value : fallback;
}

Result<std::string> read_link(const std::string& path) {
    char target[PATH_MAX];
    ssize_t length = ::readlink(path.c_str(), target, sizeof target);
    if (length < 0) return errno_error(errno, "read the link " + quoted(path));
    if (static_cast<size_t>(length) == sizeof target) return errno_error(ENAMETOOLONG, "read the link " + quoted(path));
    return std::string(target, static_cast<size_t>(length));
}

// Without links, dots and double slashes when it exists: the form in which stores are compared.
std::function<Result<UniqueFd>(const std::string&)>& other_opener() {
    static std::function<Result<UniqueFd>(const std::string&)> open;
    return open;
}

Result<std::string> description_by_other(const std::string& store) {
    const UniqueFd file = HF_TRY(other_opener()(store));
    const std::string text = HF_TRY(read_text(file.get(), volume_text_bytes_max + 1));
    if (text.size() > volume_text_bytes_max) return Error{ErrorCode::corrupt, "the description of the store " + quoted(store) + " is too long"};
    return text;
}

// What cannot be loaded keeps its reason.
RegistryEntry entry_of(const RegisteredStore& registered) {
    const auto& [id, store] = registered;
    auto volume = load_volume(store);
    if (volume && volume->id != id)
        volume = Error{ErrorCode::foreign, "the store " + quoted(store) + " now belongs to the volume " + to_string(volume->id) +
                                               ", not to " + to_string(id) + "; remove the link " + quoted(registry_directory() + "/" + to_string(id))};
    return RegistryEntry{id, store, std::move(volume)};
}

Error nothing_found(const std::string& path, const std::vector<RegistryEntry>& entries) {
    std::string sentence = quoted(path) + " is not protected and is no store";
    for (const RegistryEntry& entry : entries) {
        if (!entry.volume) sentence += "; a registered store cannot be read: " + entry.volume.error().message;
    }
    return {ErrorCode::not_found, std::move(sentence)};
}

Result<std::unique_ptr<Disk>> open_registry() {
    std::string registry = registry_directory();
    std::error_code failure;
    std::filesystem::create_directories(registry, failure);
    if (failure) return errno_error(failure.value(), "make the registry " + quoted(registry));
    return open_disk(registry);
}

}  // namespace

std::string registry_directory() {
    return environment_or("HOLDFAST_STATE_DIR", "/var/lib/holdfast") + "/volumes";
}

const char* to_string(VolumeRole role) {
    return role == VolumeRole::replica ? "replica" : "source";
}

std::string present_directory(const Volume& volume) {
    return volume.is_replica() ? volume.store + "/image" : volume.directory;
}

const std::string& name_of(const Volume& volume) {
    return volume.is_replica() ? volume.store : volume.directory;
}

Status check_is_source(const Volume& volume, std::string_view why) {
    if (!volume.is_replica()) return ok();
    return Error{ErrorCode::unsupported, quoted(volume.store) + " is a replica's store, and " + std::string(why)};
}

const char* to_string(FullPolicy policy) {
    switch (policy) {
        case FullPolicy::degrade: return "degrade";
        case FullPolicy::block: return "block";
        case FullPolicy::stop_protection: return "stop-protection";
    }
    return "unknown";
}

Result<FullPolicy> parse_full_policy(std::string_view text) {
    for (FullPolicy policy : {FullPolicy::degrade, FullPolicy::block, FullPolicy::stop_protection}) {
        if (text == to_string(policy)) return policy;
    }
    return Error{ErrorCode::invalid_argument, quoted(text) + " is no policy for a full journal; it is degrade, block or stop-protection"};
}

void open_descriptions_by(std::function<Result<UniqueFd>(const std::string& store)> open) {
    other_opener() = std::move(open);
}

Result<UniqueFd> open_description(const std::string& store) {
    const std::string path = store + "/" + volume_file;
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) return errno_error(errno, "open " + quoted(path));
    return file;
}

Result<Volume> load_volume(const std::string& store) {
    std::string real = real_path(store);
    auto disk = open_disk(real);
    if (!disk && disk.error().sys_errno == EACCES && other_opener()) {
        const std::string text = HF_TRY(description_by_other(real));
        return volume_from_text(text, real);
    }
    if (!disk) return std::move(disk).error().within("the store " + quoted(store) + " cannot be opened");
    auto text = read_small_file(**disk, volume_file, volume_text_bytes_max);
    if (!text && text.error().code == ErrorCode::not_found)
        return Error{ErrorCode::not_found, "there is no store in " + quoted(real) + ": it holds no volume.toml"};
    if (!text) return std::move(text).error().within("the store " + quoted(real));
    return volume_from_text(*text, real);
}

Status save_volume(const Volume& volume) {
    if (!volume.is_replica() && volume.directory.empty())
        return Error{ErrorCode::invalid_argument, "a source has a directory; the store " + quoted(volume.store) + " is not described without"};
    if (volume.is_replica() && volume.journal_directory != volume.store + "/journal")
        return Error{ErrorCode::invalid_argument, "the journal of a replica lies in its store, " + quoted(volume.store + "/journal") + ", and nowhere else"};
    auto disk = HF_TRY(open_disk(volume.store));
    return replace_small_file(*disk, volume_file, volume_to_text(volume));
}

Result<std::vector<RegisteredStore>> registered_stores() {
    std::vector<RegisteredStore> stores;
    std::string registry = registry_directory();
    std::error_code failure;
    std::filesystem::directory_iterator links(registry, failure), end;
    if (failure == std::errc::no_such_file_or_directory) return stores;
    while (!failure && links != end) {
        const auto id = parse_volume_id(links->path().filename().string());
        auto store = id ? read_link(links->path().native()) : Result<std::string>(id.error());
        // What is not named by an id is a link that is just being made; what is no link is not ours.
        if (store) stores.push_back({*id, std::move(*store)});
        links.increment(failure);
    }
    if (failure) return errno_error(failure.value(), "list the registry " + quoted(registry));
    std::sort(stores.begin(), stores.end(), [](const RegisteredStore& a, const RegisteredStore& b) { return a.id < b.id; });
    return stores;
}

Result<std::vector<RegistryEntry>> registry_entries() {
    std::vector<RegistryEntry> entries;
    for (const RegisteredStore& registered : HF_TRY(registered_stores())) entries.push_back(entry_of(registered));
    return entries;
}

Result<std::vector<Volume>> registered_volumes() {
    std::vector<Volume> volumes;
    for (RegistryEntry& entry : HF_TRY(registry_entries())) {
        if (entry.volume) volumes.push_back(std::move(*entry.volume));
    }
    return volumes;
}

Status register_volume(const Volume& volume) {
    auto registry = HF_TRY(open_registry());
    // The link is made under another name and renamed: a crash leaves the old one or the new one, never none.
    std::string id = to_string(volume.id), fresh = id + std::string(small_file_suffix);
    std::string path = registry_directory() + "/" + fresh;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error(errno, "remove " + quoted(path));
    if (::symlink(volume.store.c_str(), path.c_str()) != 0) return errno_error(errno, "register the volume at " + quoted(path));
    HF_TRY(registry->rename(fresh, id));
    return registry->sync_directory();
}

Status unregister_volume(const Volume& volume) {
    auto registry = HF_TRY(open_registry());
    auto removed = registry->remove(to_string(volume.id));
    if (!removed && removed.error().code != ErrorCode::not_found) return removed;
    return registry->sync_directory();
}

Result<Volume> find_volume(const std::string& path_or_id) {
    auto entries = HF_TRY(registry_entries());
    auto id = parse_volume_id(path_or_id);
    const Volume* found = nullptr;
    for (const RegistryEntry& entry : entries) {
        if (id && entry.id == *id) return entry.volume;
        // The store's own place comes first: it may be asked for while its description cannot be read.
        if (!id && real_path(entry.store) == path_or_id) return entry.volume;
        if (id || !entry.volume || !is_within(path_or_id, present_directory(*entry.volume))) continue;
        // Protected directories never lie in one another; should two claim a path, the inner one knows more of it.
        if (!found || present_directory(*found).size() < present_directory(*entry.volume).size()) found = &*entry.volume;
    }
    if (found) return *found;
    if (id) return Error{ErrorCode::not_found, "no volume with the id " + to_string(*id) + " is registered on this host"};
    return nothing_found(path_or_id, entries);
}

std::string run_directory(const VolumeId& id) {
    return environment_or("HOLDFAST_RUN_DIR", "/run/holdfast") + "/" + to_string(id);
}

std::string engine_socket() {
    return environment_or("HOLDFAST_RUN_DIR", "/run/holdfast") + "/engine.sock";
}

std::string engine_directory() {
    return environment_or("HOLDFAST_STATE_DIR", "/var/lib/holdfast") + "/engine";
}

}  // namespace holdfast::journal
