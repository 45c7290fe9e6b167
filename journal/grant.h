// A person's consent to a place: a command that is to have a store service write or mount somewhere says so in the volume's run
// directory, where a confined service cannot write. So a service that somebody has taken over cannot ask for places of its own choice.
//
// A grant is a file that its giver holds locked for as long as it is meant; one that is not locked means nothing.
// Thread rule: any thread.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/ids.h"

namespace holdfast::journal {

class Grant {
public:
    // To VOLUME's service, of DIRECTORY, an absolute path as it will be asked for. Errors: io.
    static Result<Grant> give(const VolumeId& volume, const std::string& directory);
    Grant(Grant&&) = default;
    ~Grant();  // takes it back

private:
    Grant(std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}
    std::string path_;
    UniqueFd file_;
};

// Somebody grants exactly PLACE now.
bool is_granted(const VolumeId& volume, const std::string& place);

}  // namespace holdfast::journal
