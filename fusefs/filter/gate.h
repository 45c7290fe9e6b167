// The gate through which every recorded operation passes, so that a bookmark can be an exact cut: closed, it waits until
// the operations inside are done, and holds new ones back for the instant in which the record is appended.
//
// Passing an open gate costs one store and one load. Every thread has a place of its own.
// Thread rule: pass() by the thread that owns the place; close() by any thread, one at a time.
// Lock order: before everything else of the filter.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

namespace holdfast::fusefs {

class Gate {
public:
    explicit Gate(size_t places) : places_(places) {}

    class Passage {
    public:
        Passage(Gate& gate, size_t place) : gate_(gate), inside_(gate.places_[place].inside) {
            for (;;) {
                // Sequentially consistent both here and in close(): either we see it closed or it sees us inside.
                inside_.store(1);
                if (!gate_.is_closed_.load()) return;
                leave();
                gate_.is_closed_.wait(true);
            }
        }
        ~Passage() { leave(); }
        Passage(const Passage&) = delete;
        Passage& operator=(const Passage&) = delete;

    private:
        void leave() {
            inside_.store(0);
            if (gate_.is_closed_.load()) inside_.notify_all();
        }
        Gate& gate_;
        std::atomic<uint32_t>& inside_;
    };

    class Closed {
    public:
        explicit Closed(Gate& gate) : gate_(gate), one_at_a_time_(gate.closing_) {
            gate_.is_closed_.store(true);
            for (Place& place : gate_.places_)
                while (place.inside.load() != 0) place.inside.wait(1);
        }
        ~Closed() {
            gate_.is_closed_.store(false);
            gate_.is_closed_.notify_all();
        }
        Closed(const Closed&) = delete;
        Closed& operator=(const Closed&) = delete;

    private:
        Gate& gate_;
        std::lock_guard<std::mutex> one_at_a_time_;
    };

private:
    struct alignas(64) Place {
        std::atomic<uint32_t> inside = 0;
    };
    std::vector<Place> places_;
    std::atomic<bool> is_closed_ = false;
    std::mutex closing_;
};

}  // namespace holdfast::fusefs
