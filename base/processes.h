// The processes of this host, as /proc shows them: those of our own pid namespace. Any of them may end while it is looked at.
// Thread rule: plain questions.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

std::vector<int> process_ids();
// "vim". Empty: it has ended.
std::string command_of(int pid);
// The entries of DIRECTORY that are numbers, as those of /proc/PID/fd. Empty where it cannot be listed.
std::vector<int> numbers_in(const std::string& directory);

}  // namespace holdfast
