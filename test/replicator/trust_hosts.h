// Two hosts that know each other, and the ends of their connections.
#pragma once

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "test/replicator/trust_raw_peer.h"

namespace holdfast::test {

inline std::string noise(size_t bytes, uint32_t seed) {
    std::mt19937 random(seed);
    std::string out(bytes, '\0');
    for (char& byte : out) byte = static_cast<char>(random());
    return out;
}

inline replicator::TlsChannel::Admit only(const replicator::Fingerprint& key) {
    return [key](const replicator::Fingerprint& asked) { return asked == key; };
}
inline const replicator::TlsChannel::Admit nobody = [](const replicator::Fingerprint&) { return false; };

struct Hosts {
    replicator::Identity client = replicator::Identity::make().value(), server = replicator::Identity::make().value();

    std::unique_ptr<replicator::TlsChannel> client_end(replicator::Purpose purpose = replicator::Purpose::link) const {
        return replicator::TlsChannel::client(client, purpose, only(server.fingerprint())).value();
    }
    std::unique_ptr<replicator::TlsChannel> server_end(replicator::TlsChannel::Offer offer = {}) const {
        return replicator::TlsChannel::server(server, offer, only(client.fingerprint())).value();
    }
};

struct Link {
    Hosts hosts;
    std::unique_ptr<replicator::TlsChannel> client = hosts.client_end(), server = hosts.server_end();
    Link() {
        const Ends ends = connect(*client, *server);
        REQUIRE(ends.client);
        REQUIRE(ends.server);
        REQUIRE(client->is_established());
        REQUIRE(server->is_established());
    }
};

}  // namespace holdfast::test
