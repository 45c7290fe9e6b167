#include "rewind/service/verbs.h"

#include "base/name_text.h"
#include "base/text.h"
#include "rewind/service/service.h"

namespace holdfast::rewind {

Result<Json> answer_verb(Service& service, const Json& request, const JsonServer::Progress& progress) {
    const std::string name = request.at("verb").get<std::string>();
    for (std::span<const Verb> table : {history_verbs(), restore_verbs(), upkeep_verbs()})
        for (const Verb& verb : table)
            if (name == verb.name) return verb.function(service, request, progress);
    return Error{ErrorCode::invalid_argument, "the store service knows no verb " + quoted(name) +
                                                  ": command and service may be of different versions"};
}

Result<std::string> name_in(const Json& request, const char* member) {
    std::string name = text_to_name(request.at(member).get<std::string>());
    if (name.find('\0') != name.npos)
        return Error{ErrorCode::invalid_argument,
                     "a name in " + quoted(std::string_view(member)) + " has a NUL byte in it"};
    return name;
}

ProgressSink progress_to(const Service& service, const JsonServer::Progress& progress) {
    return [&service, progress](const WorkProgress& work) {
        progress({{"progress",
                   {{"files", work.files},
                    {"bytes", work.bytes},
                    {"files_total", work.files_total},
                    {"bytes_total", work.bytes_total}}}});
        return !service.is_ending();
    };
}

}  // namespace holdfast::rewind
