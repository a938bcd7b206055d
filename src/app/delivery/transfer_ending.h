// How a run to one destination ended, and what the caller of `ferry transfer` learns of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/exit_status.h"
#include "ferry/base/json.h"
#include "ferry/base/untaken.h"
#include "ferry/transfer/agent.h"

namespace ferry::app {

/// What a run did not take, and no later run will by itself.
struct LeftOut {
  std::uint64_t given_up = 0;
  std::uint64_t in_no_area = 0;  // their rows name none of several landing areas
  /// Asked for by name, and not delivered: another run has them or an older version of them in
  /// hand, or their route makes them wait.
  std::uint64_t not_yet = 0;

  bool operator==(const LeftOut&) const = default;
};

struct TransferEnding {
  std::string destination;
  transfer::TransferSummary summary;
  std::optional<Failure> failure = {};
  LeftOut left_out = {};
  std::uint64_t elsewhere = 0;  // files that other runs have in hand, if this one had nothing to do
  std::uint64_t sent =
      0;  // bytes, by this run; those of its files that an earlier one sent are not
};

/// "; 3 given up (…)", or nothing.
std::string to_text(const LeftOut& left_out);

ExitStatus status_of(const TransferEnding& ending);

/// IDLE if none of them had anything to do.
ExitStatus status_of(const std::vector<TransferEnding>& endings, ExitStatus idle);

/// UNTAKEN: of all destinations together.
void print_endings(const std::vector<TransferEnding>& endings, const Untaken& untaken,
                   bool as_json);

/// As an array, one object for each.
Json to_json(const std::vector<TransferEnding>& endings);

}  // namespace ferry::app
