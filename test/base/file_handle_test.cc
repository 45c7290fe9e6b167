#include "base/file_handle.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "test/support/scratch.h"

using namespace holdfast;
using holdfast::test::ScratchDirectory;

namespace {

UniqueFd open_directory(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(fd);
    return fd;
}

void make_file(int directory, const char* name) {
    UniqueFd fd(::openat(directory, name, O_CREAT | O_EXCL | O_WRONLY, 0600));
    REQUIRE(fd);
}

uint64_t inode_of(int fd) {
    struct stat status;
    REQUIRE(::fstat(fd, &status) == 0);
    return status.st_ino;
}

template <typename... Fields>
FileHandle made_handle(int32_t type, Fields... fields) {
    FileHandle handle;
    handle.bytes.append(reinterpret_cast<const char*>(&type), sizeof type);
    (handle.bytes.append(reinterpret_cast<const char*>(&fields), sizeof fields), ...);
    return handle;
}

void check_identity(const FileHandle& handle, uint64_t inode, uint32_t generation) {
    CHECK(handle.identity().inode == inode);
    CHECK(handle.identity().generation == generation);
}

}  // namespace

TEST_CASE("file handle: it opens the same file after a rename") {
    ScratchDirectory scratch;
    UniqueFd directory = open_directory(scratch.path());
    make_file(directory.get(), "before");
    auto handle = file_handle_at(directory.get(), "before");
    REQUIRE(handle);
    REQUIRE(::renameat(directory.get(), "before", directory.get(), "after") == 0);

    auto opened = open_file_handle(directory.get(), *handle, O_RDONLY);
    REQUIRE(opened);
    struct stat status;
    REQUIRE(::fstatat(directory.get(), "after", &status, 0) == 0);
    CHECK(inode_of(opened->get()) == status.st_ino);
    auto again = file_handle_at(directory.get(), "after");
    REQUIRE(again);
    CHECK(*again == *handle);
    if (handle->identity().inode != 0) CHECK(handle->identity().inode == status.st_ino);
}

TEST_CASE("file handle: an empty name means the directory, and a symbolic link is itself") {
    ScratchDirectory scratch;
    UniqueFd directory = open_directory(scratch.path());
    auto own = file_handle_at(directory.get(), "");
    REQUIRE(own);
    auto opened = open_file_handle(directory.get(), *own, O_RDONLY | O_DIRECTORY);
    REQUIRE(opened);
    CHECK(inode_of(opened->get()) == inode_of(directory.get()));

    make_file(directory.get(), "file");
    REQUIRE(::symlinkat("file", directory.get(), "link") == 0);
    auto link = file_handle_at(directory.get(), "link");
    auto file = file_handle_at(directory.get(), "file");
    REQUIRE(link);
    REQUIRE(file);
    CHECK_FALSE(*link == *file);
}

TEST_CASE("file handle: a removed file is not found, even when its inode is used again") {
    ScratchDirectory scratch;
    UniqueFd directory = open_directory(scratch.path());
    make_file(directory.get(), "gone");
    auto handle = file_handle_at(directory.get(), "gone");
    REQUIRE(handle);
    REQUIRE(::unlinkat(directory.get(), "gone", 0) == 0);
    for (int i = 0; i < 20; ++i) make_file(directory.get(), ("new" + std::to_string(i)).c_str());

    auto opened = open_file_handle(directory.get(), *handle, O_RDONLY);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == ErrorCode::not_found);
    CHECK(file_handle_at(directory.get(), "gone").error().code == ErrorCode::not_found);
}

TEST_CASE("file handle: inode and generation are found in the handles of ext4, XFS and btrfs") {
    check_identity(made_handle(0x01, 7u, 9u), 7, 9);
    check_identity(made_handle(0x02, 7u, 9u, 1u, 2u), 7, 9);
    check_identity(made_handle(0x81, 1ULL << 40 | 7, 9u), 1ULL << 40 | 7, 9);
    check_identity(made_handle(0x82, 1ULL << 40 | 7, 9u, 5ULL, 6u), 1ULL << 40 | 7, 9);
    check_identity(made_handle(0x4d, 257ULL, 5ULL, 11u), 257, 11);
    check_identity(made_handle(0x4e, 257ULL, 5ULL, 11u, 256ULL, 3u), 257, 11);
    check_identity(made_handle(0x4f, 257ULL, 5ULL, 11u, 256ULL, 3u, 6ULL), 257, 11);
}

TEST_CASE("file handle: of an unknown kind the generation is a hash of every byte") {
    FileHandle tmpfs = made_handle(0x01, 7u, 8u, 0u);  // the type of ext4, another size
    CHECK(tmpfs.identity().inode == 0);
    for (size_t i = 0; i < tmpfs.bytes.size(); ++i) {
        FileHandle other = tmpfs;
        other.bytes[i] ^= 1;
        CHECK(other.identity().generation != tmpfs.identity().generation);
    }
    CHECK(FileHandle{}.identity().inode == 0);
}

TEST_CASE("file handle: one that no kernel made is refused") {
    UniqueFd root = open_directory("/");
    for (const FileHandle& wrong : {FileHandle{}, FileHandle{"abcd"}, FileHandle{std::string(200, 'x')}})
        CHECK(open_file_handle(root.get(), wrong, O_RDONLY).error().code == ErrorCode::invalid_argument);
}
