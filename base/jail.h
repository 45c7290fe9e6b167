// A view of the file system of its own, in which there is nothing but what a process needs, at the paths where it ever was.
//
// Landlock checks who opens what and not who changes modes, owners and xattrs; here there is nothing else that could be named. No device can
// be opened in it, no program executed, no set-id bit counts. Descriptors that were open before lead where they led.
//
// Mounts that are made or taken away outside later are not seen inside, and those inside do not keep anything outside busy but PLACES.
//
// Thread rule: before the second thread starts. Needs CAP_SYS_ADMIN.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace holdfast {

struct JailPlace {
    std::string path;         // absolute; an existing directory
    bool read_only = false;
    bool with_mounts = true;  // and what is mounted beneath
    std::string at = path;    // where it is in there
};

// On an error it is where it was. Where it could not go back it is half in, which *MUST_END tells.
Status enter_jail(const std::vector<JailPlace>& places, bool* must_end);

}  // namespace holdfast
