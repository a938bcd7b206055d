// Several new files that get their names together: after a crash all of them have, or none.
//
// They are written under temporary names beside their final ones, which needs no lock. commit()
// notes in one file which names are to be given, gives them in the order of add(), and removes the
// note. Where a crash leaves the note, finish_staged_files() does what is left; without a note the
// temporary files mean nothing. Both are called under the metastore's lock.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "ferry/base/lock.h"
#include "ferry/base/result.h"
#include "metastore/jsonl/tables/directory.h"

namespace ferry::metastore {

/// A file that grows under a temporary name.
class StagedFile {
 public:
  Result<void> append(std::string_view text);
  /// With what append() has kept back.
  Result<void> flush();
  const std::string& temporary_name() const { return temporary_; }
  std::uint64_t size() const { return size_; }

 private:
  friend class StagedFiles;
  Result<void> sync();

  std::string name_;
  std::string temporary_;
  std::string shown_;
  std::optional<FileLock> lock_;  // holds the file open, and shows that it is not left over
  std::string buffer_;
  std::uint64_t size_ = 0;
};

class StagedFiles {
 public:
  /// NOTE is the name of the file that notes the names. DIRECTORY outlives this.
  StagedFiles(const Directory& directory, std::string note);
  StagedFiles(const StagedFiles&) = delete;
  StagedFiles& operator=(const StagedFiles&) = delete;
  ~StagedFiles();  // removes what was not committed

  /// Makes folders if they are missing. The file lives as long as this.
  Result<StagedFile*> add(const std::string& name);
  /// Makes durable what was written so far: what commit() finds done it need not do.
  Result<void> sync();

  Result<void> commit();

 private:
  Result<void> check_all_there() const;
  Result<void> write_note() const;
  Result<void> take_back_note() const;

  const Directory& directory_;
  const std::string note_;
  std::deque<StagedFile> files_;
  bool may_be_noted_ = false;
};

/// Gives the names that NOTE lists and a crash left ungiven. Does nothing if there is no note.
/// kCorrupt if it lists names that no compaction gives.
Result<void> finish_staged_files(const Directory& directory, const std::string& note);

/// That finish_staged_files could read NOTE, if there is one. Changes nothing.
Result<void> check_staged_files(const Directory& directory, const std::string& note);

/// Removes a file that whoever made it, and locked it, left behind. Under the metastore's lock.
void remove_if_dead(const Directory& directory, const std::string& name);
/// All temporary ones.
void remove_staged_files(const Directory& directory);

}  // namespace ferry::metastore
