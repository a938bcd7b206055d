#include "sftp/ssh/algorithms.h"

#include "sftp/channel_fixture.h"
#include "sftp/ssh/ssh_algorithms.h"

using namespace ferry;
using namespace ferry::sftp;
using namespace ferry::sftp::testing;

namespace {

/// What a server that has nothing better is configured with, and what the message names.
struct OldServer {
  const char* config;
  const char* offer;
  std::string Agreement::* agreed;
};

const OldServer kOldServers[] = {{"KexAlgorithms diffie-hellman-group1-sha1",
                                  "diffie-hellman-group1-sha1", &Agreement::key_exchange},
                                 {"KexAlgorithms diffie-hellman-group14-sha1",
                                  "diffie-hellman-group14-sha1", &Agreement::key_exchange},
                                 {"HostKeyAlgorithms ssh-rsa", "ssh-rsa", &Agreement::host_key},
                                 {"Ciphers aes128-cbc", "aes128-cbc", &Agreement::cipher},
                                 {"Ciphers 3des-cbc", "3des-cbc", &Agreement::cipher},
                                 {"MACs hmac-sha1", "hmac-sha1", &Agreement::mac}};

template <typename T>
ConnectOptions options_for(const OpenSshServer& server, bool legacy) {
  ConnectOptions options = server.connect_options();
  options.transport = T::kTransport;
  options.legacy_algorithms = legacy;
  options.tells_agreement = true;
  return options;
}

/// A server's first packet with these lists (RFC 4253, 7.1).
std::string greeting_with(const std::vector<std::string>& lists) {
  std::string payload = "\x14" + std::string(16, 'c');
  for (const std::string& list : lists) payload += number(list.size()) + list;
  return "SSH-2.0-x\r\n" + number(payload.size() + 1) + '\x04' + payload + "pad";
}

}  // namespace

TEST_CASE_TEMPLATE("outdated algorithms only where somebody asks for them", T, Libssh2, OpenSsh) {
  for (const OldServer& old : kOldServers) {
    CAPTURE(std::string(old.config));
    // Without a cipher that is its own MAC.
    OpenSshServer server(
        {.config = {old.config, "Ciphers aes128-ctr"}, .host_key_types = {"rsa", "ed25519"}});
    std::ofstream(server.known_hosts().native())
        << server.known_hosts_line(server.host_key("rsa"))
        << server.known_hosts_line(server.host_key("ed25519"));
    StopToken stop;
    const auto refused = connect(options_for<T>(server, false), stop);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().kind == ErrorKind::kRefused);
    CHECK(says(refused.error(), old.offer));
    CHECK(says(refused.error(), "legacy_algorithms = true"));

    const auto accepted = connect(options_for<T>(server, true), stop);
    if (!accepted) FAIL(accepted.error().message);
    check_speaks_sftp(**accepted);
    CHECK((*accepted)->agreement().*old.agreed == old.offer);
  }
}

TEST_CASE_TEMPLATE("a server that has both is not spoken to with the outdated", T, Libssh2,
                   OpenSsh) {
  OpenSshServer server(
      {.config = {"KexAlgorithms diffie-hellman-group1-sha1,ecdh-sha2-nistp256",
                  "Ciphers aes128-cbc,aes256-ctr", "MACs hmac-sha1,hmac-sha2-512"}});
  StopToken stop;
  for (const bool legacy : {false, true}) {
    CAPTURE(legacy);
    const auto channel = connect(options_for<T>(server, legacy), stop);
    if (!channel) FAIL(channel.error().message);
    const Agreement agreed = (*channel)->agreement();
    CHECK(agreed.key_exchange == "ecdh-sha2-nistp256");
    CHECK(agreed.host_key == "ssh-ed25519");
    CHECK(agreed.cipher == "aes256-ctr");
    CHECK(agreed.mac == "hmac-sha2-512");
  }
}

TEST_CASE("an RSA key is not proved by SHA-1 unless somebody asks for that") {
  OpenSshServer server({.config = {"PubkeyAcceptedAlgorithms +ssh-rsa"}});
  ConnectOptions options = options_for<Libssh2>(server, false);
  options.identities = {server.authorized_key("rsa", "rsa")};
  StopToken stop;
  const auto refused = connect(options, stop);
  if (refused) return;  // a libssh2 that signs with SHA-2
  CHECK(says(refused.error(), "not offered: an RSA key"));
  options.legacy_algorithms = true;
  const auto accepted = connect(options, stop);
  if (!accepted) FAIL(accepted.error().message);
  check_speaks_sftp(**accepted);
}

