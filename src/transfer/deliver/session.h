// A connection to a destination, with its directories found or made, and those to the servers that
// what is sent through it is read from.
#pragma once

#include <memory>
#include <string>

#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/event_loop.h"
#include "ferry/sftp/remote_directories.h"
#include "ferry/transfer/agent.h"
#include "ferry/transfer/bandwidth.h"
#include "transfer/source/source_opener.h"
#include "transfer/verify/remote_checksums.h"

namespace ferry::transfer {

struct Session {
  /// Without a connection yet. STOP ends those that it gets; it must outlive the session.
  explicit Session(StopToken& stop);
  Session(Session&&) = default;
  /// What it had goes as in the destructor: each before what it works on.
  Session& operator=(Session&& other) noexcept;

  bool is_connected() const { return client && !client->error() && !loop->stop().stop_requested(); }

  std::unique_ptr<sftp::EventLoop> loop;
  std::unique_ptr<SourceOpener> sources;
  std::unique_ptr<sftp::Client> client;
  std::unique_ptr<sftp::RemoteDirectories> directories;
  std::unique_ptr<RemoteChecksums> checksums;
  std::string directory;          // absolute, as the server spells it
  std::string control_directory;  // likewise
  bool lets_remove = true;        // as far as that was tried
};

/// The directories that a first session found, for further ones.
struct KnownDirectories {
  std::string directory;
  std::string control_directory;
};

/// Belongs to one thread at a time. Errors: those of connect_libssh2; kRefused if a directory
/// cannot be had. LIMITER paces what is written, and must outlive the session. What was spawned on
/// its loop before goes on meanwhile.
Result<void> connect(Session& session, const Destination& destination,
                     const TransferOptions& options, RateLimiter& limiter);

/// A new one, without looking for the directories again.
Result<Session> open_session(const Destination& destination, const TransferOptions& options,
                             RateLimiter& limiter, StopToken& stop, KnownDirectories known);

}  // namespace ferry::transfer
