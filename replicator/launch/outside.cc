#include "replicator/launch/outside.h"

#include "base/check.h"
#include "base/unix_socket.h"
#include "journal/volume.h"
#include "replicator/engine/config.h"
#include "replicator/launch/task.h"

namespace holdfast::replicator {

namespace {

std::unique_ptr<Outside>& own() {
    static std::unique_ptr<Outside> outside;
    return outside;
}

}  // namespace

Outside* Outside::instance() {
    return own().get();
}

void Outside::set_instance(std::unique_ptr<Outside> outside) {
    Outside* const self = outside.get();
    own() = std::move(outside);
    connect_unix_by([self](const std::string& path) { return self->ask_for_descriptor({{"ask", "connect"}, {"path", path}}); });
    journal::open_descriptions_by([self](const std::string& store) { return self->ask_for_descriptor({{"ask", "description"}, {"store", store}}); });
}

Result<Packet> Outside::ask(const Json& question, const std::vector<int>& fds) {
    MutexLock lock(mutex_);
    HF_TRY(send_packet(handed_.channel.get(), line_of(question), fds));
    Packet answer = HF_TRY(receive_packet(handed_.channel.get()));
    const Json said = Json::parse(answer.text, nullptr, false);
    if (!said.is_object()) return Error{ErrorCode::unavailable, "the launcher of this engine does not answer as it should"};
    if (const auto error = said.find("error"); error != said.end()) return error_of(*error);
    return answer;
}

Result<UniqueFd> Outside::ask_for_descriptor(const Json& question) {
    Packet answer = HF_TRY(ask(question));
    if (answer.fds.size() != 1) return Error{ErrorCode::unavailable, "the launcher of this engine has sent no descriptor"};
    return std::move(answer.fds.front());
}

Result<Config> Outside::configuration(const std::string& path) {
    const UniqueFd file = HF_TRY(ask_for_descriptor({{"ask", "configuration"}}));
    const std::string text = HF_TRY(read_config(file.get(), path));
    Config config = HF_TRY(parse_config(text, path));
    config.name = handed_.name;
    config.listen = handed_.listen;
    return config;
}

Result<bool> Outside::is_to_be_replaced() {
    const Packet answer = HF_TRY(ask({{"ask", "reload"}}));
    return Json::parse(answer.text).value("replaced", false);
}

void Outside::tell(const std::string& state) {
    (void)ask({{"ask", "tell"}, {"state", state}}).has_value();
}

Result<UniqueFd> Outside::run(const Task& task, UniqueFd fd) {
    PacketEnds ends = HF_TRY(packet_ends());
    std::vector<int> fds{ends.second.get()};
    if (fd) fds.push_back(fd.get());
    HF_TRY(ask({{"ask", "run"}, {"task", to_json(task)}}, fds));
    return std::move(ends.first);
}

}  // namespace holdfast::replicator
