// Takes files out of a landing area of this host, if they are still the ones that were meant.
//
// Who may write to the area can exchange any name there at any moment. So a file is first renamed
// to a name that nobody knows, in its own directory or in the archive, which is ours alone; only
// then it is looked at, and only if it is the right one it is deleted, or gets its name in the
// archive. Whatever takes its name in the area meanwhile is never touched.
#pragma once

#include <set>
#include <span>
#include <string>

#include "ferry/base/result.h"
#include "ferry/metastore/records.h"

namespace ferry::transfer {

enum class Taken : std::uint8_t {
  kGone,   // it is not there any more
  kNewer,  // another file has its place
  kAway,   // done
};

/// What is to be done with a delivered file, and how it went.
struct TakeAway {
  metastore::FileRecord file{};
  std::string archive{};       // a directory; empty: delete the file
  std::string private_name{};  // what it is called on its way: make_private_name
  /// It may have its private name: a later call with the same values goes on.
  bool is_under_way = false;
  Result<Taken> outcome = Error{ErrorKind::kCancelled, "not begun", 0};

  bool deletes() const { return archive.empty(); }
};

std::string make_private_name();

/// Sets WHAT's outcome and is_under_way. To the archive it goes over file systems if need be; the
/// content of a copy is proven by the registry's checksum.
void take_away(int landing_fd, TakeAway& what);

/// Makes durable what became of those FILES that are away.
Result<void> sync_taken(int landing_fd, std::span<TakeAway* const> files);

}  // namespace ferry::transfer
