// The landing areas that a run reads from.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/metastore/records.h"
#include "ferry/sftp/connect.h"
#include "ferry/sftp/task.h"
#include "ferry/transfer/landing_places.h"
#include "transfer/deliver/range_set.h"
#include "transfer/source/source.h"

namespace ferry::transfer {

class SourceOpener;

/// Where sources lie. Does not change: threads may share it.
class LandingRoot {
 public:
  virtual ~LandingRoot() = default;

  /// Opens PATH as it is now.
  virtual sftp::Task<Result<std::unique_ptr<Source>>> open(SourceOpener& sources,
                                                           std::string path) const = 0;
  /// Opens PATH, to read RANGE of it. kAbnormal if it is not EXPECTED.
  virtual sftp::Task<Result<std::unique_ptr<Source>>> open(SourceOpener& sources, std::string path,
                                                           FileIdentity expected,
                                                           Range range) const = 0;
  /// Makes sure that it can be read. kNotFound if it is not there.
  virtual sftp::Task<Result<void>> reach(SourceOpener& sources) const = 0;

  /// False: a file's size and time is all that is known of it. Two pieces of it may be of two
  /// versions then, and what was read is proven by its checksum.
  virtual bool has_inodes() const = 0;

  /// Null: it is on this host.
  virtual const sftp::Location* location() const { return nullptr; }
  bool is_remote() const { return location() != nullptr; }
  /// Of a directory of this host.
  virtual int fd() const { return -1; }

  /// Wholly, as is the directory of a file system which is not mounted.
  virtual bool is_empty() const { return false; }

  /// True if FILE was on another file system than the area itself is, which may not be mounted.
  virtual bool is_elsewhere(const metastore::FileRecord& file) const = 0;

  /// True if FILE is not there, and its file system is not mounted: that proves nothing of it.
  /// Looks on the disk only if it is_elsewhere.
  virtual bool is_unmounted(const metastore::FileRecord& file) const = 0;
};

/// A directory of this host, opened once.
class LocalRoot final : public LandingRoot {
 public:
  explicit LocalRoot(UniqueFd directory);

  sftp::Task<Result<std::unique_ptr<Source>>> open(SourceOpener& sources,
                                                   std::string path) const override;
  sftp::Task<Result<std::unique_ptr<Source>>> open(SourceOpener& sources, std::string path,
                                                   FileIdentity expected,
                                                   Range range) const override;
  sftp::Task<Result<void>> reach(SourceOpener& sources) const override;
  bool has_inodes() const override { return true; }
  int fd() const override { return directory_.get(); }
  bool is_empty() const override;
  bool is_elsewhere(const metastore::FileRecord& file) const override;
  bool is_unmounted(const metastore::FileRecord& file) const override;

 private:
  UniqueFd directory_;
  std::uint64_t device_ = 0;  // none if it cannot be told
};

/// A directory on a server. One area has one LOCATION, which outlives this, under all its names.
class RemoteRoot final : public LandingRoot {
 public:
  explicit RemoteRoot(const sftp::Location& location) : location_(location) {}

  sftp::Task<Result<std::unique_ptr<Source>>> open(SourceOpener& sources,
                                                   std::string path) const override;
  sftp::Task<Result<std::unique_ptr<Source>>> open(SourceOpener& sources, std::string path,
                                                   FileIdentity expected,
                                                   Range range) const override;
  sftp::Task<Result<void>> reach(SourceOpener& sources) const override;
  bool has_inodes() const override { return false; }
  const sftp::Location* location() const override { return &location_; }
  bool is_elsewhere(const metastore::FileRecord&) const override { return false; }
  bool is_unmounted(const metastore::FileRecord&) const override { return false; }

 private:
  const sftp::Location& location_;
};

/// Does not change once it is open: threads may share it.
class LandingRoots {
 public:
  /// PLACES must outlive this.
  static LandingRoots open(const LandingPlaces& places);

  /// Null for one that open was not told of, and for one whose directory cannot be opened.
  const LandingRoot* find(const std::string& landing) const;

  /// Why an area's directory cannot be opened; null if it is open.
  const Error* absence(const std::string& landing) const;

 private:
  std::map<std::string, std::unique_ptr<const LandingRoot>> roots_;
  std::map<std::string, Error> absent_;
};

}  // namespace ferry::transfer
