// A client on a fake server.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ferry/sftp/client.h"
#include "sftp/fake_server.h"

namespace ferry::sftp::testing {

using wire::PacketType;
using wire::StatusCode;

using Extensions = std::vector<std::pair<std::string, std::string>>;

/// A client on a fake server that answers by the functions in `on`, and 'ok' to all else.
struct Fixture {
  Extensions extensions;
  std::map<PacketType, FakeServer::Answer> on;
  ClientOptions options;
  StopToken stop;
  EventLoop loop{stop};
  FakeServer* server = nullptr;
  std::unique_ptr<Client> client;

  Fixture() {
    options.window_bytes = 256 * 1024;
    options.stall_timeout = std::chrono::milliseconds(50);
    options.stop_grace = std::chrono::milliseconds(50);
  }

  Result<void> start() {
    auto channel = std::make_unique<FakeServer>([this](const Request& request) {
      if (const auto found = on.find(request.type); found != on.end())
        return found->second(request);
      if (request.type == PacketType::kInit) return version(extensions);
      const bool is_asked_for_data = request.type == PacketType::kLstat ||
                                     request.type == PacketType::kStat ||
                                     request.type == PacketType::kFstat;
      return status(request.id, is_asked_for_data ? StatusCode::kNoSuchFile : StatusCode::kOk);
    });
    server = channel.get();
    auto started = loop.wait_for(Client::start(std::move(channel), options, loop));
    if (!started) return started.error();
    client = std::move(*started);
    return {};
  }

  /// Runs one request to its end.
  template <typename T>
  T run(Task<T> task) {
    return loop.wait_for(std::move(task));
  }

  void await_limits() {
    loop.spawn(client->await_limits());
    loop.run();
  }

  bool is_alive() const { return !client->error(); }

  std::vector<PacketType> requests() const {
    std::vector<PacketType> types;
    for (const Request& request : server->requests()) types.push_back(request.type);
    return types;
  }

  std::size_t count(PacketType type) const {
    return static_cast<std::size_t>(std::ranges::count(server->requests(), type, &Request::type));
  }
};

inline const Handle kHandle{"h"};

}  // namespace ferry::sftp::testing
