// What a TlsChannel does with every end that is not one of ours.
#include <algorithm>
#include <catch2/catch.hpp>

#include "replicator/trust/tls_channel.h"
#include "test/replicator/trust_hosts.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

TEST_CASE("tls: every other kind of end is refused, before or at its certificate") {
    const Hosts hosts;
    const auto known_client = credentials_of(hosts.client), known_server = credentials_of(hosts.server);
    const auto stranger = make_credentials("ED25519"), rsa = make_credentials("RSA"), ec = make_credentials("EC");
    const auto issued = make_credentials("ED25519", &stranger, "an authority");
    const auto forged = make_credentials("ED25519", &stranger);  // calls itself self-signed
    const auto rsa_signed = make_credentials("ED25519", &rsa);
    const auto plain = [](const Credentials* credentials) {
        RawOptions options;
        options.credentials = credentials;
        return options;
    };
    const auto with = [&](bool is_server, const auto& change) {
        RawOptions options = plain(is_server ? &known_server : &known_client);
        change(options);
        return options;
    };
    using O = RawOptions;
    // What a raw client and, where it differs, a raw server is refused with.
    struct Row {
        const char* name; std::function<void(O&)> change;
        std::optional<ErrorCode> client, server = client;
    };
    const Row table[] = {
        {"nothing wrong", [](O&) {}, std::nullopt},
        {"its other group", [](O& o) { o.groups = "P-256"; }, std::nullopt},
        {"its other suite", [](O& o) { o.suites = "TLS_CHACHA20_POLY1305_SHA256"; }, std::nullopt},
        {"a stranger's key", [&](O& o) { o.credentials = &stranger; }, ErrorCode::permission},
        // A client with no key that was asked for shows none.
        {"an RSA key", [&](O& o) { o.credentials = &rsa; }, ErrorCode::permission, ErrorCode::unsupported},
        {"a P-256 key", [&](O& o) { o.credentials = &ec; }, ErrorCode::permission, ErrorCode::unsupported},
        {"a certificate of an authority", [&](O& o) { o.credentials = &issued; }, ErrorCode::foreign},
        {"a certificate signed by another key", [&](O& o) { o.credentials = &forged; }, ErrorCode::foreign},
        {"a certificate signed by an RSA key", [&](O& o) { o.credentials = &rsa_signed; }, ErrorCode::foreign},
        {"a chain", [&](O& o) { o.also = &stranger; }, ErrorCode::foreign},
        {"the known key twice", [&](O& o) { o.also = o.credentials; }, ErrorCode::foreign},
        {"TLS 1.2 only", [](O& o) { o.version_min = o.version_max = TLS1_2_VERSION; }, ErrorCode::unsupported},
        {"TLS 1.0 to 1.2", [](O& o) { o.version_min = TLS1_VERSION, o.version_max = TLS1_2_VERSION; }, ErrorCode::unsupported},
        {"AES-128", [](O& o) { o.suites = "TLS_AES_128_GCM_SHA256"; }, ErrorCode::unsupported},
        {"a truncated tag", [](O& o) { o.suites = "TLS_AES_128_CCM_8_SHA256"; }, ErrorCode::unsupported},
        {"another group", [](O& o) { o.groups = "P-384"; }, ErrorCode::unsupported},
        {"another name", [](O& o) { o.protocols = "h2"; }, ErrorCode::unsupported, ErrorCode::corrupt},
        {"a longer name", [](O& o) { o.protocols = "holdfast/10"; }, ErrorCode::unsupported, ErrorCode::corrupt},
        {"pairing", [](O& o) { o.protocols = "holdfast-pair/1"; }, ErrorCode::unsupported, ErrorCode::corrupt},
        {"no name", [](O& o) { o.protocols.clear(); }, ErrorCode::unsupported},
    };
    for (const bool raw_is_server : {false, true})
        for (const auto& row : table) {
            CAPTURE(raw_is_server, row.name);
            RawPeer raw(raw_is_server, with(raw_is_server, row.change));
            const auto channel = raw_is_server ? hosts.client_end() : hosts.server_end();
            Bytes to_channel;
            Status status;
            for (int round = 0; round < 4; ++round) {
                if (Status step = feed(*channel, to_channel); status) status = std::move(step);
                to_channel = raw.exchange(channel->take_output());
            }
            const auto refused = raw_is_server ? row.server : row.client;
            CHECK(channel->is_established() == !refused.has_value());
            if (!refused) {
                CHECK(status);
                continue;
            }
            REQUIRE_FALSE(status);
            INFO(status.error().message);
            CHECK(status.error().code == *refused);
        }
}

