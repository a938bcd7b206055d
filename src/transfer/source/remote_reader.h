// Reads files of a landing area on a server.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ferry/base/result.h"
#include "ferry/sftp/connect.h"
#include "ferry/sftp/event_loop.h"
#include "ferry/sftp/shared_result.h"
#include "transfer/deliver/range_set.h"
#include "transfer/source/source.h"

namespace ferry::transfer {

/// Belongs to an event loop; connects when it is first needed, and anew when the connection was
/// lost. What is read ahead, over all its files, is bounded. Errors of the connection are of kind
/// kUnreachable (try again) or kRefused.
class RemoteReader {
 public:
  /// LOCATION and LOOP must outlive the reader and what it opened.
  RemoteReader(const sftp::Location& location, sftp::EventLoop& loop)
      : location_(location), loop_(loop) {}

  /// Makes sure of a connection, and that the landing area is there. kNotFound if it is not, or is
  /// empty.
  sftp::Task<Result<void>> reach();

  /// Opens PATH to read all of it.
  sftp::Task<Result<std::unique_ptr<Source>>> open(std::string path);
  /// Opens PATH, which has to be EXPECTED, to read RANGE.
  sftp::Task<Result<std::unique_ptr<Source>>> open(std::string path, FileIdentity expected,
                                                   Range range);

 private:
  class Line;
  class File;
  using Connected = Result<std::shared_ptr<Line>>;

  sftp::Task<Connected> line();
  sftp::Task<Connected> connect();

  const sftp::Location& location_;
  sftp::EventLoop& loop_;
  /// Of the last try to connect, or the one under way.
  std::shared_ptr<sftp::SharedResult<Connected>> connected_;
  sftp::EventLoop::Time failed_at_;
};

}  // namespace ferry::transfer
