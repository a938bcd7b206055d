// From a claim to a job: where the file lies, what is sent, under which name.
#pragma once

#include <memory>

#include "ferry/metastore/metastore.h"
#include "transfer/batch/batch.h"
#include "transfer/deliver/job.h"
#include "transfer/deliver/preparation.h"
#include "transfer/source/landing_roots.h"
#include "transfer/source/source_opener.h"
#include "transfer/source/spool.h"

namespace ferry::transfer {

/// Belongs to one thread.
class Intake {
 public:
  /// SPOOL: null if no route transforms. All outlive this object.
  Intake(const Destination& destination, const TransferOptions& options, const LandingRoots& roots,
         SourceOpener& sources, Spool* spool)
      : destination_(destination),
        options_(options),
        roots_(roots),
        sources_(sources),
        spool_(spool) {}

  struct Taken {
    std::unique_ptr<Job> job;  // with an error: it is not to be delivered
    /// What takes its time, and has to be done first.
    std::optional<ToPrepare> to_prepare;
  };
  Taken take(const metastore::Claim& claim, Batch& batch, const StopToken& stop);

 private:
  Result<void> fill(Job& job, const metastore::FileRecord& file, const Route* route,
                    const StopToken& stop, std::optional<ToPrepare>& to_prepare);
  void plan_transform(Job& job, const metastore::FileRecord& file, const Route& route);
  bool may_share_names() const;

  const Destination& destination_;
  const TransferOptions& options_;
  const LandingRoots& roots_;
  SourceOpener& sources_;
  Spool* spool_;
};

}  // namespace ferry::transfer
