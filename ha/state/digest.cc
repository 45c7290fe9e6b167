#include "ha/state/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>

#include "base/small_file.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::ha {

namespace {

constexpr size_t digested_bytes_max = 16 << 20;

}  // namespace

std::optional<std::string> digest_of_text(std::string_view text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) != 1) return std::nullopt;
    return hex(digest, size);
}

std::optional<std::string> digest_of_file(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    const auto text = fd ? read_text(fd.get(), digested_bytes_max + 1) : Result<std::string>(errno_error(errno, "open " + path));
    return text && text->size() <= digested_bytes_max ? digest_of_text(*text) : std::nullopt;
}

}  // namespace holdfast::ha
