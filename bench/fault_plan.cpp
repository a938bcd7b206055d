#include "fault_plan.h"

namespace ferry::bench {

std::optional<Fault> FaultPlan::next() {
  const std::size_t number = connections_++;
  if (number < options_.cut_after.size()) {
    return Fault{cut_kind(), Counted::kBothDirections, options_.cut_after[number]};
  }
  if (number < options_.cut_to_client_after.size()) {
    return Fault{cut_kind(), Counted::kToClient, options_.cut_to_client_after[number]};
  }
  return random_fault();
}

bool FaultPlan::may_strike() {
  if (struck_ >= options_.max_faults) return false;
  ++struck_;
  return true;
}

std::optional<Fault> FaultPlan::random_fault() {
  const auto& cut = options_.cut_random;
  const auto& stall = options_.stall_random;
  if (!cut && !stall) return std::nullopt;
  const bool stalls = stall && (!cut || draw(0, 1) == 1);
  const ByteRange& range = stalls ? *stall : *cut;
  return Fault{stalls ? FaultKind::kStall : cut_kind(), Counted::kBothDirections,
               draw(range.min, range.max)};
}

FaultKind FaultPlan::cut_kind() {
  const bool finish =
      options_.cut_with == "fin" || (options_.cut_with == "either" && draw(0, 1) == 1);
  return finish ? FaultKind::kFinish : FaultKind::kReset;
}

std::uint64_t FaultPlan::draw(std::uint64_t min, std::uint64_t max) {
  return std::uniform_int_distribution(min, max)(random_);
}

}  // namespace ferry::bench
