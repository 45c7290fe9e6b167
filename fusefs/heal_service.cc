#include "fusefs/heal_service.h"

#include <fcntl.h>

#include "base/clock.h"
#include "base/log.h"
#include "fusefs/filter/healing.h"
#include "journal/healing.h"

namespace holdfast::fusefs {

namespace {

using journal::HealPipe;
using journal::HealVerb;
struct Reply {
    std::vector<std::byte> body;
    std::vector<UniqueFd> descriptors;
};
using Answered = Result<Reply>;

Reply reply_of(journal::HealOpened opened) {
    return {journal::encode(std::span<const int32_t>(opened.errors)), std::move(opened.descriptors)};
}

class Conversation {
public:
    Conversation(int fd, Healing& healing, std::atomic<bool>& is_healing) : pipe_(UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0))), healing_(healing), is_healing_(is_healing) {}
    ~Conversation() { is_healing_ = false; }

    void talk() {
        for (;;) {
            auto asked = pipe_.receive(patience_ms());
            if (!asked) {
                if (healing_.holds()) log_warning("Who compares what was touched in the gap holds all changes and says nothing more; they go on.");
                return;
            }
            const bool held = healing_.holds();
            Answered answer = carry_out(*asked);
            if (!held && healing_.holds()) held_since_ns_ = system_clock().monotonic_ns();
            Status sent = answer ? pipe_.send(HealVerb::answered, answer->body, answer->descriptors) : pipe_.fail(answer.error());
            if (!sent) return;
        }
    }

private:
    int patience_ms() const {
        if (!healing_.holds()) return -1;
        const uint64_t held_ms = (system_clock().monotonic_ns() - held_since_ns_) / 1'000'000;
        return held_ms >= journal::heal_hold_ms_max ? 0 : journal::heal_hold_ms_max - static_cast<int>(held_ms);
    }

    Answered carry_out(const HealPipe::Message& asked) {
        switch (asked.verb) {
            case HealVerb::state: return Reply{journal::encode(healing_.state()), {}};
            case HealVerb::take: {
                is_healing_ = true;
                const journal::Touched touched = HF_TRY(healing_.take());
                return Reply{journal::encode(touched), {}};
            }
            case HealVerb::let_go: healing_.let_go(); return Reply{};
            case HealVerb::records: {
                const journal::HealAppended appended = HF_TRY(healing_.append(asked.body));
                return Reply{journal::encode(appended), {}};
            }
            case HealVerb::done: healing_.done(); return Reply{};
            case HealVerb::end_gap: {
                const journal::Lsn end = HF_TRY(healing_.end_gap());
                return Reply{journal::encode(end), {}};
            }
            case HealVerb::places: return show(asked.body);
            case HealVerb::file: {
                journal::HealOpened opened;
                opened.add(healing_.open_file({std::string(reinterpret_cast<const char*>(asked.body.data()), asked.body.size())}));
                return reply_of(std::move(opened));
            }
            default: return Error{ErrorCode::corrupt, "this is no verb of healing"};
        }
    }

    Answered show(ByteSpan body) {
        const std::vector<journal::TouchedPlace> asked = HF_TRY(journal::decode_places(body));
        journal::HealOpened opened = HF_TRY(healing_.open_places(asked));
        return reply_of(std::move(opened));
    }

    HealPipe pipe_;
    Healing& healing_;
    std::atomic<bool>& is_healing_;
    uint64_t held_since_ns_ = 0;
};

}  // namespace

Result<std::unique_ptr<UnixServer>> serve_healing(UnixListener listener, Filter& filter, const journal::WriterOptions& limits,
                                                  std::atomic<bool>& is_healing) {
    const auto serve = [&filter, &is_healing, limits](int fd) {
        const std::unique_ptr<Healing> healing = filter.heal(limits);
        Conversation(fd, *healing, is_healing).talk();
    };
    HF_TRY(listener.listen(1));
    return UnixServer::start(std::move(listener), 1, serve, [](int) {});
}

}  // namespace holdfast::fusefs
