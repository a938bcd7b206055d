// What a process is about to do, on disk before it does it, so that whoever comes after its death
// can undo or finish it.
//
// One file for each undertaking, in a directory of their own on a local file system: lines of text,
// appended and synced one by one, the file locked for as long as the process lives.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ferry/base/file.h"
#include "ferry/base/lock.h"
#include "ferry/base/result.h"

namespace ferry {

class IntentLog {
 public:
  /// Makes a file that begins with LINE, which comes without its '\n', and DIRECTORY if it is
  /// missing. On stable storage when it returns, as with append.
  static Result<IntentLog> create(const fs::path& directory, std::string_view line);

  Result<void> append(std::string_view line);

  /// All is done. Otherwise the file stays, and is an orphan once this object is gone.
  void remove();

  struct Orphan {
    fs::path path;
    FileLock lock;     // until it goes, nobody else has the orphan
    std::string text;  // a last line without '\n' was not finished
  };
  /// Shows VISITOR the files in DIRECTORY whose processes have died, one by one: there may be many.
  /// Its error ends the visit. None if there is no such directory.
  static Result<void> visit_orphans(const fs::path& directory,
                                    const std::function<Result<void>(const Orphan&)>& visitor);

 private:
  IntentLog(fs::path path, FileLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  fs::path path_;
  FileLock lock_;
};

}  // namespace ferry
