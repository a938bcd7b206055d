// Whether what is written to a file through several handles ends up in it.
//
// Not everywhere: with some servers opening a file empties it, or each handle is a file of its own
// until it is closed, or a second one is refused, or bytes have to come in order. Nothing tells but
// trying.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/event_loop.h"
#include "ferry/sftp/task.h"

namespace ferry::transfer {

/// Tries it with a small file PATH, which is removed again: writes through two handles in turn, and
/// through a third that is opened once they are closed, and reads it back. Errors are those of the
/// connection, and of a directory in which no file can be made.
sftp::Task<Result<bool>> try_many_handles(sftp::Client& client, std::string path);

/// What was found out about destinations' servers, one file each in a directory.
class KnownServers {
 public:
  explicit KnownServers(fs::path directory) : directory_(std::move(directory)) {}

  /// Tries it unless it is known of DESTINATION with exactly this server, and remembers it. Errors:
  /// those of the connection; another if it cannot be found out now, kBusy if somebody else is
  /// trying it.
  sftp::Task<Result<bool>> takes_many_handles(sftp::Client& client, std::string destination,
                                              std::string remote_directory) const;

  /// Whether a file that a server was tried with may still be at DESTINATION, or come into being
  /// there: of a connection that was lost meanwhile the server may work off requests later.
  bool has_remains(const std::string& destination) const;
  /// Removes what there is of them now. Errors: those of the connection.
  sftp::Task<Result<void>> remove_remains(sftp::Client& client, std::string destination) const;

 private:
  fs::path file_of(const std::string& destination) const;
  fs::path note_of(const std::string& destination) const;
  std::vector<fs::path> remains_of(const std::string& destination) const;
  void adopt_remains(const std::string& destination) const;
  sftp::Task<Result<bool>> try_now(sftp::Client& client, std::string destination,
                                   std::string remote_directory) const;

  fs::path directory_;
};

/// What an agent needs to know of its destination's server, found out when it first does. The
/// members are thread-safe.
class ManyHandles {
 public:
  ManyHandles(KnownServers servers, std::string destination)
      : servers_(std::move(servers)), destination_(std::move(destination)) {}

  /// As KnownServers::takes_many_handles, once: who asks meanwhile waits for that.
  sftp::Task<Result<bool>> ask(sftp::Client& client, sftp::EventLoop& loop,
                               std::string remote_directory);

 private:
  class Asking;

  const KnownServers servers_;
  const std::string destination_;
  std::mutex mutex_;
  std::condition_variable asked_;
  bool is_asking_ = false;
  std::optional<bool> known_;
};

}  // namespace ferry::transfer
