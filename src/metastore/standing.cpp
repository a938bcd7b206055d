#include <array>

#include "ferry/metastore/metastore.h"
#include "metastore/retry_rule.h"

namespace ferry::metastore {
namespace {

constexpr std::array<std::string_view, 8> kStandingNames = {
    "quarantined", "successful", "in_progress", "failed",
    "pending",     "superseded", "missing",     "unrouted"};

}  // namespace

std::string_view to_string(Standing standing) {
  return kStandingNames[static_cast<std::size_t>(standing)];
}

std::optional<Standing> parse_standing(std::string_view text) {
  for (std::size_t i = 0; i < kStandingNames.size(); ++i) {
    if (kStandingNames[i] == text) return static_cast<Standing>(i);
  }
  return std::nullopt;
}

Standing standing_of(const FileRecord& file, const Delivery* delivery) {
  using enum TransferStatus;
  if (delivery != nullptr && delivery->status == kSuccessful) return Standing::kSuccessful;
  if (file.state == FileState::kQuarantined) return Standing::kQuarantined;
  if (delivery != nullptr && delivery->status == kInProgress && delivery->claim_alive) {
    return Standing::kInProgress;
  }
  // Nobody will try again to deliver a file that is not ready, so that an earlier failure is over.
  if (file.state == FileState::kSuperseded) return Standing::kSuperseded;
  if (file.state == FileState::kMissing) return Standing::kMissing;
  const bool failed = delivery != nullptr && delivery->status == kFailed;
  return failed && delivery->attempt > 0 ? Standing::kFailed : Standing::kPending;
}

bool is_deliverable(const FileRecord& file, const Delivery* delivery, std::int64_t max_attempts) {
  switch (standing_of(file, delivery)) {
    case Standing::kPending:
      return true;
    case Standing::kFailed:
      return may_be_retried(delivery->attempt, max_attempts, delivery->error_kind,
                            delivery->claimed, file.updated_date);
    default:
      return false;
  }
}

const Delivery* find_delivery(std::span<const Delivery> deliveries, std::string_view destination) {
  const Delivery* anywhere = nullptr;
  for (const Delivery& delivery : deliveries) {
    if (delivery.destination == destination) return &delivery;
    // Foreign rows may leave out where the file went; they hold for every destination.
    if (delivery.destination.empty()) anywhere = &delivery;
  }
  return anywhere;
}

}  // namespace ferry::metastore
