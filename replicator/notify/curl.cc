#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <memory>

#include "base/text.h"
#include "replicator/notify/deliveries.h"

namespace holdfast::replicator {

namespace {

using List = std::unique_ptr<curl_slist, void (*)(curl_slist*)>;

List list_of(const char* text) {
    return {curl_slist_append(nullptr, text), &curl_slist_free_all};
}

// One transfer: what both kinds have in common. What the other side says is not kept.
class Transfer {
public:
    Transfer(const std::string& url, const char* protocols, int limit_ms) : url_(url), handle_(curl_easy_init(), &curl_easy_cleanup) {
        static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
        if (ready != CURLE_OK) handle_.reset();
        set(CURLOPT_URL, url_.c_str());
        set(CURLOPT_PROTOCOLS_STR, protocols);
        set(CURLOPT_TIMEOUT_MS, static_cast<long>(limit_ms));
        set(CURLOPT_NOSIGNAL, 1L);
        set(CURLOPT_WRITEFUNCTION, +[](char*, size_t, size_t count, void*) { return count; });
        set(CURLOPT_ERRORBUFFER, why_);
    }
    template <typename Value>
    void set(CURLoption option, Value value) {
        if (handle_) curl_easy_setopt(handle_.get(), option, value);
    }
    Status perform() {
        if (!handle_) return Error{ErrorCode::io, "libcurl cannot be used"};
        const CURLcode done = curl_easy_perform(handle_.get());
        if (done == CURLE_OK) return ok();
        return Error{ErrorCode::unavailable, quoted(url_) + ": " + (*why_ != 0 ? why_ : curl_easy_strerror(done))};
    }
    long status() const {
        long status = 0;
        curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
        return status;
    }

private:
    const std::string url_;
    char why_[CURL_ERROR_SIZE] = {};
    std::unique_ptr<CURL, void (*)(CURL*)> handle_;
};

// As RFC 5322 writes it.
std::string mail_date(uint64_t time_ns) {
    const time_t seconds = static_cast<time_t>(time_ns / 1'000'000'000);
    tm utc{};
    ::gmtime_r(&seconds, &utc);
    char text[64];
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &utc);
    return text;
}

std::string mail_text(const MailRule& mail, const std::string& host, const Notice& notice) {
    const Event& event = notice.event;
    std::string text = "Date: " + mail_date(event.time_ns) + "\r\nFrom: <" + mail.from + ">\r\nTo: <" + mail.to + ">\r\nSubject: " + to_string(event.code) + ": " +
                       to_string(event.severity) + " on " + host +
                       "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + event.sentence + "\r\n\r\n";
    text += iso8601_utc(event.time_ns) + " " + to_string(event.code) + " on " + host + "\r\n";
    if (notice.left_out > 0) text += std::to_string(notice.left_out) + " events before it are not told here; `holdfast events` shows the last ones.\r\n";
    return text;
}

size_t give(char* room, size_t, size_t size, void* rest) {
    auto& text = *static_cast<std::string_view*>(rest);
    const size_t count = std::min(size, text.size());
    memcpy(room, text.data(), count);
    text.remove_prefix(count);
    return count;
}

}  // namespace

Notifier::Deliver webhook_delivery(std::string url, int limit_ms) {
    return [url = std::move(url), limit_ms](const Notice& notice) -> Status {
        const std::string body = line_of(to_json(notice));
        const List headers = list_of("Content-Type: application/json");
        Transfer transfer(url, "https,http", limit_ms);
        transfer.set(CURLOPT_HTTPHEADER, headers.get());
        transfer.set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
        transfer.set(CURLOPT_POSTFIELDS, body.data());
        HF_TRY(transfer.perform());
        if (const long status = transfer.status(); status < 200 || status > 299) return Error{ErrorCode::unavailable, quoted(url) + " answered with " + std::to_string(status)};
        return ok();
    };
}

Notifier::Deliver mail_delivery(MailRule mail, std::string host, int limit_ms) {
    return [mail = std::move(mail), host = std::move(host), limit_ms](const Notice& notice) {
        const std::string text = mail_text(mail, host, notice), from = "<" + mail.from + ">";
        const List recipients = list_of(("<" + mail.to + ">").c_str());
        std::string_view rest = text;
        Transfer transfer(mail.server.find("://") == std::string::npos ? "smtp://" + mail.server : mail.server, "smtp,smtps", limit_ms);
        transfer.set(CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_TRY));
        transfer.set(CURLOPT_MAIL_FROM, from.c_str());
        transfer.set(CURLOPT_MAIL_RCPT, recipients.get());
        transfer.set(CURLOPT_UPLOAD, 1L);
        transfer.set(CURLOPT_READFUNCTION, &give);
        transfer.set(CURLOPT_READDATA, static_cast<void*>(&rest));
        return transfer.perform();
    };
}

}  // namespace holdfast::replicator
