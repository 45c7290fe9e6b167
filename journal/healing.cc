#include "journal/healing.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/passed_descriptors.h"

namespace holdfast::journal {

namespace {

using Bytes = std::vector<std::byte>;

struct Head {
    uint32_t length;
    uint8_t verb;
    uint8_t zeros[3];
};
static_assert(sizeof(Head) == 8);

constexpr uint32_t count_max = 1 << 26;

template <typename T>
void put(Bytes& bytes, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto* raw = reinterpret_cast<const std::byte*>(&value);
    bytes.insert(bytes.end(), raw, raw + sizeof value);
}

void put_text(Bytes& bytes, const std::string& text) {
    put(bytes, static_cast<uint32_t>(text.size()));
    const auto* raw = reinterpret_cast<const std::byte*>(text.data());
    bytes.insert(bytes.end(), raw, raw + text.size());
}

// Reads what put() wrote; once something is missing everything reads as zero.
class Taker {
public:
    explicit Taker(ByteSpan bytes) : rest_(bytes) {}

    template <typename T>
    T take() {
        T value{};
        if (const ByteSpan raw = take_bytes(sizeof value); !raw.empty()) std::memcpy(&value, raw.data(), sizeof value);
        return value;
    }
    std::string take_text() {
        const ByteSpan raw = take_bytes(take<uint32_t>());
        return {reinterpret_cast<const char*>(raw.data()), raw.size()};
    }
    // As many as can still come, each of at least LEAST bytes.
    uint32_t take_count(size_t least) {
        const auto count = take<uint32_t>();
        if (count > count_max || count > rest_.size() / least) is_good_ = false;
        return is_good_ ? count : 0;
    }
    ByteSpan take_bytes(size_t size) {
        if (size > rest_.size()) is_good_ = false;
        if (!is_good_) return {};
        const ByteSpan taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }
    bool is_good() const { return is_good_; }
    bool is_whole() const { return is_good_ && rest_.empty(); }

private:
    ByteSpan rest_;
    bool is_good_ = true;
};

Error nonsense() {
    return {ErrorCode::corrupt, "what came on the socket for healing makes no sense"};
}

// As many as one message may concern.
template <typename T>
Result<std::vector<T>> take_all(ByteSpan bytes) {
    std::vector<T> values;
    for (Taker taker(bytes); taker.is_good() && !taker.is_whole();) {
        values.push_back(taker.take<T>());
        if (!taker.is_good() || values.size() > heal_places_max) return nonsense();
    }
    return values;
}

using Descriptors = PassedDescriptors<heal_places_max>;

void put_objects(Bytes& bytes, const std::vector<TouchedObject>& objects) {
    put(bytes, static_cast<uint32_t>(objects.size()));
    for (const TouchedObject& object : objects) {
        put(bytes, to_disk(object.id));
        put_text(bytes, object.handle);
        put(bytes, static_cast<uint32_t>(object.ranges.size()));
        for (const TouchedRange& range : object.ranges) put(bytes, range);
        put(bytes, static_cast<uint32_t>(object.names.size()));
        for (const std::string& name : object.names) put_text(bytes, name);
    }
}

std::vector<TouchedObject> take_objects(Taker& taker) {
    std::vector<TouchedObject> objects(taker.take_count(sizeof(hf_object_id) + 3 * sizeof(uint32_t)));
    for (TouchedObject& object : objects) {
        object.id = from_disk(taker.take<hf_object_id>());
        object.handle = taker.take_text();
        object.ranges.resize(taker.take_count(sizeof(TouchedRange)));
        for (TouchedRange& range : object.ranges) range = taker.take<TouchedRange>();
        object.names.resize(taker.take_count(sizeof(uint32_t)));
        for (std::string& name : object.names) name = taker.take_text();
    }
    return objects;
}

}  // namespace

Bytes encode(const HealState& state) {
    Bytes bytes;
    for (const bool flag : {state.is_paused, state.is_everything, state.has_room}) put(bytes, static_cast<uint8_t>(flag));
    put(bytes, state.published);
    put(bytes, state.objects);
    return bytes;
}

Result<HealState> decode_heal_state(ByteSpan bytes) {
    Taker taker(bytes);
    HealState state;
    for (bool* flag : {&state.is_paused, &state.is_everything, &state.has_room}) *flag = taker.take<uint8_t>() != 0;
    state.published = taker.take<Lsn>();
    state.objects = taker.take<uint64_t>();
    if (!taker.is_whole()) return nonsense();
    return state;
}

Bytes encode(const Touched& touched) {
    Bytes bytes;
    put_objects(bytes, touched.objects);
    put_objects(bytes, touched.nameless);
    return bytes;
}

Result<Touched> decode_touched(ByteSpan bytes) {
    Taker taker(bytes);
    Touched touched;
    touched.objects = take_objects(taker);
    touched.nameless = take_objects(taker);
    if (!taker.is_whole()) return nonsense();
    return touched;
}

Bytes encode(const HealAppended& appended) {
    Bytes bytes;
    put(bytes, appended.end);
    put(bytes, appended.records);
    return bytes;
}

Result<HealAppended> decode_appended(ByteSpan bytes) {
    Taker taker(bytes);
    HealAppended appended;
    appended.end = taker.take<Lsn>();
    appended.records = taker.take<uint64_t>();
    if (!taker.is_whole()) return nonsense();
    return appended;
}

Bytes encode(Lsn lsn) {
    Bytes bytes;
    put(bytes, lsn);
    return bytes;
}

Result<Lsn> decode_lsn(ByteSpan bytes) {
    Taker taker(bytes);
    const auto lsn = taker.take<Lsn>();
    if (!taker.is_whole()) return nonsense();
    return lsn;
}

Bytes encode(std::span<const TouchedPlace> places) {
    Bytes bytes;
    for (const TouchedPlace& place : places) put(bytes, place);
    return bytes;
}

Result<std::vector<TouchedPlace>> decode_places(ByteSpan bytes) {
    return take_all<TouchedPlace>(bytes);
}

Bytes encode(std::span<const int32_t> errors) {
    Bytes bytes;
    for (const int32_t error : errors) put(bytes, error);
    return bytes;
}

Result<std::vector<int32_t>> decode_errors(ByteSpan bytes) {
    return take_all<int32_t>(bytes);
}

void HealOpened::add(Result<UniqueFd> opened) {
    errors.push_back(opened ? 0 : opened.error().sys_errno != 0 ? opened.error().sys_errno : EIO);
    if (opened) descriptors.push_back(std::move(*opened));
}

void add_record(Bytes& body, const Record& record) {
    Record placed = record;
    placed.lsn = 0;
    const EncodedRecord encoded(placed, encoded_length(record.body));
    const size_t head = body.size();
    put(body, uint32_t{0});
    for (const ByteSpan piece : encoded.pieces()) body.insert(body.end(), piece.begin(), piece.end());
    const auto length = static_cast<uint32_t>(body.size() - head - sizeof(uint32_t));
    std::memcpy(body.data() + head, &length, sizeof length);
}

Result<std::vector<Record>> records_of(ByteSpan body) {
    Taker taker(body);
    std::vector<Record> records;
    while (taker.is_good() && !taker.is_whole()) {
        const ByteSpan bytes = taker.take_bytes(taker.take<uint32_t>());
        if (!taker.is_good()) break;
        records.push_back(HF_TRY(decode_record(bytes, 0)));
    }
    if (!taker.is_whole()) return nonsense();
    return records;
}

Status HealPipe::send(HealVerb verb, ByteSpan body, std::span<const UniqueFd> descriptors) {
    std::vector<int> fds;
    for (const UniqueFd& descriptor : descriptors) fds.push_back(descriptor.get());
    const Head head{static_cast<uint32_t>(body.size()), static_cast<uint8_t>(verb), {}};
    Bytes bytes;
    bytes.reserve(sizeof head + body.size());
    put(bytes, head);
    bytes.insert(bytes.end(), body.begin(), body.end());
    const timeval patience{heal_hold_ms_max / 1000, 0};
    (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    for (size_t done = 0; done < bytes.size();) {
        iovec part{bytes.data() + done, bytes.size() - done};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        Descriptors along;
        if (done == 0) along.send_with(message, fds);
        const ssize_t sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return Error{ErrorCode::unavailable, "the other side of the healing is gone"};
        done += static_cast<size_t>(sent);
    }
    return ok();
}

Status HealPipe::fail(const Error& error) {
    Bytes body;
    put(body, static_cast<uint32_t>(error.code));
    put_text(body, error.message);
    return send(HealVerb::failed, body);
}

Status HealPipe::read_all(std::byte* into, size_t size, int timeout_ms, std::vector<UniqueFd>& descriptors) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    for (size_t done = 0; done < size;) {
        int wait_ms = -1;
        if (timeout_ms >= 0) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
            wait_ms = static_cast<int>(std::max<int64_t>(left, 0));
        }
        pollfd waiting{fd_.get(), POLLIN, 0};
        const int ready = ::poll(&waiting, 1, wait_ms);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return Error{ErrorCode::unavailable, "the other side of the healing says nothing"};
        iovec part{into + done, size - done};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        Descriptors along;
        along.receive_with(message);
        const ssize_t got = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got <= 0) return Error{ErrorCode::unavailable, "the other side of the healing is gone"};
        for (UniqueFd& descriptor : Descriptors::of(message)) descriptors.push_back(std::move(descriptor));
        if ((message.msg_flags & MSG_CTRUNC) || descriptors.size() > heal_places_max) return nonsense();
        done += static_cast<size_t>(got);
    }
    return ok();
}

