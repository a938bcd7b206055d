// Reads files of a landing area on a server, for a thread that waits for each piece.
//
// Opening a file only sends the requests: by the time that its bytes are wanted they are on their
// way, and so are those of all other files that the thread has opened meanwhile. Memory is bounded
// by the budget of the connection.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/sftp/connect.h"
#include "transfer/range_set.h"
#include "transfer/source.h"

namespace ferry::transfer {

/// Belongs to one thread; connects when it is first needed, and anew when the connection was lost.
/// Errors of the connection are of kind kUnreachable (try again) or kRefused.
class RemoteReader {
 public:
  /// LOCATION and STOP must outlive the reader and what it opened.
  RemoteReader(const sftp::Location& location, std::chrono::milliseconds stall_timeout,
               StopToken& stop)
      : location_(location), stall_timeout_(stall_timeout), stop_(stop) {}

  /// Makes sure of a connection.
  Result<void> reach();

  /// RANGE: what will be read; counts only with EXPECTED.
  Result<std::unique_ptr<Source>> open(const std::string& path,
                                       const std::optional<FileIdentity>& expected, Range range);

 private:
  class Line;
  class File;
  struct Opening;

  Result<std::shared_ptr<Line>> line();

  const sftp::Location& location_;
  const std::chrono::milliseconds stall_timeout_;
  StopToken& stop_;
  std::shared_ptr<Line> line_;
  std::optional<Error> failure_;  // of the last try to connect
  std::chrono::steady_clock::time_point failed_at_;
};

}  // namespace ferry::transfer
