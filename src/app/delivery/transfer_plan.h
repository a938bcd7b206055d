// What `ferry transfer` is to do: the configuration and the command line put together.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/commands/command.h"
#include "app/config/settings.h"
#include "ferry/transfer/agent.h"
#include "ferry/transfer/routes.h"

namespace ferry::app {

struct TransferPlan {
  Settings settings;
  transfer::TransferOptions options;  // but for the routes
  std::vector<transfer::Destination> destinations;
  std::shared_ptr<const transfer::Routes> routes;

  /// Routes speak of configured destinations only: another one, given by --to, gets every file.
  transfer::TransferOptions options_for(const std::string& destination) const;

  /// As the configuration has it. Where that has no destinations, those of --to are all that there
  /// are: a metastore judges its files once for each demand that it is asked about.
  metastore::Demand demand() const;
};

Outcome<TransferPlan> make_transfer_plan(const Arguments& arguments);

/// The same for settings that are made already; FOLLOWS: the run goes on once all is delivered.
Outcome<TransferPlan> make_transfer_plan(Settings settings, transfer::Selection selection,
                                         bool follows);

}  // namespace ferry::app
