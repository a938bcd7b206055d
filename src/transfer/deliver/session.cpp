#include "transfer/deliver/session.h"

#include <span>
#include <vector>

namespace ferry::transfer {
namespace {

using sftp::Task;

/// A directory of the destination's, and what became of looking for it.
struct Lookup {
  std::string name;
  Result<void> made;
  Result<std::string> path;  // as the server spells it
};

Task<void> make(Session& session, Lookup& lookup) {
  lookup.made = co_await session.directories->ensure(lookup.name);
}

Task<void> resolve(Session& session, Lookup& lookup) {
  lookup.path = co_await session.client->realpath(lookup.name);
}

/// All questions at once, in the hope that the directories are there. Servers that resolve only the
/// names of what is there are asked again if it had to be made.
Result<void> look_up(Session& session, std::span<Lookup> lookups) {
  for (Lookup& lookup : lookups) {
    session.loop->spawn(make(session, lookup));
    session.loop->spawn(resolve(session, lookup));
  }
  session.loop->run();
  for (const Lookup& lookup : lookups) {
    if (!lookup.made) return lookup.made;
  }
  for (Lookup& lookup : lookups) {
    if (!lookup.path) session.loop->spawn(resolve(session, lookup));
  }
  session.loop->run();
  for (const Lookup& lookup : lookups) {
    if (!lookup.path) return lookup.path.error();
  }
  return {};
}

/// Without its directories a destination is as good as closed to us.
Error as_refusal(Error error) {
  if (error.kind == ErrorKind::kDenied || error.kind == ErrorKind::kFailed ||
      error.kind == ErrorKind::kNotFound) {
    error.kind = ErrorKind::kRefused;
  }
  return error;
}

Result<void> dial(Session& session, const Destination& destination, const TransferOptions& options,
                  RateLimiter& limiter) {
  sftp::ClientOptions client_options;
  if (!destination.bandwidth.is_off()) {
    client_options.pace = [&limiter](std::size_t bytes) { return limiter.reserve(bytes); };
  }
  sftp::EventLoop& loop = *session.loop;
  auto client = loop.wait_for(sftp::Client::connect(destination.connect, client_options, loop));
  if (!client) return client.error();
  session.client = std::move(*client);
  session.directories = std::make_unique<sftp::RemoteDirectories>(*session.client);
  session.checksums = std::make_unique<RemoteChecksums>(*session.client, destination.connect,
                                                        options.verify_command);
  return {};
}

}  // namespace

Session::Session(StopToken& stop)
    : loop(std::make_unique<sftp::EventLoop>(stop)),
      sources(std::make_unique<SourceOpener>(*loop)) {}

Session& Session::operator=(Session&& other) noexcept {
  checksums = std::move(other.checksums);
  directories = std::move(other.directories);
  client = std::move(other.client);
  sources = std::move(other.sources);
  loop = std::move(other.loop);
  directory = std::move(other.directory);
  control_directory = std::move(other.control_directory);
  lets_remove = other.lets_remove;
  return *this;
}

Result<void> connect(Session& session, const Destination& destination,
                     const TransferOptions& options, RateLimiter& limiter) {
  if (auto dialled = dial(session, destination, options, limiter); !dialled) return dialled;
  std::vector<Lookup> lookups{{.name = destination.directory, .made = {}, .path = {}}};
  if (!destination.control_directory.empty()) {
    lookups.push_back({.name = destination.control_directory, .made = {}, .path = {}});
  }
  if (auto found = look_up(session, lookups); !found) return as_refusal(found.error());
  session.directory = *lookups.front().path;
  session.control_directory = *lookups.back().path;
  return {};
}

Result<Session> open_session(const Destination& destination, const TransferOptions& options,
                             RateLimiter& limiter, StopToken& stop, KnownDirectories known) {
  Session session(stop);
  if (auto dialled = dial(session, destination, options, limiter); !dialled) return dialled.error();
  session.directory = std::move(known.directory);
  session.control_directory = std::move(known.control_directory);
  return session;
}

}  // namespace ferry::transfer
