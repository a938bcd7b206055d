// The same for landing areas on servers, many files at once over one connection.
//
// A file is known by its size and the second of its last change, which is all that a server tells.
// Servers may rename by a link and its removal: what one that died left under two names is compared
// by its bytes.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "ferry/base/stop.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/connect.h"
#include "ferry/sftp/event_loop.h"
#include "ferry/sftp/remote_directories.h"
#include "transfer/after_delivery/take_away.h"

namespace ferry::transfer {

class ServerTaker {
 public:
  /// Errors: those of sftp::connect. STOP must outlive the taker.
  static Result<ServerTaker> connect(const sftp::Location& location, StopToken& stop);

  /// Sets each one's outcome and is_under_way; their archives are directories on the same server. A
  /// file that cannot be archived, on another file system for example, has its name back
  /// afterwards. An error if the connection did not survive it, which is then the outcome of
  /// what was not done.
  Result<void> take(std::span<TakeAway* const> files);

 private:
  struct Place {
    std::string name;
    std::string hidden;  // its private name
    /// It had that when it was looked at first: an earlier attempt was cut short.
    bool was_hidden = false;
  };

  ServerTaker(std::unique_ptr<sftp::EventLoop> loop, std::unique_ptr<sftp::Client> client,
              std::string directory);

  sftp::Task<void> lane(std::span<TakeAway* const> files, std::size_t& next);
  sftp::Task<Result<Taken>> take_one(TakeAway& what);
  sftp::Task<Result<Taken>> hide(TakeAway& what, Place& place);
  sftp::Task<Result<Taken>> put_back(TakeAway& what, const Place& place);
  sftp::Task<Result<void>> move_to_archive(const TakeAway& what, const Place& place);
  sftp::Task<Result<bool>> give_name(const Place& place, std::string target);
  sftp::Task<Result<bool>> drop_second_name(const Place& place, std::string other);

  std::unique_ptr<sftp::EventLoop> loop_;
  std::unique_ptr<sftp::Client> client_;
  std::unique_ptr<sftp::RemoteDirectories> directories_;
  std::string directory_;
};

}  // namespace ferry::transfer
