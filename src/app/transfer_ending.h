// How a run to one destination ended, and what the caller of `ferry transfer` learns of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/exit_status.h"
#include "ferry/transfer/agent.h"

namespace ferry::app {

struct TransferEnding {
  std::string destination;
  transfer::TransferSummary summary;
  std::optional<Error> error;
};

ExitStatus status_of(const TransferEnding& ending);

/// IDLE where none of them had anything to do.
ExitStatus status_of(const std::vector<TransferEnding>& endings, ExitStatus idle);

void print_endings(const std::vector<TransferEnding>& endings, bool as_json);

}  // namespace ferry::app
