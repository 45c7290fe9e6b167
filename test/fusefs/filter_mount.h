// A directory with a filter mounted over it, served by a child process, for tests. With a journal, what was recorded can be
// read after unmount().
//
// The child is ended and the mount taken away in every case, by what this object made itself.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "fusefs/filter.h"
#include "fusefs/fuse_mount.h"
#include "journal/reader.h"
#include "test/support/scratch.h"

namespace holdfast::test {

enum class Recording { none, journal };

class FilterMount {
public:
    static constexpr uint32_t degrade_patience_ms = 500;
    ScratchDirectory scratch;
    const std::string live;

    explicit FilterMount(Recording recording, journal::WriterOptions options = {},
                         journal::FullPolicy policy = journal::FullPolicy::block, journal::Durability durability = {})
        : live(scratch / "live"), recording_(recording), options_(options), policy_(policy), durability_(durability) {
        options_.segment_bytes = std::min<uint64_t>(options_.segment_bytes, 4 << 20);
        ::mkdir(live.c_str(), 0755);
        ::mkdir((scratch / "journal").c_str(), 0700);
        backing_.reset(::open(live.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        auto mount = fusefs::FuseMount::make("test", live, backing_.get(), 0);
        if (!mount) throw std::runtime_error(mount.error().message);
        mount_ = std::make_unique<fusefs::FuseMount>(std::move(*mount));
        try {
            start(false);
        } catch (...) {
            give_up();  // a constructor that throws has no destructor
            throw;
        }
    }
    ~FilterMount() { give_up(); }
    FilterMount(const FilterMount&) = delete;
    FilterMount& operator=(const FilterMount&) = delete;

    // Takes everything away at once.
    void give_up() {
        if (!is_mounted_) return;
        mount_->detach();
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }

    // Ends the session in order.
    void unmount() {
        REQUIRE(::umount2(live.c_str(), UMOUNT_NOFOLLOW) == 0);
        is_mounted_ = false;
        mount_->close_device();
        int status = 0;
        REQUIRE(::waitpid(child_, &status, 0) == child_);
        REQUIRE(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
    }

    // The path of something in the backing tree, after unmount() or meanwhile around the mount.
    std::string backing(const std::string& name) const { return "/proc/self/fd/" + std::to_string(backing_.get()) + "/" + name; }
    std::string operator/(const std::string& name) const { return live + "/" + name; }

    // Until the serving process has NAME open no more: closing is a message that nobody waits for.
    void await_closed(const std::string& name) const {
        const std::string all = "/proc/" + std::to_string(child_) + "/fd";
        const auto is_open = [&] {
            for (const auto& entry : std::filesystem::directory_iterator(all)) {
                std::error_code gone;
                if (std::filesystem::read_symlink(entry.path(), gone).filename() == name) return true;
            }
            return false;
        };
        for (int tries = 0; is_open(); ++tries) {
            REQUIRE(tries < 5000);
            ::poll(nullptr, 0, 1);
        }
    }

    struct Seen {
        std::string type;
        journal::ObjectId object;
        std::string text;  // names, data, values: what the record says
    };
    std::vector<Seen> records() const {
        auto disk = open_disk(scratch / "journal");
        REQUIRE(disk);
        journal::Reader reader(**disk, volume_, options_.segment_bytes, nullptr);
        std::vector<Seen> all;
        for (;;) {
            auto record = reader.next();
            if (!record) FAIL(record.error().message);
            if (!*record) return all;
            all.push_back({journal::to_string((*record)->type), (*record)->object, describe(**record)});
        }
    }
    // "CREATE WRITE SETATTR ..."
    static std::string types(const std::vector<Seen>& seen) {
        std::string text;
        for (const Seen& one : seen) text += (text.empty() ? "" : " ") + one.type;
        return text;
    }

    // Kills the serving process as a crash would. The kernel's requests wait.
    void kill_child() {
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }
    // Whoever asks a mount that nobody serves waits for ever, so a child that cannot begin ends the test here.
    void start(bool resumed) {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        UniqueFd said(ends[0]), says(ends[1]);
        child_ = ::fork();
        REQUIRE(child_ >= 0);
        if (child_ == 0) ::_exit(serve(resumed, says.get()));
        says.reset();
        char ready = 0;
        REQUIRE(::read(said.get(), &ready, 1) == 1);
    }
    // Done in the child between serving and closing the journal.
    std::function<void(fusefs::Filter&)> beside;

private:
    static std::string describe(const journal::Record& record) {
        std::string text;
        if (const auto* b = std::get_if<journal::Write>(&record.body))
            text = std::to_string(b->offset) + ":" + std::string(reinterpret_cast<const char*>(b->data.data()), b->data.size());
        else if (const auto* b = std::get_if<journal::Truncate>(&record.body)) text = std::to_string(b->size);
        else if (const auto* b = std::get_if<journal::Birth>(&record.body)) text = std::string(b->name) + (b->target.empty() ? "" : "->" + std::string(b->target));
        else if (const auto* b = std::get_if<journal::Link>(&record.body)) text = b->name;
        else if (const auto* b = std::get_if<journal::Unlink>(&record.body)) text = std::string(b->name) + (b->last_link ? " last" : "");
        else if (const auto* b = std::get_if<journal::Rename>(&record.body))
            text = std::string(b->old_name) + "->" + std::string(b->new_name) + (b->exchange ? " exchange" : "") + (b->last_link ? " last" : "");
        else if (const auto* b = std::get_if<journal::SetXattr>(&record.body)) text = std::string(b->xattr.name) + "=" + std::string(b->xattr.value);
        else if (const auto* b = std::get_if<journal::RemoveXattr>(&record.body)) text = b->name;
        else if (const auto* b = std::get_if<journal::SetAttr>(&record.body)) {
            char buffer[64];
            std::snprintf(buffer, sizeof buffer, "%x mode=%o", b->attributes.valid, b->attributes.mode);
            text = buffer;
        }
        return text;
    }

    int serve(bool resumed, int says) {
        fusefs::Wiring wiring;
        wiring.device_fd = mount_->device_fd();
        wiring.backing_root_fd = backing_.get();
        wiring.clock = &system_clock();
        wiring.threads = 4;
        wiring.resumed = resumed;
        wiring.full_policy = policy_;
        wiring.degrade_patience_ms = degrade_patience_ms;
        wiring.durability = durability_;
        std::unique_ptr<Disk> disk;
        std::unique_ptr<journal::InflightTable> table;
        std::unique_ptr<journal::Writer> writer;
        if (recording_ == Recording::journal) {
            disk = open_disk(scratch / "journal").value();
            table = journal::InflightTable::open(scratch / "inflight", volume_).value();
            auto opened = journal::Writer::open(*disk, *table, system_clock(), volume_, {}, options_);
            if (!opened) return 3;
            writer = std::move(*opened);
            wiring.writer = writer.get();
            wiring.table = table.get();
        }
        auto filter = fusefs::Filter::create(wiring);
        if (!filter || ::write(says, "r", 1) != 1) return 4;
        std::thread other;
        if (beside) other = std::thread([&] { beside(**filter); });
        const auto status = (*filter)->run();
        if (other.joinable()) other.join();
        return status ? 0 : 5;
    }

    Recording recording_;
    journal::WriterOptions options_;
    journal::FullPolicy policy_;
    journal::Durability durability_;
    journal::VolumeId volume_ = journal::random_volume_id();
    UniqueFd backing_;
    std::unique_ptr<fusefs::FuseMount> mount_;
    pid_t child_ = -1;
    bool is_mounted_ = true;
};

}  // namespace holdfast::test
