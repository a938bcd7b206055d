// Names at the destination that are not to be taken from another file.
//
// SFTP v3 has no call that says "unless it is there" of every server: a plain rename refuses to
// replace with OpenSSH and others (draft-ietf-secsh-filexfer-02 §6.5), and replaces with some. So
// it is looked first, and then renamed plainly: what comes into being in between is safe where the
// server refuses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/task.h"
#include "transfer/deliver/publish.h"

namespace ferry::transfer {

/// Of the name itself, also if it is a link; nothing: nothing has it.
sftp::Task<Result<std::optional<sftp::Attributes>>> look_at(sftp::Client& client, std::string path);

/// What has a name.
enum class Occupant : std::uint8_t {
  kNobody,
  kSame,        // the very content that is to get it: an earlier try may have given it, and died
  kOther,       // anything else, symbolic links and directories too
  kUnreadable,  // a file of that size, which we may not read
};
/// Of TARGET's final name. Reads back what is there if its size is right. Errors: whatever keeps us
/// from knowing.
sftp::Task<Result<Occupant>> occupant_of(sftp::Client& client, Target target);

enum class Publication : std::uint8_t {
  kDone,   // the name has the content; the part is gone
  kTaken,  // by something else; the part is there
};
/// Gives a whole part file its final name unless something else has that.
sftp::Task<Result<Publication>> publish_if_free(sftp::Client& client, Target target);

/// A version's name, see version_name.
struct FreeName {
  std::uint64_t number = 1;
  /// Of the one before it: it has the very content already.
  bool is_there = false;
};
/// The number behind the last version of TARGET's final name. Costs some requests for each doubling
/// of the versions that there are. SUFFIX as in version_name. A version's name is not free either
/// if something has that with SIDECAR_SUFFIX, if there is such.
sftp::Task<Result<FreeName>> find_free_version(sftp::Client& client, Target target,
                                               std::string suffix, std::string_view sidecar_suffix);

}  // namespace ferry::transfer
