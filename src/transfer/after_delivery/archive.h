// A directory of this host where delivered files are kept, and how they come into it.
//
// It is ours alone (base/directory.h). Files arrive under private names in .arriving and get their
// own when it is certain which they are.
#pragma once

#include <string>

#include "ferry/base/directory.h"
#include "ferry/base/fd.h"
#include "ferry/base/result.h"
#include "ferry/metastore/records.h"

namespace ferry::transfer {

class Archive {
 public:
  /// Makes DIRECTORY if it is missing. kDenied if it is not ours.
  static Result<Archive> open(const fs::path& directory);

  int arriving() const { return arriving_.get(); }

  /// Opens the directory that FILE belongs in, and makes those that are missing.
  Result<Entry> place_for(const metastore::FileRecord& file) const;

  /// Copies FILE, which lies at FROM, to NAME in .arriving: whole, synced, and with the checksum
  /// that the registry has. Nothing is left of one that failed. kAbnormal if FROM has another file,
  /// or other bytes.
  Result<void> copy(const Entry& from, const metastore::FileRecord& file,
                    const std::string& name) const;

  /// Gives what NAME is in .arriving the name that FILE has at PLACE, or one with its id.
  Result<void> give_name(const std::string& name, const Entry& place,
                         const metastore::FileRecord& file) const;

 private:
  Archive(UniqueFd directory, UniqueFd arriving)
      : directory_(std::move(directory)), arriving_(std::move(arriving)) {}

  UniqueFd directory_;
  UniqueFd arriving_;
};

/// Reads an open file and holds it against the registry's checksum.
Result<bool> has_registered_content(int fd, const metastore::FileRecord& file);

/// NAME with FILE's id, as a file is called whose name is taken.
std::string with_id(const std::string& name, const metastore::FileRecord& file);

}  // namespace ferry::transfer
