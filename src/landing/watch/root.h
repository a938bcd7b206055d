// The directory that a landing area's path leads to at present.
//
// No descriptor is kept open between uses: it would keep the file system from being unmounted.
#pragma once

#include <optional>
#include <string>

#include "ferry/base/file.h"
#include "ferry/base/result.h"

namespace ferry::landing {

class Root {
 public:
  /// kNotFound, kDenied, or kInvalid if it is not a directory.
  static Result<Root> find(const fs::path& path);

  /// Opens the directory for reading; kNotFound if the path leads to another one by now.
  Result<UniqueFd> open() const;

  const fs::path& path() const { return path_; }
  ino_t inode() const { return inode_; }
  /// False on file systems whose other clients' changes cause no events here (NFS, SMB, FUSE, …);
  /// leases and our clock tell nothing about them either.
  bool is_local() const { return local_; }
  bool same_directory(const Root& other) const {
    return device_ == other.device_ && inode_ == other.inode_;
  }

 private:
  Root(fs::path path, const struct stat& status, bool local)
      : path_(std::move(path)), device_(status.st_dev), inode_(status.st_ino), local_(local) {}

  fs::path path_;
  dev_t device_;
  ino_t inode_;
  bool local_;
};

/// For a few looks one after another.
struct OpenRoot {
  explicit OpenRoot(const Root& opened) : root(opened), fd(opened.open()) {}

  const Root& root;
  Result<UniqueFd> fd;
};

/// statfs(2)'s f_type of a file system that changes behind the kernel's back.
bool is_remote_file_system(long type);

}  // namespace ferry::landing
