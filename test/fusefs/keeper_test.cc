#include "fusefs/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using namespace holdfast;
using namespace holdfast::fusefs;

namespace {

// The supervisor's side on a thread of its own, until its client is gone.
class Keeping {
public:
    Keeping() {
        auto pair = keeper_socketpair();
        REQUIRE(pair.has_value());
        server_ = std::move(pair->first);
        client_socket = std::move(pair->second);
    }
    ~Keeping() { finish(); }

    void start() {
        thread_ = std::thread([this] {
            for (;;) {
                pollfd wait{server_.get(), POLLIN, 0};
                ::poll(&wait, 1, -1);
                const auto event = store.handle(server_.get());
                if (event == KeeperStore::Event::ready) ready = true;
                if (event == KeeperStore::Event::closed) return;
            }
        });
    }
    void finish() {
        if (thread_.joinable()) thread_.join();
    }
    // A new worker's socket on the same store.
    void reconnect() {
        auto pair = keeper_socketpair();
        REQUIRE(pair.has_value());
        server_ = std::move(pair->first);
        client_socket = std::move(pair->second);
        start();
    }

    KeeperStore store;
    UniqueFd client_socket;
    std::atomic<bool> ready = false;

private:
    UniqueFd server_;
    std::thread thread_;
};

struct NamelessFile {
    NamelessFile() : fd(::open("/tmp", O_TMPFILE | O_RDWR, 0600)) {
        REQUIRE(fd.valid());
        struct stat info {};
        REQUIRE(::fstat(fd.get(), &info) == 0);
        inode = info.st_ino;
    }
    UniqueFd fd;
    uint64_t inode = 0;
};

}  // namespace

TEST_CASE("keeper: a nameless file outlives the client that kept it and is fetched by the next one") {
    Keeping keeping;
    keeping.start();
    NamelessFile file;
    REQUIRE(::pwrite(file.fd.get(), "kept", 4, 0) == 4);
    {
        KeeperClient first(std::move(keeping.client_socket));
        REQUIRE(first.keep(file.inode, file.fd.get()).has_value());
        file.fd.reset();
    }
    keeping.finish();
    REQUIRE(keeping.store.count() == 1);

    keeping.reconnect();
    {
        KeeperClient second(std::move(keeping.client_socket));
        auto fetched = second.fetch(file.inode);
        REQUIRE(fetched.has_value());
        char bytes[4];
        REQUIRE(::pread(fetched->get(), bytes, 4, 0) == 4);
        CHECK(std::string(bytes, 4) == "kept");
        CHECK((::fcntl(fetched->get(), F_GETFD) & FD_CLOEXEC) != 0);
        second.release(file.inode);
        auto gone = second.fetch(file.inode);
        REQUIRE_FALSE(gone.has_value());
        CHECK(gone.error().code == ErrorCode::not_found);
    }
    keeping.finish();
    CHECK(keeping.store.count() == 0);
}

TEST_CASE("keeper: keeping twice is harmless, releasing what is not kept too") {
    Keeping keeping;
    keeping.start();
    NamelessFile file;
    {
        KeeperClient client(std::move(keeping.client_socket));
        CHECK(client.keep(file.inode, file.fd.get()).has_value());
        CHECK(client.keep(file.inode, file.fd.get()).has_value());
        client.release(12345);
    }
    keeping.finish();
    CHECK(keeping.store.count() == 1);
}

TEST_CASE("keeper: a successor learns which files are kept") {
    Keeping keeping;
    keeping.start();
    std::vector<uint64_t> expected;
    {
        KeeperClient client(std::move(keeping.client_socket));
        CHECK(client.kept().empty());
        for (int i = 0; i < 5; ++i) {
            NamelessFile file;
            REQUIRE(client.keep(file.inode, file.fd.get()).has_value());
            expected.push_back(file.inode);
        }
        std::sort(expected.begin(), expected.end());
        CHECK(client.kept() == expected);
        client.release(expected[2]);
        expected.erase(expected.begin() + 2);
        CHECK(client.kept() == expected);
    }
    keeping.finish();
}

TEST_CASE("keeper: readiness arrives as an event of its own") {
    Keeping keeping;
    keeping.start();
    {
        KeeperClient client(std::move(keeping.client_socket));
        CHECK(client.announce_ready().has_value());
    }
    keeping.finish();
    CHECK(keeping.ready);
}

TEST_CASE("keeper: many threads get each their own answer") {
    Keeping keeping;
    keeping.start();
    {
        KeeperClient client(std::move(keeping.client_socket));
        std::atomic<int> wrong = 0;
        std::vector<std::thread> threads;
        for (int i = 0; i < 8; ++i)
            threads.emplace_back([&] {
                for (int round = 0; round < 50; ++round) {
                    UniqueFd fd(::open("/tmp", O_TMPFILE | O_RDWR, 0600));
                    struct stat mine {}, theirs {};
                    ::fstat(fd.get(), &mine);
                    if (!client.keep(mine.st_ino, fd.get())) ++wrong;
                    auto back = client.fetch(mine.st_ino);
                    if (!back || ::fstat(back->get(), &theirs) != 0 || theirs.st_ino != mine.st_ino) ++wrong;
                    client.release(mine.st_ino);
                }
            });
        for (auto& thread : threads) thread.join();
        CHECK(wrong == 0);
    }
    keeping.finish();
    CHECK(keeping.store.count() == 0);
}

TEST_CASE("keeper: without a supervisor every call fails at once instead of hanging") {
    auto pair = keeper_socketpair();
    REQUIRE(pair.has_value());
    KeeperClient client(std::move(pair->second));
    pair->first.reset();
    NamelessFile file;
    auto status = client.keep(file.inode, file.fd.get());
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().code == ErrorCode::unavailable);
    CHECK_FALSE(client.fetch(file.inode).has_value());
    client.release(file.inode);
}

TEST_CASE("keeper: a damaged message is answered and changes nothing") {
    auto pair = keeper_socketpair();
    REQUIRE(pair.has_value());
    KeeperStore store;
    REQUIRE(::send(pair->second.get(), "x", 1, 0) == 1);
    CHECK(store.handle(pair->first.get()) == KeeperStore::Event::served);
    const uint64_t unknown_verb[2] = {99, 7};
    REQUIRE(::send(pair->second.get(), unknown_verb, sizeof unknown_verb, 0) == sizeof unknown_verb);
    CHECK(store.handle(pair->first.get()) == KeeperStore::Event::served);
    CHECK(store.handle(pair->first.get()) == KeeperStore::Event::nothing);
    CHECK(store.count() == 0);
    pair->second.reset();
    CHECK(store.handle(pair->first.get()) == KeeperStore::Event::closed);
}
