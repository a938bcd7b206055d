// One file onto the server: part file, writes, verification, and only then the final name.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/task.h"
#include "ferry/transfer/agent.h"
#include "transfer/deliver/session.h"

namespace ferry::transfer {

/// A part file and the name that it is to get; both in one directory, which exists.
struct Target {
  std::string part_path;
  std::string final_path;
  std::uint64_t size = 0;
  Checksum sha256;
};

/// Whether part files are synced.
bool wants_sync(const sftp::Client& client, Fsync fsync);

/// Opens the part file for writing, made if it is missing. With kTruncate what it had is gone.
enum class Existing : std::uint8_t { kKeep, kTruncate };
sftp::Task<Result<sftp::Handle>> open_part(sftp::Client& client, const Target& target,
                                           Existing existing);

/// fsync, where wanted and offered.
sftp::Task<Result<void>> sync_part(sftp::Client& client, const sftp::Handle& handle, Fsync fsync);

/// Gives a whole part file its final name. On an error that name is what it was before.
sftp::Task<Result<void>> rename_part(sftp::Client& client, const Target& target);

/// kFailed if the server's part file is not what the target wants, as far as VERIFY looks.
sftp::Task<Result<void>> verify_part(Session& session, const Target& target, Verify verify);

/// What became of a rename whose answer was lost.
enum class RenameFate : std::uint8_t {
  kDone,     // the final name has exactly what was sent
  kPending,  // the part file is still there: it can be renamed again
  kVoid,     // there is no part file, and under the final name, if anything, something else
  /// There is no part file, and what has the final name has the size of what was sent and may not
  /// be read. If the rename was asked for, or the name was free, it is what was sent.
  kUnreadable,
};
/// Reads the file back if nothing else tells: that a name is there, with the right size, does not
/// mean that we gave it.
sftp::Task<Result<RenameFate>> fate_of_rename(sftp::Client& client, const Target& target);

/// SSH_FX_FAILURE says nothing; the free space may: kRemoteFull in place of kFailed if it does.
sftp::Task<Error> explain(sftp::Client& client, Error error, const Target& target);

struct Content {
  sftp::ByteSource source;
  sftp::OnAcknowledged on_acknowledged;
};

/// Writes a part file from beginning to end, synced and verified as OPTIONS say. On an error it is
/// removed again as far as the connection allows; kRemoteFull if the server has no space.
sftp::Task<Result<void>> upload_part(Session& session, const Target& target, const Content& content,
                                     const TransferOptions& options);

}  // namespace ferry::transfer