TEST_CASE("what is outdated") {
  for (const char* name :
       {"diffie-hellman-group1-sha1", "diffie-hellman-group-exchange-sha1", "ssh-rsa", "ssh-dss",
        "ssh-rsa-cert-v01@openssh.com", "aes256-cbc", "rijndael-cbc@lysator.liu.se", "3des-cbc",
        "hmac-sha1", "hmac-sha1-96", "hmac-md5-etm@openssh.com", "arcfour256"}) {
    CHECK_MESSAGE(is_legacy_algorithm(name), name);
  }
  for (const char* name :
       {"diffie-hellman-group14-sha256", "curve25519-sha256", "rsa-sha2-512", "ssh-ed25519",
        "rsa-sha2-256-cert-v01@openssh.com", "aes128-ctr", "aes128-gcm@openssh.com",
        "hmac-sha2-256", "umac-128-etm@openssh.com", "chacha20-poly1305@openssh.com"}) {
    CHECK_MESSAGE(!is_legacy_algorithm(name), name);
  }
}

TEST_CASE("a server's first packet tells what it offers") {
  const auto offer =
      parse_offer("a notice\r\n" + greeting_with({"k1,k2", "h", "c1", "c2", "m1", "m2"}));
  CHECK(offer.key_exchanges == "k1,k2");
  CHECK(offer.host_keys == "h");
  CHECK(offer.ciphers == "c1");
  CHECK(offer.macs == "m1");
  CHECK(describe_mismatch(offer, {"k2", "h", "c1", "m1"}).empty());
  CHECK(describe_mismatch(offer, {"k2", "x", "c1", "m1"}) ==
        "no common host key algorithm: the server offers h");
  CHECK(describe_mismatch({}, {"k2", "h", "c1", "m1"}).empty());
}

TEST_CASE("a first packet that is cut, or no such packet, tells nothing wrong") {
  const std::string whole = greeting_with({"k", "h", "c1", "c2", "m1", "m2"});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto offer = parse_offer(whole.substr(0, size));
    CHECK((offer.key_exchanges.empty() || offer.key_exchanges == "k"));
    CHECK((offer.macs.empty() || offer.macs == "m1"));
  }
  CHECK(parse_offer(greeting_with({}) + "\xff\xff\xff\xff").key_exchanges.empty());
  CHECK(parse_offer(std::string(100, '\n')).key_exchanges.empty());
}

namespace {

constexpr std::string_view kDefaults =
    "user me\nciphers chacha20-poly1305@openssh.com,aes128-ctr,aes128-gcm@openssh.com\n"
    "hostkeyalgorithms ssh-ed25519,rsa-sha2-512\nkexalgorithms curve25519-sha256\n"
    "macs hmac-sha2-256,hmac-sha1\npubkeyacceptedalgorithms ssh-ed25519,rsa-sha2-512\n";

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("ssh's own lists lose what is outdated") {
  CHECK(ssh_algorithm_options(kDefaults, kDefaults, false, false) == Words{"-oMACs=hmac-sha2-256"});
  CHECK(ssh_algorithm_options(kDefaults, kDefaults, false, true) ==
        Words{"-oCiphers=aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr",
              "-oMACs=hmac-sha2-256"});
}

TEST_CASE("and get it where it is wanted, last") {
  const Words words = ssh_algorithm_options(kDefaults, kDefaults, true, false);
  REQUIRE(words.size() == 5);
  CHECK(words[0] ==
        "-oCiphers=chacha20-poly1305@openssh.com,aes128-ctr,aes128-gcm@openssh.com,aes128-cbc,"
        "aes192-cbc,aes256-cbc,3des-cbc");
  CHECK(words[1] == "-oHostKeyAlgorithms=+ssh-rsa");
  CHECK(words[2].ends_with("diffie-hellman-group1-sha1"));
  CHECK(words[3] == "-oMACs=hmac-sha2-256,hmac-sha1,hmac-sha1-etm@openssh.com");
  CHECK(words[4] == "-oPubkeyAcceptedAlgorithms=ssh-ed25519,rsa-sha2-512,ssh-rsa");
}

TEST_CASE("a list of somebody's configuration keeps its order, and nothing outdated") {
  const std::string_view mine =
      "user me\nciphers aes128-cbc,aes128-ctr,aes128-gcm@openssh.com\n"
      "hostkeyalgorithms ssh-ed25519,rsa-sha2-512,ssh-rsa\nkexalgorithms curve25519-sha256\n"
      "macs hmac-sha2-256\npubkeyacceptedalgorithms ssh-ed25519\n";
  CHECK(ssh_algorithm_options(mine, kDefaults, false, true) ==
        Words{"-oCiphers=aes128-ctr,aes128-gcm@openssh.com", "-oHostKeyAlgorithms=-ssh-rsa"});
}

TEST_CASE("a configuration that allows nothing but outdated algorithms does not get them") {
  CHECK(ssh_algorithm_options("user me\nmacs hmac-sha1,hmac-md5\n", kDefaults, false, false) ==
        Words{"-oMACs=hmac-sha2-256"});
}

TEST_CASE("where ssh does not know its configuration, nothing is said about it") {
  CHECK(ssh_algorithm_options("", "", false, true).empty());
}
