#include "journal/inflight.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/text.h"

namespace holdfast::journal {
namespace {

constexpr uint64_t table_magic = 0x544c464e49544648ULL;  // "HFTINFLT"
constexpr uint32_t table_version = 1;
constexpr size_t head_bytes = 4096;  // the shared words have a page of their own
constexpr size_t table_bytes = head_bytes + inflight_slots_max * sizeof(Slot);

// What is shared between processes must not hide a lock inside, and must lie where the other process looks for it.
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
static_assert(sizeof(SharedHead) <= head_bytes);
static_assert(offsetof(SharedHead, published) == 48 && offsetof(SharedHead, acknowledged) == 128 && offsetof(SharedHead, gap) == 1216);
static_assert(sizeof(Slot) % alignof(Slot) == 0 && offsetof(Slot, intent) == 40);

enum class Contents {
    of_this_run,  // written by a process of this boot
    unused,       // made, but no record was committed since
    of_past_run,  // of an earlier boot: it says what was, and whether that reached the disk nobody knows
    unusable,     // of another volume, of another version, or no table at all
};

bool is_zero(const uint8_t (&bytes)[16]) {
    return std::all_of(std::begin(bytes), std::end(bytes), [](uint8_t byte) { return byte == 0; });
}

Contents judge(const SharedHead& head, const VolumeId* volume) {
    if (head.magic != table_magic || head.version != table_version || head.slot_count != inflight_slots_max)
        return Contents::unusable;
    if (volume && head.volume != *volume) return Contents::unusable;
    if (is_zero(head.boot_id)) return Contents::unused;
    const auto boot = current_boot_id();
    return memcmp(head.boot_id, boot.data(), boot.size()) == 0 ? Contents::of_this_run : Contents::of_past_run;
}

Result<void*> map(int fd, const std::string& path) {
    void* address = ::mmap(nullptr, table_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) return errno_error(errno, "map " + quoted(path));
    return address;
}

// Null when the file is absent or not of the right size.
Result<void*> map_existing(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!fd && errno == ENOENT) return nullptr;
    if (!fd) return errno_error(errno, "open " + quoted(path));
    struct stat status;
    if (::fstat(fd.get(), &status) != 0) return errno_error(errno, "stat " + quoted(path));
    if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) != table_bytes) return nullptr;
    return map(fd.get(), path);
}

Status fill_with_zeros(int fd, const std::string& path) {
    // On btrfs every writeback of a copy-on-write file wants new space, and a store into the mapping that finds none
    // ends the process with SIGBUS. Other file systems do not know the flag and do not need it.
    int flags = 0;
    if (::ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        (void)::ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
    // Written, not just extended: a store into a hole of the mapping could find the disk full as well.
    const std::vector<std::byte> zeros(table_bytes);
    size_t done = 0;
    while (done < table_bytes) {
        const ssize_t written = ::pwrite(fd, zeros.data() + done, table_bytes - done, static_cast<off_t>(done));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return errno_error(written < 0 ? errno : EIO, "write " + quoted(path));
        done += static_cast<size_t>(written);
    }
    return ok();
}

// Makes the table under another name and puts it in place by rename, so that whoever is killed in between leaves
// either the old table or the new one. Nothing is synced: after a host crash its contents mean nothing anyway.
Result<void*> make_table(const std::string& path, const VolumeId& volume) {
    const std::string fresh = path + ".new";
    (void)::unlink(fresh.c_str());
    UniqueFd fd(::open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return errno_error(errno, "create " + quoted(fresh));
    HF_TRY(fill_with_zeros(fd.get(), fresh));
    void* address = HF_TRY(map(fd.get(), fresh));
    auto* head = static_cast<SharedHead*>(address);
    head->version = table_version;
    head->slot_count = inflight_slots_max;
    head->volume = volume;
    head->magic = table_magic;
    if (::rename(fresh.c_str(), path.c_str()) != 0) {
        const Error error = errno_error(errno, "rename " + quoted(fresh));
        ::munmap(address, table_bytes);
        return error;
    }
    return address;
}

// All words and slots, but not what says whose table this is.
void clear(void* table) {
    constexpr size_t words = offsetof(SharedHead, published);
    memset(static_cast<std::byte*>(table) + words, 0, table_bytes - words);
}

}  // namespace

Result<std::unique_ptr<InflightTable>> InflightTable::open(const std::string& path, const VolumeId& volume) {
    std::unique_ptr<InflightTable> table(new InflightTable());
    void* address = HF_TRY(map_existing(path));
    const Contents contents =
        address ? judge(*static_cast<SharedHead*>(address), &volume) : Contents::unusable;
    // An unused table is cleared where it is: a reader may have mapped it already, and would follow the old file
    // for ever if another one took its name.
    if (contents == Contents::unused) clear(address);
    if (contents == Contents::of_past_run || contents == Contents::unusable) {
        if (address) ::munmap(address, table_bytes);
        address = HF_TRY(make_table(path, volume));
    }
    table->survived_ = contents == Contents::of_this_run;
    table->adopt(address);
    return table;
}

Result<std::unique_ptr<InflightTable>> InflightTable::open_existing(const std::string& path) {
    void* address = HF_TRY(map_existing(path));
    if (!address) return Error{ErrorCode::not_found, "there is no in-flight table at " + quoted(path), ENOENT};
    const auto& head = *static_cast<SharedHead*>(address);
    const Contents contents = judge(head, nullptr);
    if (contents == Contents::unusable || contents == Contents::of_past_run) {
        ::munmap(address, table_bytes);
        return Error{ErrorCode::not_found, "the in-flight table at " + quoted(path) + " is not of this run of the host"};
    }
    std::unique_ptr<InflightTable> table(new InflightTable());
    table->survived_ = contents == Contents::of_this_run;
    table->adopt(address);
    return table;
}

void InflightTable::adopt(void* address) {
    head_ = static_cast<SharedHead*>(address);
    slots_ = reinterpret_cast<Slot*>(static_cast<std::byte*>(address) + head_bytes);
    bytes_ = table_bytes;
}

InflightTable::~InflightTable() {
    if (head_) ::munmap(head_, bytes_);
}

void InflightTable::stamp_boot() {
    const auto boot = current_boot_id();
    memcpy(head_->boot_id, boot.data(), boot.size());
}

Lsn InflightTable::wait(std::atomic<uint64_t> SharedHead::*followed, Lsn known, uint32_t timeout_ms) {
    Lsn now = 0;
    head_->wake.wait(uint64_t{timeout_ms} * 1'000'000, [&] { return (now = (head_->*followed).load()) > known; });
    return now;
}

std::array<uint8_t, 16> current_boot_id() {
    // Read once: it cannot change while this process lives.
    static const std::array<uint8_t, 16> id = [] {
        char text[64] = {};
        UniqueFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
        const ssize_t size = fd ? ::read(fd.get(), text, sizeof text - 1) : 0;
        // Without it nothing could tell this run of the host from another, and recovery would trust stale words.
        HF_CHECK(size >= 36);
        const auto parsed = parse_volume_id(std::string_view(text, 36));
        HF_CHECK(parsed.has_value());
        return parsed->bytes;
    }();
    return id;
}

}  // namespace holdfast::journal
