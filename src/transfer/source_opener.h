// Opens files of landing areas, wherever these are.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/metastore/records.h"
#include "transfer/landing_roots.h"
#include "transfer/range_set.h"
#include "transfer/remote_reader.h"
#include "transfer/source.h"

namespace ferry::transfer {

/// Belongs to one thread; keeps a connection to each server that it was asked for. What it opened
/// may outlive it.
class SourceOpener {
 public:
  SourceOpener(std::chrono::milliseconds stall_timeout, StopToken& stop)
      : stall_timeout_(stall_timeout), stop_(stop) {}

  /// Opens PATH as it is now. LANDING: null where it is not known.
  Result<std::unique_ptr<Source>> open(const LandingRoot* landing, const std::string& path);

  /// Opens PATH, to read RANGE of it. kAbnormal where it is not EXPECTED; of a file on a server
  /// that is said by the first call that needs an answer from there.
  Result<std::unique_ptr<Source>> open(const LandingRoot* landing, const std::string& path,
                                       const FileIdentity& expected, Range range);

  /// Makes sure of a connection to a remote LANDING.
  Result<void> reach(const LandingRoot& landing);

 private:
  RemoteReader& reader(const LandingRoot& landing);

  const std::chrono::milliseconds stall_timeout_;
  StopToken& stop_;
  std::map<const sftp::Location*, std::unique_ptr<RemoteReader>> readers_;
};

/// Holds an open file against its record, by content unless its identity vouches for it.
/// MEANT becomes the identity of the file that the record means: its own, or that of what is judged
/// if it has none; also if the judgement is an error.
Result<CheckedSource> check_content(Source& source, const metastore::FileRecord& record,
                                    FileIdentity& meant);

/// Holds a file against its record: by identity where the record has one and it is unchanged, else
/// by content. A file on a server whose record has both identity and SHA-256 is taken at its word:
/// it is looked at, and proven, when it is sent. MEANT as above; none if the file cannot be opened
/// and its record has none.
Result<CheckedSource> check_source(SourceOpener& sources, const LandingRoot* landing,
                                   const metastore::FileRecord& record, FileIdentity& meant);

}  // namespace ferry::transfer
