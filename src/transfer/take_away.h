// Takes files out of a landing area, if they are still the ones that were meant.
#pragma once

#include <string>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/metastore/records.h"

namespace ferry::transfer {

enum class Taken : std::uint8_t {
  kGone,   // it is not there any more
  kNewer,  // another file has its place
  kAway,   // done
};

/// All of these first give the file a hidden name beside its own and look at it again there:
/// whatever takes the name meanwhile is never touched. After a crash in between the next call goes
/// on.

Result<Taken> delete_source(int landing_fd, const metastore::FileRecord& file);

/// Moves it to its path below ARCHIVE, over file systems where need be; where that name is taken,
/// ".<id>" is added.
Result<Taken> archive_source(int landing_fd, const metastore::FileRecord& file,
                             const fs::path& archive);

/// The hidden name, in the file's own directory.
std::string hidden_name(const metastore::FileRecord& file);

/// What is added where a name is taken.
std::string archive_suffix(const metastore::FileRecord& file);

}  // namespace ferry::transfer
