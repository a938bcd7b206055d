// What a run has to do, file by file, and how it went.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "ferry/metastore/metastore.h"
#include "ferry/transfer/routes.h"
#include "transfer/batch/batch_journal.h"
#include "transfer/deliver/journal.h"
#include "transfer/deliver/range_set.h"
#include "transfer/source/landing_roots.h"
#include "transfer/source/source.h"

namespace ferry::transfer {

/// A file that goes out in chunks, over any number of connections. Guarded by the WorkQueue.
struct Spread {
  std::deque<Range> waiting;  // what nobody is at
  std::size_t in_hand = 0;    // chunks that somebody is at
  RangeSet acknowledged;      // what is at B for good
  std::optional<Journal> journal;
  std::optional<std::uint32_t> modified;  // the part, as the server said when that was at B
};

/// The file at B under which a job's content grows. Each begins with a name that no connection
/// knows of that we have given up: what such a one asked for may still be done, at any time.
struct Part {
  std::string path;           // empty: none was begun
  bool rename_asked = false;  // and the answer not seen: it may have its final name already
  /// What was acknowledged may be lost all the same: the server was not asked to sync it, and the
  /// connection has ended since.
  bool is_doubtful = false;
  /// All of it was sent in one go, and its checksum was that of what was to be sent.
  bool is_proven = false;
};

/// A job whose content is not the source itself, but what transforms make of it, in the spool.
struct Transformed {
  const Route* route = nullptr;  // of the run's routes
  std::string key;               // of the spool
  const LandingRoot* spool = nullptr;
  std::string entry;       // its name in the spool; empty: not made yet
  CheckedSource source;    // what it is made from
  bool is_shared = false;  // another destination may want the same entry
};

class Batch;

/// A file on its way. There are as many at a time as keep the connections busy, and some more.
struct Job {
  std::string id;
  std::string path;                      // relative to its landing area
  const LandingRoot* landing = nullptr;  // of the run's LandingRoots; null: unknown to it
  const Route* route = nullptr;          // of the run's routes; null: none
  std::int64_t attempt = 1;
  std::string batch_id;                      // of the batch that it was claimed for
  Batch* batch = nullptr;                    // the one that it belongs to: the agent's alone to use
  std::optional<BatchJournal::Place> place;  // in the batch's journal; absent: nothing was begun
  BatchJournal::Place noted = 0;             // up to where that tells of its part
  /// What is sent; valid once the source was checked. Where it is transformed: the source itself
  /// until its entry in the spool is made.
  CheckedSource source;
  std::unique_ptr<Transformed> transformed;  // null: the source is sent as it is
  std::string remote_path;                   // absolute
  IfExists if_exists = IfExists::kReplace;
  std::string plain_path;  // what version_name made remote_path of; empty: nothing
  std::chrono::steady_clock::time_point started;
  std::chrono::milliseconds duration{};
  Timestamp finished;

  Part part;
  unsigned parts_begun = 0;
  std::unique_ptr<Spread> spread;      // null: it goes out as a whole
  std::unique_ptr<const Error> error;  // it has failed; chunks that are in hand come to their end
  unsigned tries = 0;                  // failures that were the file's
  unsigned losses = 0;                 // connections that ended under it
  bool has_source_changed = false;     // since it was transformed, or while it was sent in pieces
  bool refused_here = false;           // abnormal for this destination alone: the source stays
  bool is_named_later = false;         // its batch is all or nothing
  bool shares_name = false;            // with an older file of its batch
  bool is_skipped = false;             // B has another file of its name, which stays
};

/// Something of its part is noted for the next run. Once nobody is at it.
inline bool is_resumable(const Job& job) {
  return job.spread && (job.spread->journal || job.spread->acknowledged.size() > 0);
}

/// To look at the source takes no round trip, and shows all that there is to know.
inline bool is_source_at_hand(const Job& job) {
  return job.landing == nullptr || job.landing->has_inodes();
}

// Where to open what is sent.
inline const LandingRoot* content_root(const Job& job) {
  return job.transformed ? job.transformed->spool : job.landing;
}
/// Two pieces of what is sent are of one version if its identity is the same.
inline bool is_proven_by_identity(const Job& job) {
  const LandingRoot* root = content_root(job);
  return root == nullptr || root->has_inodes();
}
inline const std::string& content_path(const Job& job) {
  return job.transformed ? job.transformed->entry : job.path;
}

}  // namespace ferry::transfer
