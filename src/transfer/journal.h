// What of a file B has acknowledged, kept so that the next run goes on from there.
//
// One file a delivery, <id>@<hash of the destination>.jsonl: a header line that says for which
// source and which part file it holds, then one line for each range. Lines are appended and not
// synced: what a power cut takes away is sent once more. Anything unreadable counts as not there.
#pragma once

#include <string>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/result.h"
#include "transfer/range_set.h"

namespace ferry::transfer {

/// A journal holds only where all of this is the same.
struct JournalKey {
  std::string id;
  std::string destination;
  std::string part_path;
  FileIdentity source;
  Checksum checksum;
};

class Journal {
 public:
  /// What an earlier run left for KEY in DIRECTORY.
  struct Past {
    RangeSet acknowledged;
    bool publishing = false;  // the rename was asked for; its answer is not known
  };

  /// No past where there is no journal, or one for another source.
  static Past load(const fs::path& directory, const JournalKey& key);

  /// Goes on with KEY's journal where load would have found a past, else starts an empty one.
  static Result<Journal> open(const fs::path& directory, const JournalKey& key);

  /// Whether an earlier run left a journal, for whatever source.
  static bool exists(const fs::path& directory, const std::string& id,
                     const std::string& destination);

  /// Removes the journal of a file that needs none any more. It need not be there.
  static void remove(const fs::path& directory, const std::string& id,
                     const std::string& destination);

  Result<void> add(Range acknowledged);
  Result<void> add_publishing();

 private:
  Journal(UniqueFd fd, fs::path path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  fs::path path_;
};

}  // namespace ferry::transfer