Result<HealPipe::Message> HealPipe::receive(int timeout_ms) {
    Head head;
    std::vector<UniqueFd> descriptors;
    HF_TRY(read_all(reinterpret_cast<std::byte*>(&head), sizeof head, timeout_ms, descriptors));
    if (head.length > heal_body_bytes_max) return nonsense();
    Message message{static_cast<HealVerb>(head.verb), Bytes(head.length), std::move(descriptors)};
    HF_TRY(read_all(message.body.data(), message.body.size(), timeout_ms, message.descriptors));
    return message;
}

Result<Bytes> HealPipe::ask(HealVerb verb, ByteSpan body, int timeout_ms) {
    Message answer = HF_TRY(exchange(verb, body, timeout_ms));
    return std::move(answer.body);
}

Result<HealOpened> HealPipe::ask_to_open(HealVerb verb, ByteSpan body, size_t count, int timeout_ms) {
    Message answer = HF_TRY(exchange(verb, body, timeout_ms));
    HealOpened opened;
    opened.errors = HF_TRY(decode_errors(answer.body));
    opened.descriptors = std::move(answer.descriptors);
    const auto good = static_cast<size_t>(std::count(opened.errors.begin(), opened.errors.end(), 0));
    if (opened.errors.size() != count || opened.descriptors.size() != good) return nonsense();
    return opened;
}

Result<HealPipe::Message> HealPipe::exchange(HealVerb verb, ByteSpan body, int timeout_ms) {
    HF_TRY(send(verb, body));
    Message message = HF_TRY(receive(timeout_ms));
    if (message.verb == HealVerb::answered) return message;
    if (message.verb != HealVerb::failed) return nonsense();
    Taker taker(message.body);
    const auto code = taker.take<uint32_t>();
    const std::string sentence = taker.take_text();
    if (!taker.is_whole() || code > static_cast<uint32_t>(ErrorCode::gap)) return nonsense();
    return Error{static_cast<ErrorCode>(code), sentence};
}

}  // namespace holdfast::journal