TEST_CASE("tls: two hosts always agree on TLS 1.3 with AES-256, also when the client would rather have the other suite") {
    const Hosts hosts;
    const auto own = credentials_of(hosts.client);
    RawOptions options;
    options.credentials = &own;
    options.suites = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
    options.version_min = TLS1_2_VERSION;
    RawPeer raw(false, options);
    const auto server = hosts.server_end();
    for (int round = 0; round < 3; ++round) REQUIRE(feed(*server, raw.exchange(server->take_output())));
    REQUIRE(server->is_established());
    CHECK(SSL_version(raw.tls()) == TLS1_3_VERSION);
    CHECK(std::string(SSL_get_cipher_name(raw.tls())) == "TLS_AES_256_GCM_SHA384");
}

TEST_CASE("tls: a certificate is judged by itself, whatever TLS has let through") {
    const auto own = make_credentials("ED25519"), rsa = make_credentials("RSA"), ec = make_credentials("EC");
    CHECK(check_certificate(*own.certificate));
    CHECK_THAT(check_certificate(*rsa.certificate).error().message, Catch::Contains("not an Ed25519 key"));
    CHECK_THAT(check_certificate(*ec.certificate).error().message, Catch::Contains("not an Ed25519 key"));
    CHECK_THAT(check_certificate(*make_credentials("ED25519", &own, "else").certificate).error().message, Catch::Contains("somebody else"));
    CHECK_THAT(check_certificate(*make_credentials("ED25519", &own).certificate).error().message, Catch::Contains("its own key"));
}

TEST_CASE("tls: a client without a certificate is refused") {
    const Hosts hosts;
    RawPeer raw(false, {});
    const auto server = hosts.server_end();
    Status status = feed(*server, raw.exchange({}));
    REQUIRE(status);
    status = feed(*server, raw.exchange(server->take_output()));
    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::permission);
    CHECK_FALSE(server->is_established());
}

