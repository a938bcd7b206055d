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
#include "transfer/journal.h"
#include "transfer/landing_roots.h"
#include "transfer/range_set.h"
#include "transfer/source.h"

namespace ferry::transfer {

/// A file that goes out in chunks, over any number of connections. Guarded by the WorkQueue.
struct Spread {
  std::deque<Range> waiting;  // chunks that nobody is at
  std::size_t in_hand = 0;    // chunks that somebody is at
  std::optional<Journal> journal;
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

/// Small: a run may have very many.
struct Job {
  std::string id;
  std::string path;                      // relative to its landing area
  const LandingRoot* landing = nullptr;  // of the run's LandingRoots; null: unknown to it
  std::int64_t attempt = 1;
  /// What is sent; valid once the source was checked. Where it is transformed: the source itself
  /// until its entry in the spool is made.
  CheckedSource source;
  std::unique_ptr<Transformed> transformed;  // null: the source is sent as it is
  std::string remote_path;                   // absolute
  std::chrono::steady_clock::time_point started;
  std::chrono::milliseconds duration{};
  Timestamp finished;

  std::unique_ptr<Spread> spread;      // null: it goes out as a whole
  std::unique_ptr<const Error> error;  // it has failed; chunks that are in hand come to their end
  bool ended = false;                  // delivered, or failed and nobody is at it any more
  unsigned tries = 0;                  // failures that were the file's
  unsigned losses = 0;                 // connections that ended under it
  bool target_existed = false;         // kAllOrNothing: not ours to remove
  bool uploaded = false;               // the part file is whole at B and waits for the others'
  /// The rename was asked for; if its answer got lost the file may be there already.
  bool publishing = false;
  bool refused_here = false;  // abnormal for this destination alone: the source stays
};

inline bool is_content_known(const Job& job) {
  return !job.transformed || !job.transformed->entry.empty();
}

// Where to open what is sent.
inline const LandingRoot* content_root(const Job& job) {
  return job.transformed ? job.transformed->spool : job.landing;
}
inline const std::string& content_path(const Job& job) {
  return job.transformed ? job.transformed->entry : job.path;
}

inline bool goes_out_in_chunks(const Job& job) {
  return job.source.identity.size > kMinChunkBytes;
}

}  // namespace ferry::transfer
