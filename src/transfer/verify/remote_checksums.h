// Checksums of files at the destination, worked out there by a command such as sha256sum(1).
//
// The commands get connections of their own, each for one command and as short as that. The SFTP
// connection has an event loop that must not wait for a login or for the hashing of a large file,
// and a server may well let an account open only one session a connection. What that costs is
// shared: a command gets all the files that came together while the one before it ran.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/hash.h"
#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/connect.h"
#include "ferry/sftp/shared_result.h"
#include "ferry/sftp/task.h"

namespace ferry::transfer {

/// The checksums at the beginning of lines of OUTPUT, in order: what sha256sum(1) and its kin
/// write. Other lines, of a login banner for example, are left out. Pure.
std::vector<Checksum> checksums_in(std::string_view output);

/// Belongs to its client, whose tasks wait for it.
class RemoteChecksums {
 public:
  /// COMMAND is an argument vector; the files' paths are appended. STALL_TIMEOUT is how long it may
  /// take beside the time for the bytes.
  RemoteChecksums(sftp::Client& client, sftp::ConnectOptions account,
                  std::vector<std::string> command)
      : client_(client), account_(std::move(account)), command_(std::move(command)) {}

  /// Of the file PATH of SIZE bytes. Errors: kUnreachable if no connection was to be had, or it
  /// did not last; kFailed, with what to do, where the command gives no checksum; kCancelled.
  sftp::Task<Result<Checksum>> of(std::string path, std::uint64_t size);

 private:
  struct Request {
    std::string path;
    std::uint64_t size = 0;
    sftp::SharedResult<Result<Checksum>> result;
  };
  using Results = std::vector<Result<Checksum>>;

  sftp::Task<void> serve();
  std::vector<Request*> take_group();
  sftp::Task<Results> run_beside(const std::vector<Request*>& group);
  static sftp::Task<void> stop_if_lost(sftp::Client& client, StopToken& stop, bool& is_done);
  Results run(const std::vector<Request*>& group, StopToken& stop) const;  // blocks

  sftp::Client& client_;
  const sftp::ConnectOptions account_;
  const std::vector<std::string> command_;
  std::deque<Request*> waiting_;  // each in the frame of its task
  bool is_serving_ = false;
};

}  // namespace ferry::transfer
