// What the tests of the channels have in common: servers of all sorts, and a user of a channel.
#pragma once

#include <doctest/doctest.h>

#include <future>
#include <optional>

#include "ferry/base/stop.h"
#include "ferry/sftp/channel.h"
#include "ferry/sftp/connect.h"
#include "sftp/openssh_server.h"

namespace ferry::sftp::testing {

using namespace std::chrono_literals;

// For the cases that both transports share.
struct Libssh2 {
  static constexpr Transport kTransport = Transport::kLibssh2;
};
struct OpenSsh {
  static constexpr Transport kTransport = Transport::kOpenSsh;
};

inline bool says(const Error& error, std::string_view words) {
  INFO(error.message);
  const bool found = error.message.find(words) != std::string::npos;
  if (!found) MESSAGE(error.message);
  return found;
}

// A listener on 127.0.0.1 that is no SSH server.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(socket_.get(), 8) == 0);
    REQUIRE(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ConnectOptions options() const {
    ConnectOptions options;
    options.host = "127.0.0.1";
    options.port = port_;
    options.user = "nobody";
    options.known_hosts = {"/nonexistent/known_hosts"};
    options.use_agent = false;
    return options;
  }
  UniqueFd accept() const { return UniqueFd(::accept(socket_.get(), nullptr, nullptr)); }
  /// Sends TEXT to the first who comes, and hangs up.
  std::future<void> greet(std::string text) const {
    return std::async(std::launch::async, [this, text = std::move(text)] {
      const UniqueFd peer = accept();
      (void)::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL);
    });
  }

 private:
  UniqueFd socket_;
  std::uint16_t port_ = 0;
};

// The user of a channel as channel.h wants it: write, read until nothing comes, poll.
class Conversation {
 public:
  explicit Conversation(Channel& channel) : channel_(channel) {}

  void send(std::string bytes) { output_ += std::move(bytes); }

  /// Goes on until COUNT bytes have come and all is sent.
  std::optional<Error> run_until(std::size_t count, std::chrono::seconds limit = 30s) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
      if (auto error = turn()) return error;
      if (input_.size() >= count && output_.empty()) return std::nullopt;
      if (!wait(deadline)) return make_error(ErrorKind::kFailed, "test: nothing more comes");
    }
  }
  std::optional<Error> turn() {
    ++turns_;
    std::array<std::byte, 64 * 1024> buffer;
    for (;;) {
      const auto count = channel_.read(buffer);
      if (!count) return count.error();
      if (*count == 0) break;
      input_.append(reinterpret_cast<const char*>(buffer.data()), *count);
    }
    if (output_.empty()) return std::nullopt;
    const auto written = channel_.write(as_bytes(output_));
    if (!written) return written.error();
    output_.erase(0, *written);
    return std::nullopt;
  }
  bool wait(std::chrono::steady_clock::time_point deadline) {
    std::vector<pollfd> fds;
    channel_.add_poll_fds(!output_.empty(), fds);
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    return left.count() > 0 && ::poll(fds.data(), fds.size(), static_cast<int>(left.count())) > 0;
  }
  const std::string& input() const { return input_; }
  std::size_t unsent() const { return output_.size(); }
  std::size_t turns() const { return turns_; }

 private:
  Channel& channel_;
  std::string input_;
  std::string output_;
  std::size_t turns_ = 0;
};

inline std::string number(std::size_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

inline std::string packet(const std::string& body) {
  return number(body.size()) + body;
}

inline const std::string kInit = packet("\1" + number(3));

inline void check_speaks_sftp(Channel& channel) {
  Conversation conversation(channel);
  conversation.send(kInit);
  REQUIRE_FALSE(conversation.run_until(9).has_value());
  CHECK(conversation.input()[4] == 2);  // SSH_FXP_VERSION
  CHECK(conversation.input().substr(5, 4) == number(3));
}

// A server whose "sftp" is a shell script: what that reads and writes is what the channel carries.
class ScriptServer {
 public:
  explicit ScriptServer(const std::string& script, std::vector<std::string> config = {})
      : server_({.config = std::move(config), .sftp = write(script)}) {}
  ConnectOptions options() const { return server_.connect_options(); }

 private:
  std::string write(const std::string& script) const {
    const fs::path file = folder_.path() / "script";
    std::ofstream(file.native()) << "#!/bin/sh\n" << script << '\n';
    fs::permissions(file, fs::owner_all);
    return file.native();
  }
  TemporaryDirectory folder_;
  OpenSshServer server_;
};

}  // namespace ferry::sftp::testing

TYPE_TO_STRING_AS("libssh2", ferry::sftp::testing::Libssh2);
TYPE_TO_STRING_AS("openssh", ferry::sftp::testing::OpenSsh);
