// The past as a read-only file system, without FUSE: what each request means. past_operations.cc speaks to the kernel.
//
// The top directory lists the bookmarks as @NAME. Looking up @MOMENT there works for every moment that can be
// written (a bookmark, a time, an age, lsn:N, now), listed or not. Below @MOMENT lies the volume as it was.
//
// Everything below a moment's directory is immutable, so the kernel may keep it for as long as it likes. Names at the
// top are asked again: a bookmark can be renamed, a moment falls out of the window, a relative one moves on
// (moment_pins.h says when).
//
// Every answer is checked AFTER it was computed: while it was read, the window may have moved past its moment, and
// then undo was missing and the answer could be of a later moment. Such an answer is thrown away (ESTALE).
//
// Thread rule: all methods from any thread.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "rewind/past/log_limit.h"
#include "rewind/past/moment_pins.h"
#include "rewind/past/past_nodes.h"
#include "rewind/past/past_source.h"
#include "rewind/view.h"

namespace holdfast::rewind {

// Seconds that the kernel may believe an answer without asking again.
inline constexpr double immutable_valid_s = 86400;
inline constexpr double moment_valid_s = 1;

class PastFilesystem {
public:
    PastFilesystem(const PastSource& source, const Clock& clock)
        : source_(source), clock_(clock), mounted_ns_(clock.realtime_ns()), log_limit_(clock) {}

    struct Entry {
        uint64_t number = 0;  // 0: there is no such name, for good
        struct stat attributes {};
        double valid_s = 0;  // of the name
        double attributes_valid_s = 0;
    };
    struct Name {
        std::string name;
        uint64_t number;
        uint32_t type;             // type bits of a mode
        journal::ObjectId object;  // zero in the top directory
    };

    // THREAD: who asks, for relative moments. Each entry with a number counts as one reference to be forgotten.
    Result<Entry> lookup(uint64_t parent, const std::string& name, pid_t thread);
    // The entry of NAME, out of list(DIRECTORY); a reference like lookup's.
    Result<Entry> entry_of(uint64_t directory, const Name& name);
    void forget(uint64_t number, uint64_t references) { nodes_.forget(number, references); }

    Result<std::pair<struct stat, double>> attributes(uint64_t number);
    Result<std::vector<Name>> list(uint64_t directory);  // without . and ..
    Result<std::string> readlink(uint64_t number);
    Result<std::string> read(uint64_t number, uint64_t offset, size_t length);
    Result<std::vector<DataExtent>> data_extents(uint64_t number);
    using XattrList = std::vector<std::pair<std::string, std::string>>;
    Result<XattrList> xattrs(uint64_t number);
    Result<struct statvfs> statistics();

    const PastNodes& nodes() const { return nodes_; }

private:
    struct Question;  // one request about a node: the store on loan, the view, the final check

    Result<Question> ask(uint64_t number);
    Result<Question> ask(PastNode node);
    Result<struct stat> attributes_of(const Question& question, const journal::ObjectId& object);
    Result<Entry> lookup_moment(const std::string& name, pid_t thread);
    Result<std::shared_ptr<PastMoment>> resolve(const std::string& text, pid_t thread);
    struct stat top_attributes() const;

    const PastSource& source_;
    const Clock& clock_;
    const uint64_t mounted_ns_;
    LogLimit log_limit_;
    PastNodes nodes_;
    MomentPins pins_;
};

}  // namespace holdfast::rewind
