#include "replicator/trust/identity.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/small_file.h"
#include "replicator/trust/openssl.h"
#include "replicator/trust/private_file.h"
#include "test/support/faulty_disk.h"
#include "test/support/memory_disk.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;
using holdfast::test::Fault;
using holdfast::test::FaultyDisk;
using holdfast::test::MemoryDisk;
using holdfast::test::ScratchDirectory;

namespace {

mode_t mode_of(const std::string& path) {
    struct stat status;
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

std::string read_all(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write_all(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::trunc) << text;
}

const std::string file_name(identity_file_name);

std::string after_key(const std::string& pem) {
    return pem.substr(pem.find("-----BEGIN CERTIFICATE"));
}
std::string key_of(const std::string& pem) {
    return pem.substr(0, pem.find("-----BEGIN CERTIFICATE"));
}

// What STORY leaves on a disk that fails at each call in turn, after a crash of the process and after a loss of power.
template <typename Prepare, typename Story, typename Check>
void at_every_call(const Prepare& prepare, const Story& story, const Check& check) {
    for (const Fault fault : {Fault::stop, Fault::fail, Fault::fail_midway}) {
        for (uint64_t call = 1;; ++call) {
            MemoryDisk memory;
            prepare(memory);
            FaultyDisk disk(memory);
            disk.fail_at(call, fault, EIO);
            const bool is_told_done = story(disk);
            if (disk.failed_call().empty()) break;
            CAPTURE(call, disk.failed_call(), static_cast<int>(fault));
            check(*memory.after_process_crash(), is_told_done);
            for (uint64_t seed = 0; seed < 20; ++seed) {
                CAPTURE(seed);
                std::mt19937_64 random(seed);
                check(*memory.after_power_loss(random), is_told_done);
            }
            REQUIRE(call < 100);
        }
    }
}

}  // namespace

TEST_CASE("identity: the first start makes one, the next starts find it, and nobody else can read it") {
    const ScratchDirectory scratch;
    const std::string directory = scratch / "trust";
    const Identity made = Identity::load_or_make(directory).value();
    const Identity found = Identity::load_or_make(directory).value();
    CHECK(made.fingerprint() == found.fingerprint());
    CHECK(mode_of(directory) == 0700);
    CHECK(mode_of(directory + "/" + file_name) == 0600);
    CHECK(std::distance(std::filesystem::directory_iterator(directory), {}) == 1);
    CHECK(Identity::load_or_make(scratch / "other").value().fingerprint() != made.fingerprint());
}

TEST_CASE("identity: the certificate is Ed25519, its own issuer, and valid whatever the clock says") {
    const Identity identity = Identity::make().value();
    CHECK(check_certificate(*identity.certificate()));
    CHECK(fingerprint_of(*identity.certificate()) == identity.fingerprint());
    time_t year_1971 = 31'536'000 + 1, year_9000 = 221'845'392'000;
    CHECK(X509_cmp_time(X509_get0_notBefore(identity.certificate()), &year_1971) < 0);
    CHECK(X509_cmp_time(X509_get0_notAfter(identity.certificate()), &year_9000) > 0);
}

TEST_CASE("identity: a fingerprint is written and read back; what is none is refused") {
    const Fingerprint fingerprint = Identity::make().value().fingerprint();
    const std::string text = to_string(fingerprint);
    CHECK(text.size() == 64);
    CHECK(Fingerprint::parse(text) == fingerprint);
    for (const std::string& wrong : {std::string(), text.substr(1), text + "0", "g" + text.substr(1), " " + text.substr(1)})
        CHECK_FALSE(Fingerprint::parse(wrong));
}

TEST_CASE("identity: a crash or a failure at any step of making it leaves none or a whole one, and that one stays") {
    std::optional<Fingerprint> told;
    at_every_call([](Disk&) {},
                  [&](Disk& disk) {
                      auto identity = Identity::load_or_make(disk);
                      told = identity ? std::optional(identity->fingerprint()) : std::nullopt;
                      return identity.has_value();
                  },
                  [&](Disk& disk, bool is_told_done) {
                      auto next = Identity::load_or_make(disk);
                      REQUIRE(next);
                      if (is_told_done) CHECK(next->fingerprint() == *told);
                      CHECK(Identity::load_or_make(disk).value().fingerprint() == next->fingerprint());
                  });
}

TEST_CASE("identity: what was loaded after a crash does not go with the next loss of power") {
    for (uint64_t call = 1; call < 10; ++call) {
        MemoryDisk memory;
        FaultyDisk disk(memory);
        disk.fail_at(call, Fault::stop, EIO);
        (void)Identity::load_or_make(disk);
        const auto next_process = memory.after_process_crash();
        const Identity identity = Identity::load_or_make(*next_process).value();  // and peers are told of it
        for (uint64_t seed = 0; seed < 20; ++seed) {
            std::mt19937_64 random(seed);
            CAPTURE(call, seed);
            CHECK(Identity::load_or_make(*next_process->after_power_loss(random)).value().fingerprint() == identity.fingerprint());
        }
    }
}

TEST_CASE("identity: files and directories that others can use are refused, and are left as they are") {
    const ScratchDirectory scratch;
    const std::string directory = scratch / "trust", file = directory + "/" + file_name;
    const Identity identity = Identity::load_or_make(directory).value();
    for (const mode_t mode : {0640, 0620, 0610, 0604, 0602, 0601}) {
        CAPTURE(mode);
        REQUIRE(::chmod(file.c_str(), mode) == 0);
        const auto refused = Identity::load_or_make(directory);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::permission);
        CHECK(refused.error().message.find("chmod 600") != std::string::npos);
    }
    REQUIRE(::chmod(file.c_str(), 0600) == 0);
    for (const mode_t mode : {0720, 0702}) {
        REQUIRE(::chmod(directory.c_str(), mode) == 0);
        CHECK(Identity::load_or_make(directory).error().code == ErrorCode::permission);
    }
    REQUIRE(::chmod(directory.c_str(), 0755) == 0);
    CHECK(Identity::load_or_make(directory).value().fingerprint() == identity.fingerprint());
}

