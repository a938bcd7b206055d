// The metastore's directory, held open.
//
// Everything in it is reached beneath this descriptor and through no symbolic link, and what is
// opened is a regular file: nobody who may write there leads us elsewhere, or keeps us waiting at a
// FIFO. What we make is as readable as the directory is, and no more: 0600 in one of 0700, 0640 in
// one of 0750.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"

namespace ferry::metastore {

/// Names are relative, with '/' between folders. Thread-safe.
class Directory {
 public:
  static Result<Directory> open(const fs::path& path);
  /// Makes it, with its parents: nobody but its owner gets in as long as they do not let others.
  static Result<Directory> make(const fs::path& path);

  int fd() const { return fd_.get(); }
  const fs::path& path() const { return path_; }
  /// For messages.
  std::string shown(std::string_view name) const;

  /// FLAGS as for open(2).
  Result<UniqueFd> open_file(const std::string& name, int flags) const;
  /// The same for a lock file: nobody but its owner may open it, for whoever may can hold it.
  Result<UniqueFd> open_lock(const std::string& name) const;
  /// NAME lies in the directory itself. Nothing if it is not there.
  Result<std::optional<struct stat>> look(const std::string& name) const;
  /// The names in a folder; none if there is no such folder.
  Result<std::vector<std::string>> list(const std::string& folder) const;
  Result<std::string> read(const std::string& name) const;

  /// With its parents, if they are missing.
  Result<void> make_folder(const std::string& name) const;
  /// False: there was no such name.
  Result<bool> remove(const std::string& name) const;
  Result<bool> rename(const std::string& from, const std::string& to) const;
  /// Makes names in FOLDER ("" is the directory itself) durable.
  Result<void> sync(const std::string& folder) const;
  /// In one step and durably: a temporary file, fsync, rename, fsync of the folder. The caller
  /// holds the lock: the temporary name is always the same, so that a crash leaves one at most.
  Result<void> replace(const std::string& name, std::string_view content) const;

 private:
  friend class AsOwner;
  Directory(fs::path path, UniqueFd fd, const struct stat& status);

  Result<UniqueFd> open_beneath(const std::string& name, int flags, mode_t mode) const;
  Result<UniqueFd> open_folder(const std::string& name) const;
  Error failed(std::string_view verb, const std::string& name) const;  // for errno

  fs::path path_;
  UniqueFd fd_;
  uid_t owner_;
  gid_t group_;
  mode_t file_mode_;
};

/// While it lives, this thread has the rights of the directory's owner if it has those of root:
/// what it makes belongs to them, and it reaches nothing that they could not.
class AsOwner {
 public:
  explicit AsOwner(const Directory& directory);
  AsOwner(const AsOwner&) = delete;
  AsOwner& operator=(const AsOwner&) = delete;
  ~AsOwner();

 private:
  bool is_other_ = false;
};

}  // namespace ferry::metastore
