// One run of `ferry transfer`.
#pragma once

#include "app/commands/command.h"
#include "app/delivery/transfer_ending.h"
#include "app/delivery/transfer_plan.h"
#include "ferry/base/untaken.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

/// What the agent of DESTINATION is told, with what follows from sources that are abnormal.
Result<transfer::TransferOptions> agent_options(const transfer::Destination& destination,
                                                metastore::Metastore& store,
                                                const TransferPlan& plan);

/// Of the files that a run is to take. Those that are named are taken whatever their attempts.
Result<LeftOut> find_left_out(const std::string& destination, metastore::Metastore& store,
                              const TransferPlan& plan);

/// Logs what the run did not take.
void tell_of_left_out(const TransferEnding& ending);

/// Does what the routes say about sources that everybody has by now. The files are delivered,
/// whatever comes of it; what could not be done is returned, noted for others, and tried again by
/// the next run.
/// Errors: the metastore's.
Result<Untaken> take_sources_away(metastore::Metastore& store, const TransferPlan& plan,
                                  StopToken& stop);

struct DeliveredRun {
  std::vector<TransferEnding> endings = {};
  Untaken untaken = {};
  std::optional<Error> taking_error = {};
  bool has_passed_deadline = false;  // before all was done
  bool was_interrupted = false;      // by a signal
};

/// To all destinations of PLAN, side by side.
DeliveredRun deliver_all(const TransferPlan& plan, metastore::Metastore& store, StopToken& stop);

/// What its caller ends with; IDLE if there was nothing to do.
Outcome<ExitStatus> status_of(const DeliveredRun& run, const TransferPlan& plan, ExitStatus idle);

/// Both, and prints how it ended. Ends with IDLE if there was nothing to do.
Outcome<ExitStatus> deliver_once(const TransferPlan& plan, metastore::Metastore& store,
                                 const Invocation& invocation, ExitStatus idle);

}  // namespace ferry::app