TEST_CASE("tls: resumption and early data come to nothing: no ticket is given, no session is taken up") {
    const Hosts hosts;
    const auto own = credentials_of(hosts.client);
    RawOptions options;
    options.credentials = &own;
    // A session of another server that gives tickets for early data, taken to ours.
    TlsContextPtr context(SSL_CTX_new(TLS_server_method()));
    const auto other = make_credentials("ED25519");
    SSL_CTX_use_certificate(context.get(), other.certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), other.key.get());
    SSL_CTX_set_max_early_data(context.get(), 1000);
    const auto take_first = [](SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered, unsigned, void*) -> int {
        *chosen = offered + 1;
        *size = offered[0];
        return SSL_TLSEXT_ERR_OK;
    };
    SSL_CTX_set_alpn_select_cb(context.get(), take_first, nullptr);
    TlsPtr ticket_server(SSL_new(context.get()));
    BIO *input = BIO_new(BIO_s_mem()), *output = BIO_new(BIO_s_mem());
    SSL_set_bio(ticket_server.get(), input, output);
    SSL_set_accept_state(ticket_server.get());
    RawPeer first(false, options);
    for (Bytes answer; !first.is_established() || !SSL_is_init_finished(ticket_server.get());) {
        const Bytes sent = first.exchange(answer);
        BIO_write(input, sent.data(), static_cast<int>(sent.size()));
        (void)SSL_do_handshake(ticket_server.get());
        answer.resize(BIO_ctrl_pending(output));
        BIO_read(output, answer.data(), static_cast<int>(answer.size()));
        if (SSL_is_init_finished(ticket_server.get())) (void)first.exchange(answer);
    }
    std::unique_ptr<SSL_SESSION, OpensslFree<SSL_SESSION_free>> session(SSL_get1_session(first.tls()));
    REQUIRE(SSL_SESSION_is_resumable(session.get()));
    REQUIRE(SSL_SESSION_get_max_early_data(session.get()) > 0);

    options.session = session.get();
    for (const bool has_early_data : {false, true}) {
        CAPTURE(has_early_data);
        if (has_early_data) options.early_data = "delete everything";
        RawPeer raw(false, options);
        const auto server = hosts.server_end();
        std::string heard;
        Bytes sent = raw.exchange({});
        Status status;
        for (int round = 0; round < 4; ++round) {
            if (Status step = feed(*server, sent, &heard); status) status = std::move(step);
            sent = raw.exchange(server->take_output());
        }
        // A session is passed over; who sends data before the end of the handshake is refused altogether.
        CHECK(status.has_value() == !has_early_data);
        CHECK(server->is_established() == !has_early_data);
        CHECK_FALSE(SSL_session_reused(raw.tls()));
        CHECK(SSL_get_early_data_status(raw.tls()) != SSL_EARLY_DATA_ACCEPTED);
        CHECK(heard.empty());
        CHECK_FALSE(SSL_SESSION_is_resumable(SSL_get_session(raw.tls())));  // no ticket came
    }
}

TEST_CASE("tls: a bit that flips anywhere in a handshake ends it; nobody is taken for somebody else") {
    const Hosts hosts;
    Bytes sound[2];
    {
        const auto client = hosts.client_end(), server = hosts.server_end();
        connect(*client, *server, 65536, [&](bool from_client, size_t, Bytes& bytes) {
            sound[from_client].insert(sound[from_client].end(), bytes.begin(), bytes.end());
        });
    }
    for (const bool from_client : {false, true}) {
        REQUIRE(sound[from_client].size() > 400);
        for (size_t at = 0, record = 0; at < sound[from_client].size(); ++at) {
            const auto number = [&](size_t place) { return std::to_integer<size_t>(sound[from_client][place]); };
            if (at == record + 5 + number(record + 3) * 256 + number(record + 4)) record = at;
            const auto client = hosts.client_end(), server = hosts.server_end();
            connect(*client, *server, 65536, [&](bool direction, size_t before, Bytes& bytes) {
                if (direction == from_client && before <= at && at < before + bytes.size()) bytes[at - before] ^= std::byte(1 << at % 8);
            });
            CAPTURE(from_client, at, record);
            // The old version number in a record's header means nothing in TLS 1.3 and is not protected (RFC 8446, 5.1).
            if (at == record + 1 || at == record + 2) continue;
            CHECK_FALSE(server->is_established());
            // A client has finished when anything behind its greeting is damaged; the server then refuses it.
            if (client->is_established()) CHECK((from_client && record > 0));
        }
    }
}

TEST_CASE("tls: a handshake that is cut off anywhere is not established, and waits without an error") {
    const Hosts hosts;
    for (size_t cut = 0; cut < 180; ++cut) {
        const auto client = hosts.client_end(), server = hosts.server_end();
        const Bytes greeting = client->take_output();
        REQUIRE(greeting.size() > cut);
        CHECK(feed(*server, ByteSpan(greeting).first(cut)));
        CHECK_FALSE(server->is_established());
        CHECK(server->take_output().empty());
    }
}

