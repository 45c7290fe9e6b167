#include "fusefs/filter/server.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/log.h"
#include "fusefs/filter/fence.h"
#include "fusefs/operations/operations.h"

namespace holdfast::fusefs {
namespace {

constexpr int maintenance_ms = 250;
constexpr uint32_t space_slice_ms = 100;
constexpr int wake_again_ms = 10;
constexpr size_t data_buffer_bytes = 2 * protocol::data_bytes_max;  // listings use the second half

int wake_signal() {
    return SIGRTMIN + 3;
}

// Only to end a read(2) with EINTR.
void install_wake_signal() {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(wake_signal(), &action, nullptr);
}

void let_wake_signal_in() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, wake_signal());
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

// The kernel copies a request into pages that are there even while this process is being killed. Where it had to bring one in
// first, it gives up and ends the request with EIO, which the application sees.
void keep_present(Buffer& buffer) {
    if (::mlock(buffer.data(), buffer.size()) != 0) std::memset(buffer.data(), 0, buffer.size());
}

bool has_no_answer(uint32_t opcode) {
    return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT || opcode == FUSE_NOTIFY_REPLY;
}

}  // namespace

Server::Server(Shared& shared, unsigned threads) : shared_(shared), owed_(shared.wiring.table, shared.wiring.resumed) {
    wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    for (unsigned i = 0; i < threads; ++i) {
        serving_.push_back(std::make_unique<Serving>());
        serving_.back()->state.place = i;
    }
    maintenance_.state.place = threads;
}

Server::~Server() {
    HF_CHECK(!maintenance_.thread.joinable());
}

void Server::stop() {
    is_ending_.store(true);
    shared_.recorder.end();
    shared_.replica_wait.end();
    const uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
}

void Server::end(Status status) {
    if (!status) {
        std::lock_guard lock(status_mutex_);
        status_ = std::move(status);
    }
    stop();
}

Status Server::run() {
    install_wake_signal();
    // Before anybody reads: what this process has read must not be sent to it a second time.
    if (shared_.wiring.resumed)
        if (auto asked = shared_.device.ask_to_resend(); !asked) return asked;
    maintenance_.thread = std::thread([this] { maintain(); });
    for (auto& serving : serving_)
        serving->thread = std::thread([this, &serving = *serving] { serve(serving); });
    wait_for_the_end();
    std::lock_guard lock(status_mutex_);
    return std::move(status_);
}

void Server::wait_for_the_end() {
    pollfd wake{wake_.get(), POLLIN, 0};
    while (!is_ending()) ::poll(&wake, 1, -1);
    // A signal may come just before the read that it is meant for, so it is sent again until all have ended.
    for (auto& serving : serving_) {
        while (!serving->has_ended) {
            if (serving->is_reading) ::pthread_kill(serving->thread.native_handle(), wake_signal());
            ::poll(nullptr, 0, wake_again_ms);
        }
        serving->thread.join();
    }
    maintenance_.thread.join();
}

bool Server::take_slot(Thread& thread) {
    while (shared_.wiring.table && !thread.slot) {
        thread.slot = owed_.take_slot();
        if (thread.slot) break;
        if (is_ending()) return false;
        ::poll(nullptr, 0, maintenance_ms);
    }
    return true;
}

void Server::serve(Serving& serving) {
    Thread& thread = serving.state;
    let_wake_signal_in();
    thread.request = Buffer(protocol::request_bytes_max);
    keep_present(thread.request);
    thread.data = Buffer(data_buffer_bytes);
    if (auto prepared = thread.caller.prepare_thread(); !prepared)
        end(std::move(prepared));
    else if (take_slot(thread))
        while (!is_ending()) {
            serving.is_reading = true;
            auto read = is_ending() ? Device::Read{Device::Outcome::interrupted, {}} : shared_.device.read(thread.request);
            serving.is_reading = false;
            if (!read) {
                end(std::move(read).error());
            } else if (read->outcome == Device::Outcome::gone) {
                is_unmounted_ = true;
                end(ok());
            } else if (read->outcome == Device::Outcome::request) {
                process(thread, read->bytes);
            }
        }
    serving.has_ended = true;
}

