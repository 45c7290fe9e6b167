#include "replicator/engine/work.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <optional>
#include <vector>

#include "test/engine/loop_thread.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

// Holds the work's thread until it is told to go on, so that a test knows what has not been done yet.
class Barrier {
public:
    int wait() {
        opened_.wait();
        return 0;
    }
    void open() { promise_.set_value(); }

private:
    std::promise<void> promise_;
    std::shared_future<void> opened_ = promise_.get_future().share();
};

struct Bench {
    std::atomic<int> jobs{0};
    std::vector<int> answers;
    Barrier barrier;
    LoopThread thread;
    std::optional<Work> work;

    Bench() {
        thread.on_loop([&] { work.emplace(thread.loop()); });
    }
    ~Bench() {
        thread.on_loop([&] { work.reset(); });
    }
    void ask(int number) {
        work->ask([this, number] { return ++jobs, number; }, [this](int answer) { answers.push_back(answer); });
    }
    void ask_to_wait() {
        work->ask([this] { return barrier.wait(); }, [this](int) { answers.push_back(-1); });
    }
};

}  // namespace

TEST_CASE("work: jobs are done off the loop, in order, and their answers come on it in the same order") {
    Bench bench;
    std::thread::id loop, job, then;
    bench.thread.on_loop([&] {
        loop = std::this_thread::get_id();
        bench.work->ask([&] { return job = std::this_thread::get_id(); }, [&](std::thread::id) { then = std::this_thread::get_id(); });
        for (int i = 0; i < 1000; ++i) bench.ask(i);
    });
    REQUIRE(bench.thread.comes_true([&] { return bench.answers.size() == 1000; }));
    CHECK(std::is_sorted(bench.answers.begin(), bench.answers.end()));
    CHECK(then == loop);
    CHECK(job != loop);
}

TEST_CASE("work: the loop goes on while a job takes its time") {
    Bench bench;
    bench.thread.on_loop([&] { bench.ask_to_wait(); });
    CHECK(bench.thread.on_loop([&] { return bench.answers.empty(); }));
    bench.barrier.open();
    CHECK(bench.thread.comes_true([&] { return bench.answers == std::vector<int>{-1}; }));
}

TEST_CASE("work: forgetting drops the answers that have not come, not the jobs, and what is asked afterwards is answered") {
    Bench bench;
    bench.thread.on_loop([&] {
        bench.ask_to_wait();
        for (int i = 0; i < 10; ++i) bench.ask(i);
        bench.work->forget();
        bench.ask(10);
    });
    bench.barrier.open();
    REQUIRE(bench.thread.comes_true([&] { return !bench.answers.empty(); }));
    CHECK(bench.answers == std::vector<int>{10});
    CHECK(bench.jobs == 11);
}

TEST_CASE("work: an answer that is already on its way to the loop is dropped as well") {
    Bench bench;
    bench.thread.on_loop([&] {
        bench.ask(1);
        while (bench.jobs == 0) std::this_thread::yield();
        bench.work->forget();
        bench.ask(2);
    });
    REQUIRE(bench.thread.comes_true([&] { return !bench.answers.empty(); }));
    CHECK(bench.answers == std::vector<int>{2});
}

TEST_CASE("work: finishing does what was asked for, without answers, and may be repeated") {
    Bench bench;
    bench.thread.on_loop([&] {
        for (int i = 0; i < 100; ++i) bench.ask(i);
        bench.work->finish();
        bench.work->finish();
    });
    CHECK(bench.jobs == 100);
    CHECK_FALSE(bench.thread.comes_true([&] { return !bench.answers.empty(); }, std::chrono::milliseconds(20)));
}

TEST_CASE("work: an answer that comes after its owner is gone is not called") {
    Bench bench;
    bench.thread.on_loop([&] {
        for (int i = 0; i < 100; ++i) bench.ask(i);
        bench.work.reset();
    });
    CHECK(bench.jobs == 100);
    CHECK_FALSE(bench.thread.comes_true([&] { return !bench.answers.empty(); }, std::chrono::milliseconds(20)));
}

TEST_CASE("work: what a job and its answer hold is freed once they are done") {
    const auto held = std::make_shared<int>(0);
    Bench bench;
    bench.thread.on_loop([&] { bench.work->ask([held] { return *held; }, [&, held](int) { bench.answers.push_back(1); }); });
    REQUIRE(bench.thread.comes_true([&] { return bench.answers.size() == 1 && held.use_count() == 1; }));
}
