// Who can still reach the backing tree around a mount that was just put over it: processes that opened something there
// before. What they change is not captured, so a mount with such processes is refused or carries an open gap.
//
// A holder is a file open for writing, a shared writable mapping, a directory that is open, or a working or root
// directory. Files without any name left are not counted: they are in no history.
//
// Nothing on the new mount is ever asked for: it may not be serving yet, and a stat of something behind it would wait
// for ourselves. So /proc says first on which mount a thing lies (readlink, fdinfo, maps). Where a file lies is told by its file system and the
// path inside it, so bind mounts and other mount namespaces do not hide a holder. Processes in a pid namespace that
// is not ours to see are a limitation.
// Thread rule: pure questions to the system.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "journal/left_out.h"

namespace holdfast::fusefs {

inline constexpr size_t holders_named_max = 10;  // a sentence names this many, the rest as a number

struct Holder {
    int pid = 0;
    std::string command;
    std::string what;  // "has open for writing \"/srv/a\""
};

// A place on a file system, as every mount namespace agrees on it.
struct BackingPlace {
    std::string device;  // "major:minor" of the file system instance
    std::string path;    // inside it
    journal::LeftOut left_out;  // files in these hold nothing; directories do, because they lead out again
};

// Of DIRECTORY (resolved); REQUIRES: nothing is mounted over it yet.
Result<BackingPlace> backing_place(const std::string& directory);

// All holders beneath PLACE; SELF and what cannot be read (a process that just ended) are left out.
std::vector<Holder> find_holders(const BackingPlace& place, int self);

// "process 12 (vim) has ... and process 13 (bash) ..., and 4 more"
std::string describe(const std::vector<Holder>& holders);

}  // namespace holdfast::fusefs