void Server::process(Thread& thread, ByteSpan bytes) {
    auto request = Request::parse(bytes);
    if (!request) return log_error("The kernel sent a request that is no request.");
    Request copy = *request;
    Answer answer = carry_out(thread, copy);
    // Beyond what may be parked this thread waits itself.
    while (answer.is_parked() && !parked_.add(bytes)) {
        if (is_ending()) return;
        shared_.recorder.wait_for_space(HF_RECORD_BYTES_MAX, space_slice_ms);
        copy = *request;
        answer = carry_out(thread, copy);
    }
    if (answer.is_parked()) return;
    if (answer.is_sent()) shared_.device.send(request->header().unique, answer);
    // From here on the kernel has the answer; a successor need not know it.
    if (thread.slot) thread.slot->state.store(static_cast<uint32_t>(journal::SlotState::idle), std::memory_order_release);
    if (request->is_resent()) owed_.answered(request->id());
}

Answer Server::carry_out(Thread& thread, Request& request) {
    if (request.is_resent()) {
        if (const auto error = owed_.find(request.id())) return answer_of_done(shared_, thread, request, *error);
    } else if (!has_no_answer(request.opcode())) {
        owed_.all_were_read(shared_.clock);
    }
    if (is_kept_out(shared_.wiring.left_out, request)) return Answer::error(ESTALE);
    const Handler handler = handler_of(request.opcode());
    if (!handler) return has_no_answer(request.opcode()) ? Answer::none() : Answer::error(ENOSYS);
    return handler(shared_, thread, request);
}

// Requests under way are short, so INTERRUPT is not needed for them. One that waits for space is worth giving up, but only
// for a process that is being killed: a call on a file is not interrupted by other signals. Whether it is, is looked up
// again and again, because an INTERRUPT comes once, and may come before its request was parked. What the kernel writes back
// by itself has no process that waits.
void Server::release_killed() {
    const auto is_waited_for_in_vain = [](ByteSpan bytes) {
        auto request = Request::parse(bytes);
        if (!request) return false;
        const uint32_t pid = request->header().pid;
        if (request->opcode() == FUSE_WRITE) {
            const auto* in = request->take<fuse_write_in>();
            if (in && (in->write_flags & FUSE_WRITE_CACHE)) return false;
        }
        return is_being_killed(pid);
    };
    while (const auto bytes = parked_.take_if(is_waited_for_in_vain))
        if (const auto request = Request::parse(*bytes)) shared_.device.send(request->header().unique, Answer::error(EINTR));
}

void Server::maintain() {
    Thread& thread = maintenance_.state;
    thread.data = Buffer(data_buffer_bytes);
    if (auto prepared = thread.caller.prepare_thread(); !prepared) return end(std::move(prepared));
    if (!take_slot(thread)) return;
    while (!is_ending()) {
        pollfd wake{wake_.get(), POLLIN, 0};
        ::poll(&wake, 1, maintenance_ms);
        const uint64_t now = shared_.clock.monotonic_ns();
        owed_.tick(now);
        thread.caller.become_root();
        shared_.take_over_times();
        if (now > idle_ns) {
            Gate::Passage passage(shared_.gate, thread.place);
            shared_.flush_times(now - idle_ns, false);
            shared_.end_the_rest();
        }
        retry_parked(thread);
    }
}

void Server::retry_parked(Thread& thread) {
    while (!is_ending() && !parked_.is_empty()) {
        if (!shared_.recorder.wait_for_space(HF_RECORD_BYTES_MAX, space_slice_ms)) return release_killed();
        auto bytes = parked_.take();
        if (!bytes) return;
        auto request = Request::parse(*bytes);
        HF_CHECK(request);
        const Answer answer = carry_out(thread, *request);
        if (answer.is_parked()) return parked_.put_back(std::move(*bytes));
        if (answer.is_sent()) shared_.device.send(request->header().unique, answer);
        if (request->is_resent()) owed_.answered(request->id());
        if (thread.slot) thread.slot->state.store(static_cast<uint32_t>(journal::SlotState::idle), std::memory_order_release);
    }
}

}  // namespace holdfast::fusefs
