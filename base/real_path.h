// Thread rule: any thread.
#pragma once

#include <string>

namespace holdfast {

// PATH without symbolic links; PATH itself where that leads nowhere.
std::string real_path(const std::string& path);
// The same for one whose last component may be new.
std::string real_place(const std::string& path);

}  // namespace holdfast