TEST_CASE("tls: a stranger may not send more than a handshake needs, nor anything that is no handshake") {
    const Hosts hosts;
    // A greeting that says to be SIZE bytes long, in records as long as they can be.
    const auto endless_greeting = [](uint32_t size) {
        std::string greeting;
        for (int i = 0; i < 5; ++i) greeting += std::string("\x16\x03\x01\x40\x00", 5) + std::string(16384, '\0');
        for (int i = 0; i < 3; ++i) greeting[static_cast<size_t>(6 + i)] = static_cast<char>(size >> (16 - 8 * i));
        greeting[5] = 1;
        return greeting;
    };
    SECTION("a greeting of 16 MiB is refused by its first bytes") {
        const auto server = hosts.server_end();
        const std::string greeting = endless_greeting(0xffffff);
        const Status status = server->receive(bytes_of(std::string_view(greeting).substr(0, 20'000)));
        REQUIRE_FALSE(status);
        CHECK(status.error().code == ErrorCode::foreign);
    }
    SECTION("a greeting that TLS would wait for, at the limit and one byte beyond it") {
        const auto server = hosts.server_end();
        const std::string greeting = endless_greeting(0x01ffff);
        REQUIRE(feed(*server, bytes_of(std::string_view(greeting).substr(0, tls_input_bytes_max)), nullptr, 1000));
        const Status status = server->receive(bytes_of(std::string_view(greeting).substr(tls_input_bytes_max, 1)));
        REQUIRE_FALSE(status);
        CHECK(status.error().code == ErrorCode::no_space);
        CHECK_FALSE(server->is_established());
    }
    SECTION("bytes one by one that never end the handshake") {
        // A client that has said everything but its last bytes, and then sends change_cipher_spec, which TLS 1.3 ignores once.
        const auto server = hosts.server_end(), client = hosts.client_end();
        REQUIRE(feed(*server, client->take_output()));
        const std::string ignored("\x14\x03\x03\x00\x01\x01", 6);
        Status status;
        size_t sent = 0;
        for (; status && sent <= tls_input_bytes_max; sent += ignored.size()) status = server->receive(bytes_of(std::string_view(ignored)));
        CHECK_FALSE(status);
        CHECK(sent <= tls_input_bytes_max);
    }
    SECTION("other protocols") {
        const std::string http = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ssh = "SSH-2.0-OpenSSH_9.2\r\n";
        for (const std::string& text : {http, ssh, std::string(100, '\0'), noise(1000, 3)}) {
            const auto server = hosts.server_end();
            CHECK_FALSE(feed(*server, bytes_of(std::string_view(text))));
        }
    }
}

TEST_CASE("tls: once established, a flipped bit or a repeated record ends the connection, for good") {
    for (size_t at = 0; at < 60; ++at) {
        Link link;
        REQUIRE(link.client->write(bytes_of(std::string_view("0123456789012345678901234567890123456789"))));
        Bytes bytes = link.client->take_output();
        REQUIRE(bytes.size() > 60);
        bytes[at] ^= std::byte{1};
        CAPTURE(at);
        std::string heard;
        Status status = feed(*link.server, bytes, &heard);
        // A length that grew waits for bytes which then do not fit either.
        if (status) status = feed(*link.server, bytes, &heard);
        for (int more = 0; more < 300 && status; ++more) status = feed(*link.server, bytes, &heard);
        REQUIRE_FALSE(status);
        CHECK(heard.empty());
        CHECK(link.server->receive({}).error().message == status.error().message);
        CHECK_FALSE(link.server->write(bytes_of(std::string_view("more"))));
    }
    Link link;
    REQUIRE(link.client->write(bytes_of(std::string_view("once"))));
    const Bytes bytes = link.client->take_output();
    std::string heard;
    REQUIRE(feed(*link.server, bytes, &heard));
    CHECK_FALSE(feed(*link.server, bytes, &heard));
    CHECK(heard == "once");
}
