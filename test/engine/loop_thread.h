// A loop on a thread of its own. What belongs to the loop is done through on_loop(); checks are made on the test's thread, because
// Catch knows only one.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <type_traits>

#include "replicator/engine/loop.h"

namespace holdfast::test {

class LoopThread {
public:
    static constexpr auto patience = std::chrono::seconds(20);

    LoopThread() : thread_([this] { loop_->run(); }) {}
    ~LoopThread() { end(); }
    LoopThread(const LoopThread&) = delete;
    LoopThread& operator=(const LoopThread&) = delete;

    replicator::Loop& loop() { return *loop_; }

    template <typename Call>
    auto on_loop(Call call) {
        std::promise<std::invoke_result_t<Call>> promise;
        loop_->post([&] {
            if constexpr (std::is_void_v<std::invoke_result_t<Call>>) call(), promise.set_value();
            else promise.set_value(call());
        });
        return promise.get_future().get();
    }
    // Asks on the loop until IS_SO or patience is over. Real sockets and threads are at work: there is no clock to advance.
    template <typename Predicate>
    bool comes_true(Predicate is_so, std::chrono::milliseconds wait = patience) {
        for (const auto end = std::chrono::steady_clock::now() + wait; std::chrono::steady_clock::now() < end;) {
            if (on_loop(is_so)) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return on_loop(is_so);
    }
    // Nothing is called any more after this.
    void end() {
        if (!thread_.joinable()) return;
        loop_->stop();
        thread_.join();
    }

private:
    std::unique_ptr<replicator::Loop> loop_ = replicator::Loop::open().value();
    std::thread thread_;
};

}  // namespace holdfast::test
