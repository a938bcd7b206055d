#include "transfer/session.h"

namespace ferry::transfer {
namespace {

using sftp::Task;

Task<Result<std::string>> find_or_make(Session& session, std::string directory) {
  const auto there = co_await session.directories->ensure(directory);
  if (!there) co_return there.error();
  co_return co_await session.client->realpath(directory);
}

Task<void> find_directories(Session& session, const Destination& destination,
                            Result<void>& outcome) {
  const auto directory = co_await find_or_make(session, destination.directory);
  if (!directory) {
    outcome = directory.error();
    co_return;
  }
  session.directory = *directory;
  session.control_directory = *directory;
  if (destination.control_directory.empty()) co_return;
  const auto control = co_await find_or_make(session, destination.control_directory);
  if (!control) {
    outcome = control.error();
    co_return;
  }
  session.control_directory = *control;
}

/// Without its directories a destination is as good as closed to us.
Error as_refusal(Error error) {
  if (error.kind == ErrorKind::kDenied || error.kind == ErrorKind::kFailed ||
      error.kind == ErrorKind::kNotFound) {
    error.kind = ErrorKind::kRefused;
  }
  return error;
}

}  // namespace

Result<Session> open_session(const Destination& destination, const TransferOptions& options,
                             RateLimiter& limiter, StopToken& stop, KnownDirectories known) {
  sftp::ClientOptions client_options;
  client_options.window_bytes = options.limits.window_bytes;
  client_options.stall_timeout = options.limits.stall_timeout;
  if (!destination.bandwidth.is_off()) {
    client_options.pace = [&limiter](std::size_t bytes) { return limiter.reserve(bytes); };
  }
  auto client = sftp::Client::connect(destination.connect, client_options, stop);
  if (!client) return client.error();
  Session session{.client = std::move(*client),
                  .directories = nullptr,
                  .checksums = nullptr,
                  .directory = std::move(known.directory),
                  .control_directory = std::move(known.control_directory)};
  session.directories = std::make_unique<sftp::RemoteDirectories>(*session.client);
  session.checksums = std::make_unique<RemoteChecksums>(
      *session.client, destination.connect, options.verify_command, options.limits.stall_timeout);
  return session;
}

Result<Session> open_session(const Destination& destination, const TransferOptions& options,
                             RateLimiter& limiter, StopToken& stop) {
  auto session = open_session(destination, options, limiter, stop, {});
  if (!session) return session;
  Result<void> outcome;
  session->client->spawn(find_directories(*session, destination, outcome));
  if (auto ran = session->client->run(); !ran) return ran.error();
  if (!outcome) return as_refusal(outcome.error());
  return session;
}

}  // namespace ferry::transfer
