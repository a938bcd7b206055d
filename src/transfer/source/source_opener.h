// Opens files of landing areas, wherever these are.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "ferry/base/result.h"
#include "ferry/metastore/records.h"
#include "ferry/sftp/event_loop.h"
#include "transfer/deliver/range_set.h"
#include "transfer/source/landing_roots.h"
#include "transfer/source/remote_reader.h"
#include "transfer/source/source.h"

namespace ferry::transfer {

/// Belongs to an event loop; keeps a connection to each server that it was asked for. What it
/// opened may outlive it.
class SourceOpener {
 public:
  explicit SourceOpener(sftp::EventLoop& loop) : loop_(loop) {}

  sftp::EventLoop& loop() { return loop_; }

  /// Opens PATH as it is now. LANDING: null if it is not known.
  sftp::Task<Result<std::unique_ptr<Source>>> open(const LandingRoot* landing, std::string path);

  /// Opens PATH, to read RANGE of it. kAbnormal if it is not EXPECTED.
  sftp::Task<Result<std::unique_ptr<Source>>> open(const LandingRoot* landing, std::string path,
                                                   FileIdentity expected, Range range);

  /// Of the server at LOCATION, which outlives this.
  RemoteReader& reader(const sftp::Location& location);

 private:
  sftp::EventLoop& loop_;
  std::map<const sftp::Location*, std::unique_ptr<RemoteReader>> readers_;
};

/// Holds an open file against its record, by content unless its identity vouches for it.
/// MEANT becomes the identity of the file that the record means: its own, or that of what is judged
/// if it has none; also if the judgement is an error.
sftp::Task<Result<CheckedSource>> check_content(Source& source, const metastore::FileRecord& record,
                                                FileIdentity& meant);

/// The same of a file on this host, for those who have no loop.
Result<CheckedSource> check_local_content(Source& source, const metastore::FileRecord& record);

/// Holds a file against its record: by identity if the record has one and it is unchanged, else
/// by content. Where there are no inodes a record that has both identity and SHA-256 is taken at
/// its word: the file is looked at, and proven, when it is sent. MEANT as above; none if the file
/// cannot be opened and its record has none.
sftp::Task<Result<CheckedSource>> check_source(SourceOpener& sources, const LandingRoot* landing,
                                               const metastore::FileRecord& record,
                                               FileIdentity& meant);

}  // namespace ferry::transfer
