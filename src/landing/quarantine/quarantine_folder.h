// The directory that abnormal files are moved to, with a note beside each. Knows no registry.
//
// It is ours alone (directory.h): who may write to a landing area can neither exchange what is held
// nor lay anything in the way of a note.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferry/landing/quarantine.h"
#include "landing/quarantine/release_mark.h"

namespace ferry::landing {

/// See wants_another_name(): why no file is put back to PATH.
Error name_taken(const std::string& path);

class QuarantineFolder {
 public:
  /// AREA's, made if missing. kInvalid if it is on another file system than the area, kDenied
  /// where it is not ours.
  static Result<QuarantineFolder> make(const LandingArea& area);
  /// Nothing if there is none yet.
  static Result<std::optional<QuarantineFolder>> find(const LandingArea& area);

  /// Where AREA's is, or would be.
  static fs::path path_of(const LandingArea& area);

  /// True if there certainly is none yet; ROOT_FD is the area's. Cheaper than to look for it.
  static bool is_absent(const LandingArea& area, int root_fd);

  /// Moves what is at FILE.path aside, with a note that has FILE's id, path, reason and registered;
  /// the rest is looked up. Where EXPECTED is given it must be that file, whatever its ctime: kBusy
  /// if another has taken its place, kNotFound if nothing is there. Doing it again after a crash
  /// completes it.
  Result<void> take(const HeldFile& file, const std::optional<FileIdentity>& expected);

  /// What is there, as the notes tell, oldest first. Notes without a file do not count.
  Result<std::vector<HeldFile>> list() const;

  /// The file itself, opened for reading. kAbnormal if it is not a regular one.
  Result<UniqueFd> open_file(const HeldFile& file) const;

  /// Moves FILE to PATH in the area. kInvalid if PATH is taken.
  Result<void> put_back(const HeldFile& file, const std::string& path);

  /// Removes what is noted of a file that is not here any more. What is left of that after an error
  /// does no harm: without its file it is not listed.
  Result<void> forget(const std::string& id) const;

  /// Deletes FILE and its note.
  Result<void> remove(const HeldFile& file);

  // Marks of files that were let go (release_mark.h).

  /// Durably, before the file with this identity is moved.
  Result<void> mark(const FileIdentity& identity, const ReleaseMark& mark);
  Result<std::optional<ReleaseMark>> find_mark(const FileIdentity& identity) const;
  /// All that are there, by the names that release_mark_name gives.
  Result<std::vector<std::pair<std::string, ReleaseMark>>> marks() const;
  /// Without one it does nothing.
  void remove_mark(const std::string& name);

 private:
  QuarantineFolder(std::string landing, fs::path path, UniqueFd root, UniqueFd folder)
      : landing_(std::move(landing)),
        path_(std::move(path)),
        root_(std::move(root)),
        folder_(std::move(folder)) {}

  static Result<UniqueFd> open_folder(const LandingArea& area, int root_fd, bool make);
  static Result<std::optional<QuarantineFolder>> open(const LandingArea& area, bool make);
  Result<UniqueFd> open_entry(const HeldFile& file) const;
  Result<std::vector<std::string>> names_with(std::string_view suffix) const;
  /// The beginning of a file of ours; nothing if there is none of this name.
  Result<std::optional<std::string>> read_text(const std::string& name) const;
  /// Nothing if NAME is not a note, or its file is not there.
  Result<std::optional<HeldFile>> read_note(const std::string& name) const;

  std::string landing_;
  fs::path path_;
  UniqueFd root_;
  UniqueFd folder_;
};

}  // namespace ferry::landing
