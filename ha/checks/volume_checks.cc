// Checks of the protected directories and their stores, on both hosts.
#include "base/text.h"
#include "ha/checks/tables.h"

namespace holdfast::ha {

namespace {

constexpr auto consistency = CheckFamily::consistency;
constexpr auto permission = CheckFamily::permission;
constexpr auto error = Severity::error, warning = Severity::warning;

// A file system that has less than a tenth free is on its way to full.
constexpr uint64_t free_part = 10;
constexpr uint64_t inodes_free_min = 10'000;

FactPath of_directory(const ScenarioVolume& volume, const char* fact) { return {"directories", volume.directory, fact}; }
FactPath of_store(const HostFacts& host, const ScenarioVolume& volume, const char* fact) { return {"stores", volume.store.of(host.name), fact}; }

template <typename What>
void each_volume(Look& look, const What& what) {
    for (const ScenarioVolume& volume : look.scenario().volumes) what(volume);
}

template <typename What>
void each_place(Look& look, const What& what) {
    for (const ScenarioVolume& volume : look.scenario().volumes)
        for (const HostFacts& host : look.hosts()) what(volume, host);
}

// A finding where the flag at PATH is not IS.
void flag(Look& look, const HostFacts& host, const FactPath& path, bool is, const std::string& evidence) {
    const auto value = host.facts.flag(path);
    if (!value) look.does_not_know(host, path);
    if (value && *value != is) look.finds(evidence + " on " + host.name);
}

void directory_flag(Look& look, const char* fact, bool is, const char* otherwise) {
    each_place(look, [&](const ScenarioVolume& volume, const HostFacts& host) { flag(look, host, of_directory(volume, fact), is, quoted(volume.directory) + " " + otherwise); });
}

void store_flag(Look& look, const char* fact, bool is, const char* otherwise) {
    each_place(look, [&](const ScenarioVolume& volume, const HostFacts& host) { flag(look, host, of_store(host, volume, fact), is, "the store " + quoted(volume.store.of(host.name)) + " " + otherwise); });
}

void directories_equal(Look& look, const char* fact, const char* what) {
    each_volume(look, [&](const ScenarioVolume& volume) { look.must_be_equal(of_directory(volume, fact), std::string(what) + " of " + quoted(volume.directory)); });
}

void is_known_file_system(Look& look) {
    each_place(look, [&](const ScenarioVolume& volume, const HostFacts& host) {
        const auto type = host.facts.text(of_directory(volume, "file_system"));
        if (!type) look.does_not_know(host, of_directory(volume, "file_system"));
        if (type && *type != "ext4" && *type != "xfs" && *type != "btrfs" && *type != "fuse.holdfast") look.finds(quoted(volume.directory) + " on " + host.name + " lies on " + *type);
    });
}

void standby_has_room(Look& look) {
    each_volume(look, [&](const ScenarioVolume& volume) {
        const auto used = look.active().facts.number(of_directory(volume, "tree_bytes"));
        const auto total = look.standby().facts.number(of_directory(volume, "bytes_total"));
        if (used && total && *total < *used) look.finds(quoted(volume.directory) + " holds " + human_bytes(*used) + " on " + look.active().name + ", its file system on " + look.standby().name + " has " + human_bytes(*total));
    });
}

void is_not_full(Look& look, const HostFacts& host, const FactPath& total_at, const FactPath& free_at, const std::string& what) {
    const auto total = host.facts.number(total_at), free = host.facts.number(free_at);
    if (total && free && *free < *total / free_part) look.finds(what + " on " + host.name + " has " + human_bytes(*free) + " of " + human_bytes(*total) + " free");
}

void directories_have_room(Look& look) {
    each_place(look, [&](const ScenarioVolume& volume, const HostFacts& host) { is_not_full(look, host, of_directory(volume, "bytes_total"), of_directory(volume, "bytes_free"), quoted(volume.directory)); });
}

void stores_have_room(Look& look) {
    each_place(look, [&](const ScenarioVolume& volume, const HostFacts& host) {
        is_not_full(look, host, of_store(host, volume, "bytes_total"), of_store(host, volume, "bytes_free"), "the store " + quoted(volume.store.of(host.name)));
    });
}

void directories_have_inodes(Look& look) {
    each_place(look, [&](const ScenarioVolume& volume, const HostFacts& host) {
        const auto total = host.facts.number(of_directory(volume, "inodes_total")), free = host.facts.number(of_directory(volume, "inodes_free"));
        // btrfs has no number of them.
        if (total && free && *total != 0 && *free < inodes_free_min) look.finds(quoted(volume.directory) + " on " + host.name + " has room for " + std::to_string(*free) + " more files");
    });
}

void nothing_is_mounted_inside(Look& look) {
    each_place(look, [&](const ScenarioVolume& volume, const HostFacts& host) {
        const auto mounts = host.facts.texts(of_directory(volume, "mounts_inside"));
        if (!mounts) look.does_not_know(host, of_directory(volume, "mounts_inside"));
        if (mounts && !mounts->empty()) look.finds(quoted(mounts->front()) + " is mounted inside of " + quoted(volume.directory) + " on " + host.name);
    });
}

bool is_inside(const std::string& path, const std::string& directory) {
    return path == directory || path.starts_with(directory.ends_with('/') ? directory : directory + "/");
}

void directories_lie_apart(Look& look) {
    const auto& volumes = look.scenario().volumes;
    for (const ScenarioVolume& one : volumes)
        for (const ScenarioVolume& other : volumes)
            if (&one != &other && is_inside(one.directory, other.directory)) look.finds(quoted(one.directory) + " lies inside of " + quoted(other.directory));
}

void stores_lie_outside(Look& look) {
    each_place(look, [&](const ScenarioVolume& volume, const HostFacts& host) {
        for (const ScenarioVolume& other : look.scenario().volumes)
            if (is_inside(volume.store.of(host.name), other.directory)) look.finds("the store " + quoted(volume.store.of(host.name)) + " on " + host.name + " lies inside of " + quoted(other.directory));
    });
}

// What the other file system can hold and this one not stops a store or a standby tree, and any user of the directory can make it.
void stores_hold_what_directories_hold(Look& look) {
    each_place(look, [&](const ScenarioVolume& volume, const HostFacts& host) {
        for (const HostFacts& source : look.hosts()) {
            const auto type = source.facts.text(of_directory(volume, "backing")), store = host.facts.text(of_store(host, volume, "file_system"));
            if (type && store && *type != *store) look.finds(quoted(volume.directory) + " lies on " + *type + " on " + source.name + ", its store on " + host.name + " on " + *store);
        }
    });
}

void active_is_protected(Look& look) {
    each_volume(look, [&](const ScenarioVolume& volume) { flag(look, look.active(), of_directory(volume, "is_protected"), true, quoted(volume.directory) + " is not protected"); });
}

void standby_is_not_protected(Look& look) {
    each_volume(look, [&](const ScenarioVolume& volume) { flag(look, look.standby(), of_directory(volume, "is_protected"), false, quoted(volume.directory) + " is mounted by Holdfast"); });
}

void replica_is_there(Look& look) {
    each_volume(look, [&](const ScenarioVolume& volume) { flag(look, look.standby(), of_store(look.standby(), volume, "is_replica"), true, "the store " + quoted(volume.store.of(look.standby().name)) + " keeps no replica"); });
}

void replica_is_the_same_volume(Look& look) {
    each_volume(look, [&](const ScenarioVolume& volume) {
        const auto here = look.active().facts.text(of_store(look.active(), volume, "volume")), there = look.standby().facts.text(of_store(look.standby(), volume, "volume"));
        if (here && there && *here != *there) look.finds(quoted(volume.directory) + " is volume " + *here + " on " + look.active().name + ", its store on " + look.standby().name + " keeps " + *there);
    });
}

constexpr Check checks[] = {
    {"directory-exists", consistency, error, "each protected directory is there", "make it, empty, with the owner and mode of the other host's", [](Look& look) { directory_flag(look, "exists", true, "does not exist"); }},
    {"directory-is-one", consistency, error, "each protected directory is a directory", "move what is there out of the way", [](Look& look) { directory_flag(look, "is_directory", true, "is no directory"); }},
    {"directory-no-link", consistency, error, "no protected directory is reached through a symbolic link", "name the directory by its real path", [](Look& look) { directory_flag(look, "is_real_path", true, "is reached through a symbolic link"); }},
    {"directory-file-system", consistency, error, "directories lie on ext4, XFS or btrfs", "move the directory to one of these", is_known_file_system},
    {"directory-local", consistency, error, "directories lie on disks of their host", "protect it on the host that has the disk; what others write to it is not seen here", [](Look& look) { directory_flag(look, "is_remote", false, "lies on a network file system"); }},
    {"directory-equal-file-system", consistency, warning, "directories lie on one kind of file system", "use one kind: limits and features differ", [](Look& look) { directories_equal(look, "backing", "the file system"); }},
    {"directory-equal-blocks", consistency, warning, "directories have one block size", "make the file systems alike: long symbolic links fit into one and not the other", [](Look& look) { directories_equal(look, "block_bytes", "the block size"); }},
    {"directory-equal-options", consistency, warning, "directories are mounted with the same options", "mount both alike in /etc/fstab: nosuid, noexec, nodev and ACLs change what applications can do", [](Look& look) { directories_equal(look, "options", "the mount options"); }},
    {"directory-equal-owner", consistency, warning, "the top of each directory has one owner and mode", "it follows with the first replication; until then a start by hand may fail", [](Look& look) { directories_equal(look, "owner_and_mode", "owner and mode"); }},
    {"directory-writable", permission, error, "directories can be written to", "mount the file system for writing", [](Look& look) { directory_flag(look, "is_read_only", false, "is mounted read-only"); }},
    {"directory-attributes", permission, error, "directories keep extended attributes of users", "use a file system and options that do", [](Look& look) { directory_flag(look, "keeps_user_xattrs", true, "keeps no extended attributes"); }},
    {"directory-acls", permission, warning, "directories keep ACLs", "mount with acl", [](Look& look) { directory_flag(look, "keeps_acls", true, "keeps no ACLs"); }},
    {"directory-case", consistency, error, "names are told apart by their case", "use a directory without casefold", [](Look& look) { directory_flag(look, "is_casefolded", false, "does not tell names apart by their case"); }},
    {"directory-encrypted", consistency, error, "directories are not encrypted by fscrypt", "use an encrypted disk instead", [](Look& look) { directory_flag(look, "is_encrypted", false, "is encrypted by fscrypt"); }},
    {"directory-room", consistency, error, "the standby has room for what the master holds", "enlarge its file system", standby_has_room},
    {"directory-nearly-full", consistency, warning, "a tenth of each directory's file system is free", "make room", directories_have_room},
    {"directory-inodes", consistency, warning, "there is room for more files", "make room, or a file system with more inodes", directories_have_inodes},
    {"directory-mounts-inside", consistency, error, "nothing is mounted inside of a protected directory", "protect it by itself, or leave it out", nothing_is_mounted_inside},
    {"directory-apart", consistency, error, "protected directories lie apart", "protect the outer one alone", directories_lie_apart},
    {"directory-protected", consistency, error, "the master's directories are protected", "holdfast protect DIR --store STORE, or mount them", active_is_protected},
    {"directory-free", consistency, error, "the standby's directories are mounted by nobody", "holdfast unprotect DIR on the standby", standby_is_not_protected},
    {"store-exists", consistency, error, "each store is there", "the engine makes it when the replication starts; see [[keep]] in engine.md", [](Look& look) { store_flag(look, "exists", true, "does not exist"); }},
    {"store-replica", consistency, error, "the standby's store keeps a replica", "write a [[keep]] for it in the standby's holdfastd.toml", replica_is_there},
    {"store-same-volume", consistency, error, "both stores are of one volume", "give the standby an empty store", replica_is_the_same_volume},
    {"store-outside", consistency, error, "stores lie outside of what is protected", "move the store", stores_lie_outside},
    {"store-own-disk", consistency, warning, "stores lie on another file system than their directory", "use another disk: history that dies with the data helps nobody, and a full store fills the directory", [](Look& look) { store_flag(look, "is_on_disk_of_directory", false, "lies on the file system of its directory"); }},
    {"store-attributes", permission, error, "stores keep trusted attributes", "use a file system that does", [](Look& look) { store_flag(look, "keeps_trusted_xattrs", true, "keeps no trusted attributes"); }},
    {"store-writable", permission, error, "stores can be written to", "mount the file system for writing", [](Look& look) { store_flag(look, "is_read_only", false, "is mounted read-only"); }},
    {"store-private", permission, error, "stores are root's alone", "chown root STORE; chmod 0700 STORE", [](Look& look) { store_flag(look, "is_private", true, "can be entered by others than root"); }},
    {"store-room", consistency, warning, "a tenth of each store's file system is free", "make room, or a shorter window", stores_have_room},
    {"store-same-limits", consistency, warning, "stores can hold whatever their directories hold", "use one kind of file system for both: long symbolic links, many hard links or huge files stop a store that cannot hold them", stores_hold_what_directories_hold},
    {"store-healthy", consistency, error, "no store has stopped", "holdfast status shows why it stopped", [](Look& look) { store_flag(look, "has_failed", false, "has stopped"); }},
};

}  // namespace

std::span<const Check> volume_checks() { return checks; }

}  // namespace holdfast::ha