TEST_CASE("identity: what belongs to another user, or is a link, is refused") {
    const ScratchDirectory scratch;
    const std::string directory = scratch / "trust", file = directory + "/" + file_name;
    REQUIRE(Identity::load_or_make(directory));
    SECTION("a link") {
        std::filesystem::rename(file, file + ".real");
        std::filesystem::create_symlink(file + ".real", file);
        CHECK_FALSE(Identity::load_or_make(directory));
        CHECK(std::filesystem::is_symlink(file));
    }
    if (::geteuid() != 0) return;  // only root can give a file away
    SECTION("the file") {
        REQUIRE(::chown(file.c_str(), 1, 1) == 0);
        CHECK(Identity::load_or_make(directory).error().code == ErrorCode::permission);
    }
    SECTION("the directory") {
        REQUIRE(::chown(directory.c_str(), 1, 1) == 0);
        CHECK(Identity::load_or_make(directory).error().code == ErrorCode::permission);
    }
}

TEST_CASE("identity: a damaged file is refused with a sentence and never replaced") {
    const ScratchDirectory scratch;
    const std::string directory = scratch / "trust", file = directory + "/" + file_name;
    REQUIRE(Identity::load_or_make(directory));
    REQUIRE(Identity::load_or_make(scratch / "other"));
    const std::string good = read_all(file), other = read_all(scratch / "other/" + file_name);
    const auto refused = [&](const std::string& text) {
        write_all(file, text);
        const auto loaded = Identity::load_or_make(directory);
        REQUIRE_FALSE(loaded);
        CHECK(loaded.error().code == ErrorCode::corrupt);
        CHECK(read_all(file) == text);
        return loaded.error().message;
    };
    refused("");
    refused("nonsense");
    refused(key_of(good));
    refused(after_key(good));
    refused(std::string(identity_file_bytes_max + 1, ' '));
    CHECK(refused(key_of(good) + after_key(other)).find("not the certificate's") != std::string::npos);
    for (size_t cut = 0; cut + 1 < good.size(); cut += 7) refused(good.substr(0, cut));
    // A key that asks for a password must be refused, not asked for at a terminal.
    const std::string encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAoGCCqGSIb3DQIHBAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    refused(encrypted + after_key(good));
}

TEST_CASE("identity: a flipped bit anywhere in the file is noticed, or changes nothing that counts") {
    MemoryDisk disk;
    const Identity identity = Identity::load_or_make(disk).value();
    const auto good = disk.contents(identity_file_name);
    size_t noticed = 0;
    for (size_t at = 0; at < good.size(); ++at) {
        auto bad = good;
        bad[at] ^= std::byte{1};
        disk.set_contents(identity_file_name, bad);
        const auto loaded = Identity::load_or_make(disk);
        if (loaded) CHECK(loaded->fingerprint() == identity.fingerprint());
        if (!loaded) CHECK(loaded.error().code == ErrorCode::corrupt);
        noticed += !loaded;
    }
    CHECK(noticed > good.size() * 9 / 10);
}

TEST_CASE("identity: a rotation: the next one waits, is adopted once, and a damaged one does not replace the good one") {
    const ScratchDirectory scratch;
    const std::string path = scratch / "trust";
    const Identity old = Identity::load_or_make(path).value();
    auto disk = open_private_directory(path).value();
    CHECK(adopt_next(*disk).error().code == ErrorCode::not_found);
    CHECK_FALSE(load_next(*disk).value());

    const Identity next = make_next(*disk).value();
    CHECK(next.fingerprint() != old.fingerprint());
    CHECK(make_next(*disk).error().code == ErrorCode::exists);
    CHECK(load_next(*disk).value()->fingerprint() == next.fingerprint());
    CHECK(mode_of(path + "/" + std::string(identity_next_file_name)) == 0600);
    CHECK(Identity::load_or_make(path).value().fingerprint() == old.fingerprint());

    const std::string next_file = path + "/" + std::string(identity_next_file_name), good = read_all(next_file);
    write_all(next_file, good.substr(0, good.size() / 2));
    CHECK(adopt_next(*disk).error().code == ErrorCode::corrupt);
    CHECK(Identity::load_or_make(path).value().fingerprint() == old.fingerprint());
    write_all(next_file, good);

    REQUIRE(adopt_next(*disk));
    CHECK(Identity::load_or_make(path).value().fingerprint() == next.fingerprint());
    CHECK_FALSE(load_next(*disk).value());
}

TEST_CASE("identity: a crash or a failure at any step of a rotation leaves the old identity or the new one") {
    Fingerprint old, next;
    at_every_call(
        [&](Disk& disk) {
            old = Identity::load_or_make(disk).value().fingerprint();
            next = make_next(disk).value().fingerprint();
        },
        [](Disk& disk) { return adopt_next(disk).has_value(); },
        [&](Disk& disk, bool is_told_done) {
            const auto now = Identity::load_or_make(disk);
            REQUIRE(now);
            if (is_told_done) CHECK(now->fingerprint() == next);
            if (now->fingerprint() == next) return;
            CHECK(now->fingerprint() == old);
            REQUIRE(adopt_next(disk));  // the other one is still there
            CHECK(Identity::load_or_make(disk).value().fingerprint() == next);
        });
}
