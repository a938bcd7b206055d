// What of a file B has acknowledged and keeps, so that the next run goes on from there.
//
// One file for each delivery, named after file and destination: a header line that says for which
// source it holds and in which part file the bytes are, then one line for each range. Lines are
// appended and not synced: what a power cut takes away is sent once more. Anything unreadable
// counts as not there; a last line that was cut off, as not written.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/result.h"
#include "transfer/deliver/range_set.h"

namespace ferry::transfer {

/// A journal holds only if all of this is the same.
struct JournalKey {
  std::string id;
  std::string destination;
  std::string final_path;
  FileIdentity source;
  Checksum checksum;
};

class Journal {
 public:
  /// What an earlier run left.
  struct Past {
    std::string part_path;
    RangeSet acknowledged = {};
    bool rename_asked = false;  // and its answer is not known
    /// The server was not asked to sync some of it, or had less, or older, when it was looked at.
    bool is_doubtful = false;
    /// What the server said, last, of when the part was written to.
    std::optional<std::uint32_t> modified = {};
  };

  /// Nothing if there is no journal in DIRECTORY, or one for another source.
  static std::optional<Past> load(const fs::path& directory, const JournalKey& key);

  /// The part file that a journal speaks of, for whatever source; empty: there is none.
  static std::string part_path_in(const fs::path& directory, const std::string& id,
                                  const std::string& destination);

  /// The part files that the journals in DIRECTORY speak of, at whatever destination. An error:
  /// nobody knows.
  static Result<std::set<std::string>> parts_in(const fs::path& directory);

  /// Begins a journal for PART_PATH; an older one is replaced.
  static Result<Journal> begin(const fs::path& directory, const JournalKey& key,
                               const std::string& part_path);
  /// Goes on with the one that load found.
  static Result<Journal> resume(const fs::path& directory, const JournalKey& key);

  /// Removes the journal of a file that needs none any more. It need not be there.
  static void remove(const fs::path& directory, const std::string& id,
                     const std::string& destination);

  /// MODIFIED: what the server says since of when the part was last written to.
  Result<void> add(Range acknowledged, bool is_synced, std::optional<std::uint32_t> modified);
  Result<void> add_rename_asked();
  /// B's part cannot have all that is noted.
  Result<void> add_doubt();

 private:
  Journal(UniqueFd fd, fs::path path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  fs::path path_;
};

}  // namespace ferry::transfer
