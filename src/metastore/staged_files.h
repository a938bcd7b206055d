// Several new files that get their names together: after a crash all of them have, or none.
//
// They are written under temporary names beside their final ones. commit() syncs them, notes in one
// file which names are to be given, gives them in the order of add(), and removes the note. Where a
// crash leaves the note, finish_staged_files() does what is left; without a note the temporary
// files mean nothing. Both are called under the metastore's lock.
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"

namespace ferry::metastore {

/// A file that grows under a temporary name.
class StagedFile {
 public:
  Result<void> append(std::string_view text);

 private:
  friend class StagedFiles;
  Result<void> flush();
  Result<void> sync();

  std::string name_;  // relative to the directory, as is the temporary one
  std::string temporary_;
  fs::path path_;  // of the temporary one
  UniqueFd fd_;
  std::string buffer_;
};

class StagedFiles {
 public:
  /// All names are relative to DIRECTORY; NOTE is in it.
  StagedFiles(fs::path directory, fs::path note);
  StagedFiles(const StagedFiles&) = delete;
  StagedFiles& operator=(const StagedFiles&) = delete;
  ~StagedFiles();  // removes what was not committed

  /// Makes directories where they are missing. The file lives as long as this.
  Result<StagedFile*> add(const std::string& name);

  Result<void> commit();

 private:
  Result<void> write_note() const;

  const fs::path directory_;
  const fs::path note_;
  std::deque<StagedFile> files_;
  bool is_committed_ = false;
};

/// Gives the names that NOTE lists and a crash left ungiven. Does nothing where there is no note.
Result<void> finish_staged_files(const fs::path& directory, const fs::path& note);

}  // namespace ferry::metastore
