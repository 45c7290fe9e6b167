// What the store service answers on its control socket; docs/control_protocol.md is the contract. A verb is a row in
// a table, its function in the file of its kind: verbs_history.cc (looking), verbs_restore.cc (bringing back),
// verbs_upkeep.cc (the service itself).
// Thread rule: called from the threads of the control socket, several at once.
#pragma once

#include <span>

#include "base/json_socket.h"
#include "base/result.h"
#include "journal/ids.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

class Service;

using VerbFunction = Result<Json> (*)(Service& service, const Json& request, const JsonServer::Progress& progress);
struct Verb {
    const char* name;
    VerbFunction function;
};

std::span<const Verb> history_verbs();
std::span<const Verb> restore_verbs();
std::span<const Verb> upkeep_verbs();

// Errors: invalid_argument for a verb that nobody knows.
Result<Json> answer_verb(Service& service, const Json& request, const JsonServer::Progress& progress);

// Asks an unsupervised service of VOLUME, if there is one, to end. Errors: those that it answered.
Status make_room_for_supervised(const journal::VolumeId& volume);

// The member NAME of a request as a path or name: bytes. Errors: invalid_argument when it has a NUL in it.
Result<std::string> name_in(const Json& request, const char* member);
// Work that tells its progress to the socket, and stops when the service ends.
ProgressSink progress_to(const Service& service, const JsonServer::Progress& progress);

}  // namespace holdfast::rewind
