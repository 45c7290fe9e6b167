#include "replicator/launch/places.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/mount_table.h"
#include "base/real_path.h"
#include "base/text.h"
#include "journal/volume.h"

namespace holdfast::replicator {

namespace {

using Use = Place::Use;

// What names are looked up by; and whom an https:// server is believed by.
constexpr const char* name_files[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/localtime"};
constexpr const char* certificate_directories[] = {"/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted"};

class Collected {
public:
    void add(const std::string& path, Use use, bool is_needed = true) {
        struct statx status;
        if (::statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &status) != 0) return;
        const uint64_t made_ns = static_cast<uint64_t>(status.stx_btime.tv_sec) * 1'000'000'000 + status.stx_btime.tv_nsec;
        places.all.push_back({path, use, is_needed, uint64_t{status.stx_dev_major} << 32 | status.stx_dev_minor, status.stx_ino, status.stx_mask & STATX_BTIME ? made_ns : 0});
    }
    void speaks_to(const journal::VolumeId& id) { places.volumes.push_back(id); }

    Places places;
};

bool is_kept_here(const Config& config, const std::string& store) {
    return std::any_of(config.keep.begin(), config.keep.end(), [&](const KeepRule& keep) {
        const std::string kept = real_path(keep.store);
        return is_within(store, kept) || is_within(kept, store);
    });
}

// The registry, without reading what lies in stores that the engine may write to.
std::vector<journal::Volume> registered(const Config& config) {
    std::vector<journal::Volume> all;
    const auto links = journal::registered_stores();
    if (!links) return all;
    for (const auto& [id, store] : *links) {
        if (is_kept_here(config, real_path(store))) continue;
        const auto volume = journal::load_volume(store);
        if (volume && volume->id == id) all.push_back(*volume);
    }
    return all;
}

bool is_sent(const Config& config, const journal::Volume& volume) {
    return std::any_of(config.send.begin(), config.send.end(), [&](const SendRule& send) {
        const auto id = journal::parse_volume_id(send.volume);
        return id ? *id == volume.id : is_within(send.volume, journal::present_directory(volume)) || send.volume == volume.store;
    });
}

void add_sources(const Config& config, Collected& collected) {
    for (const journal::Volume& volume : registered(config)) {
        const std::string cursors = volume.journal_directory + "/cursors";
        struct stat status;
        // What has none is no journal, whoever says so.
        if (::stat(cursors.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) continue;
        const bool is_needed = is_sent(config, volume);
        collected.add(cursors, Use::change, is_needed);
        if (!is_needed) continue;
        collected.add(volume.journal_directory, Use::write_existing);
        collected.speaks_to(volume.id);
    }
}

}  // namespace

void make_store_directories(const Config& config) {
    for (const KeepRule& keep : config.keep) (void)::mkdir(keep.store.c_str(), 0700);
}

Places places_for(const Config& config) {
    Collected collected;
    for (const KeepRule& keep : config.keep) {
        collected.add(keep.store, Use::change);
        collected.speaks_to(keep.volume);
    }
    add_sources(config, collected);
    for (const char* file : name_files) collected.add(file, Use::read);
    for (const char* directory : certificate_directories) collected.add(directory, Use::read);
    collected.add(journal::engine_directory(), Use::change);
    collected.add(journal::registry_directory(), Use::read);
    return std::move(collected.places);
}

std::string missing_place(const Places& needed, const Places& had) {
    for (const Place& place : needed.all) {
        const bool is_there = std::any_of(had.all.begin(), had.all.end(), [&](const Place& one) {
            return one.device == place.device && one.inode == place.inode && one.made_ns == place.made_ns && one.use == place.use;
        });
        if (place.is_needed && !is_there) return place.path;
    }
    return {};
}

bool is_registered_store(const std::string& store) {
    const auto links = journal::registered_stores();
    return links && std::any_of(links->begin(), links->end(), [&](const auto& link) { return real_path(link.store) == store; });
}

}  // namespace holdfast::replicator
