// What an upload is about to do, as an intent log (base):
//
//   {"landing":"in","place":"/srv/in","root":131074}      the directory's inode
//   {"temporary":"a/.upload-….part"}                      before each temporary file is made
//   {"no_clobber":false,"commit":[{"path":"a/b.csv","temporary":…,"checksum":…,"size":…,…,
//     "replaces":{…}}]}      what had the path then; without: nothing
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/intent_log.h"
#include "landing/upload/upload_place.h"

namespace ferry::landing {

/// What a journal says.
struct UploadPlan {
  std::string landing;
  std::string place;                    // the area's directory or URL
  std::optional<std::uint64_t> root{};  // see UploadPlace::root
  std::vector<std::string> temporaries;
  /// What was to get its name, once that was decided.
  std::optional<std::vector<StagedFile>> committed;
  bool no_clobber = false;
};

/// Pure. A last line that was torn by a crash counts as not written; so does all behind a line that
/// cannot be read.
UploadPlan parse_upload_plan(std::string_view text);

class UploadJournal {
 public:
  static Result<UploadJournal> create(const fs::path& directory, const std::string& landing,
                                      const std::string& place, std::optional<std::uint64_t> root);

  /// Each returns when it is on stable storage.
  Result<void> note_temporary(const std::string& temporary);
  Result<void> note_commit(std::span<const StagedFile> files, bool no_clobber);

  /// All is done.
  void remove() { log_.remove(); }

 private:
  explicit UploadJournal(IntentLog log) : log_(std::move(log)) {}

  IntentLog log_;
};

}  // namespace ferry::landing
