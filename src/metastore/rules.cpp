#include "ferry/metastore/rules.h"

#include <algorithm>
#include <array>

#include "ferry/base/result.h"
#include "ferry/base/uuid.h"

namespace ferry::metastore {
namespace {

using enum TransferStatus;

constexpr std::array<std::string_view, kStandings> kStandingNames = {
    "quarantined", "successful", "in_progress", "failed",
    "pending",     "superseded", "missing",     "unrouted"};

/// By the row that was claimed, if the logs have that: clocks may be set back.
bool has_news(const FileRecord& file, const Delivery& delivery) {
  if (delivery.file_updated_date) return file.updated_date != *delivery.file_updated_date;
  return file.updated_date > delivery.claimed;
}

bool may_be_retried(const FileRecord& file, const Delivery& failed, std::int64_t max_attempts) {
  if (max_attempts == kAskedFor) return true;
  // The same file would be found abnormal again.
  if (failed.error_kind == to_string(ErrorKind::kAbnormal) && !has_news(file, failed)) return false;
  return failed.attempt < max_attempts;
}

bool may_be_tried(const FileRecord& file, const Delivery* delivery, std::int64_t max_attempts) {
  if (delivery == nullptr || delivery->status == kInProgress) return true;
  return delivery->status == kFailed && may_be_retried(file, *delivery, max_attempts);
}

bool has(const Delivery* delivery) {
  return delivery != nullptr && delivery->status == kSuccessful;
}

bool anybody_has(std::span<const Delivery> deliveries) {
  return std::ranges::any_of(deliveries, [](const Delivery& delivery) { return has(&delivery); });
}

Judgement judgement_of(const FileRecord& file, std::string_view destination,
                       const Delivery* delivery) {
  Judgement judgement;
  judgement.destination = destination;
  judgement.standing = standing_of(file, delivery);
  if (delivery == nullptr) return judgement;
  judgement.status = delivery->status;
  judgement.is_by_any = delivery->destination != destination;
  if (delivery->status == kInProgress) {
    judgement.agent = delivery->agent;
    if (delivery->claim_alive) {
      Delivery dead = *delivery;
      dead.claim_alive = false;
      judgement.standing = standing_of(file, &dead);
    }
  }
  if (delivery->status == kFailed) judgement.error_kind = known_error_kind(delivery->error_kind);
  return judgement;
}

/// Nobody knows where it lies.
bool is_homeless(const FileRecord& file, const Demand& demand) {
  return demand.has_several_landings && file.landing.empty();
}

Judgement wanted_by_none(const FileRecord& file) {
  Judgement judgement;
  judgement.standing = standing_of(file, nullptr);
  if (judgement.standing == Standing::kPending) judgement.standing = Standing::kUnrouted;
  return judgement;
}

void judge_logged(const FileRecord& file, std::span<const Delivery> deliveries,
                  const Demand& demand, std::vector<Judgement>& judgements) {
  if (deliveries.empty() && is_homeless(file, demand)) {
    judgements.push_back(wanted_by_none(file));
    return;
  }
  const bool may_go =
      file.state == FileState::kReady && !anybody_has(deliveries) && !is_homeless(file, demand);
  const auto add = [&](std::string_view destination, const Delivery* delivery) {
    judgements.push_back(judgement_of(file, destination, delivery));
    judgements.back().is_open = may_go && may_be_tried(file, delivery, demand.max_attempts);
  };
  for (const Delivery& delivery : deliveries) add(delivery.destination, &delivery);
  if (deliveries.empty()) add("", nullptr);
}

}  // namespace

std::string_view to_string(Standing standing) {
  return kStandingNames[static_cast<std::size_t>(standing)];
}

std::optional<Standing> parse_standing(std::string_view text) {
  const auto found = std::ranges::find(kStandingNames, text);
  if (found == kStandingNames.end()) return std::nullopt;
  return static_cast<Standing>(found - kStandingNames.begin());
}

Standing standing_of(const FileRecord& file, const Delivery* delivery) {
  if (has(delivery)) return Standing::kSuccessful;
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

const Delivery* find_delivery(std::span<const Delivery> deliveries, std::string_view destination) {
  const Delivery* anywhere = nullptr;
  for (const Delivery& delivery : deliveries) {
    if (delivery.destination == destination) return &delivery;
    if (delivery.destination.empty()) anywhere = &delivery;
  }
  return anywhere;
}

bool is_deliverable(const FileRecord& file, const Delivery* delivery, std::int64_t max_attempts) {
  switch (standing_of(file, delivery)) {
    case Standing::kPending:
      return true;
    case Standing::kFailed:
      return may_be_retried(file, *delivery, max_attempts);
    default:
      return false;
  }
}

std::int64_t next_attempt(const Delivery* delivery) {
  if (delivery == nullptr || delivery->status == kSuccessful) return 1;
  if (delivery->status == kFailed) return delivery->attempt + 1;
  return std::max<std::int64_t>(delivery->attempt, 1);
}

std::string_view known_error_kind(std::string_view text) {
  if (text == kAbandoned) return kAbandoned;
  for (auto kind = ErrorKind::kInvalid; kind <= ErrorKind::kCancelled;
       kind = static_cast<ErrorKind>(static_cast<int>(kind) + 1)) {
    if (to_string(kind) == text) return to_string(kind);
  }
  return "other";
}

bool leaves_stale_part(const FileRecord& file, const Delivery& delivery) {
  if (file.state == FileState::kReady) return false;
  if (delivery.status == kSuccessful) return false;
  if (delivery.status == kInProgress) return !delivery.claim_alive;
  return delivery.error_kind != kAbandoned;
}

// Who wants what.

void judge(const FileRecord& file, std::span<const Delivery> deliveries, const Demand& demand,
           std::vector<Judgement>& judgements) {
  if (demand.destinations.empty()) return judge_logged(file, deliveries, demand, judgements);
  std::vector<std::string_view> wanted;
  if (demand.wanted_by) wanted = demand.wanted_by(file.landing, file.path);
  const auto is_wanted = [&](std::string_view destination) {
    if (is_homeless(file, demand)) return false;
    return !demand.wanted_by || std::ranges::find(wanted, destination) != wanted.end();
  };
  const std::size_t before = judgements.size();
  for (const std::string& destination : demand.destinations) {
    const Delivery* delivery = find_delivery(deliveries, destination);
    if (!has(delivery) && !is_wanted(destination)) continue;
    judgements.push_back(judgement_of(file, destination, delivery));
    judgements.back().is_open =
        file.state == FileState::kReady && may_be_tried(file, delivery, demand.max_attempts);
  }
  if (judgements.size() == before) {
    judgements.push_back(wanted_by_none(file));
    return;
  }
  if (file.state != FileState::kReady || !demand.is_taken_away ||
      is_undelivered(file, deliveries, demand) || !demand.is_taken_away(file.landing, file.path)) {
    return;
  }
  Judgement& due = judgements.emplace_back();
  due.standing = Standing::kSuccessful;
  due.is_due_to_go = true;
}

Standing standing_now(const Judgement& judgement, bool is_agent_alive) {
  const bool is_claimed = judgement.status == kInProgress && is_agent_alive;
  const bool is_held = judgement.standing == Standing::kQuarantined;
  return is_claimed && !is_held ? Standing::kInProgress : judgement.standing;
}

bool is_undelivered(const FileRecord& file, std::span<const Delivery> deliveries,
                    const Demand& demand) {
  if (is_homeless(file, demand)) return false;
  if (demand.destinations.empty()) return !anybody_has(deliveries);
  const auto has_not = [&](std::string_view destination) {
    return !has(find_delivery(deliveries, destination));
  };
  if (!demand.wanted_by) return std::ranges::any_of(demand.destinations, has_not);
  return std::ranges::any_of(demand.wanted_by(file.landing, file.path), has_not);
}

bool is_still_wanted(const FileRecord& file, std::span<const Delivery> deliveries,
                     const Demand& demand, std::string_view destination) {
  if (demand.destinations.empty()) return true;
  std::vector<std::string_view> by{demand.destinations.begin(), demand.destinations.end()};
  if (demand.wanted_by) by = demand.wanted_by(file.landing, file.path);
  if (is_homeless(file, demand)) by.clear();
  bool is_there = false;
  for (const Delivery& delivery : deliveries) {
    const std::string_view name = delivery.destination;
    const bool is_meant = destination.empty() || name.empty() || name == destination;
    if (!is_meant || delivery.status != TransferStatus::kSuccessful) continue;
    is_there = true;
    const bool asks_no_route = name.empty() || name.find("://") != name.npos;
    if (asks_no_route || std::ranges::find(by, name) != by.end()) return true;
  }
  return !is_there;
}

// Versions of a path.

namespace {

using Outcome = Registration::Outcome;

/// The same file with the same bytes: its mode or owner was changed.
bool is_touched(const FileRecord& found, const FileRecord& latest) {
  if (!found.identity || !latest.identity || *found.identity == *latest.identity) return false;
  return same_but_for_ctime(*found.identity, *latest.identity) && latest.checksum == found.checksum;
}

Outcome outcome_against(const FileRecord& found, const FileRecord& latest) {
  const bool is_ready = latest.state == FileState::kReady;
  const bool has_same_bytes = latest.checksum == found.checksum;
  const bool is_same_file =
      found.identity && latest.identity == found.identity &&
      (has_same_bytes || latest.checksum.algorithm != found.checksum.algorithm);
  if (found.state == FileState::kQuarantined) {
    // These bytes were let in before: released, perhaps by another process just now.
    if (is_ready && has_same_bytes) return Outcome::kUpdated;
    const bool is_held =
        latest.state == FileState::kQuarantined && (is_same_file || is_touched(found, latest));
    return is_held ? Outcome::kDuplicate : Outcome::kInserted;
  }
  if (is_same_file) {
    if (latest.state == FileState::kMissing) return Outcome::kUpdated;
    // A watcher saw it first; who brought it knows better what it is.
    const bool tells_more =
        found.source == FileSource::kUpload && is_ready && latest.source == FileSource::kWatch;
    return tells_more ? Outcome::kUpdated : Outcome::kDuplicate;
  }
  // A file that is not ready has been taken away: the same bytes again are a new delivery.
  return is_ready && has_same_bytes ? Outcome::kUpdated : Outcome::kInserted;
}

Timestamp other_than(Timestamp older, Timestamp now) {
  return now == older ? now + std::chrono::milliseconds(1) : now;
}

/// KNOWN goes on being held, as it is now.
FileRecord as_held(FileRecord known, FileRecord&& found, Timestamp now) {
  known.identity = found.identity;
  return in_state(std::move(known), FileState::kQuarantined, found.reason, now);
}

FileRecord as_updated(FileRecord known, FileRecord&& found, Timestamp now) {
  known.updated_date = other_than(known.updated_date, now);
  known.landing = std::move(found.landing);
  known.identity = found.identity;
  if (known.state != FileState::kReady) known.reason.clear();
  if (found.source == FileSource::kUpload) known.source = found.source;
  known.state = FileState::kReady;
  return known;
}

}  // namespace

FileRecord in_state(FileRecord older, FileState state, std::string_view reason, Timestamp now) {
  older.updated_date = other_than(older.updated_date, now);
  older.state = state;
  older.reason = reason;
  return older;
}

FileRecord as_superseded(FileRecord older, Timestamp now, std::string_view newer_id) {
  return in_state(std::move(older), FileState::kSuperseded,
                  fmt::format("replaced by version {}", newer_id), now);
}

Registration decide_registration(FileRecord found, Timestamp now, const FileRecord* latest,
                                 const std::function<bool()>& is_replaceable,
                                 std::vector<FileRecord>& rows) {
  Registration registration;
  if (latest != nullptr) registration.outcome = outcome_against(found, *latest);
  if (registration.outcome != Outcome::kInserted) {
    registration.id = latest->id;
    if (registration.outcome == Outcome::kUpdated) {
      rows.push_back(as_updated(*latest, std::move(found), now));
    } else if (found.state == FileState::kQuarantined && is_touched(found, *latest)) {
      rows.push_back(as_held(*latest, std::move(found), now));
    }
    return registration;
  }

  found.id = uuid_v7();
  found.updated_date = now;
  registration.id = found.id;
  rows.push_back(std::move(found));
  if (latest != nullptr && latest->state == FileState::kReady && is_replaceable()) {
    rows.push_back(as_superseded(*latest, now, registration.id));
    registration.superseded_id = latest->id;
  }
  return registration;
}

bool is_replaced_by(const FileRecord& file, const FileRecord* latest) {
  return latest != nullptr && latest->id != file.id;
}

ClaimVerdict decide_claim(const FileRecord& file, std::span<const Delivery> deliveries,
                          std::string_view destination, std::int64_t max_attempts,
                          const FileRecord* latest, bool is_other_held) {
  if (!is_deliverable(file, find_delivery(deliveries, destination), max_attempts)) {
    return ClaimVerdict::kLeave;
  }
  // An agent held this version when the newer one was registered, and did not deliver it.
  if (is_replaced_by(file, latest)) {
    const bool is_held = std::ranges::any_of(deliveries, &Delivery::claim_alive);
    return is_held ? ClaimVerdict::kLeave : ClaimVerdict::kSupersede;
  }
  return is_other_held ? ClaimVerdict::kLeave : ClaimVerdict::kClaim;
}

bool is_out_of_hand(const Delivery* delivery, std::string_view agent) {
  if (delivery == nullptr) return false;
  return has(delivery) || (delivery->claim_alive && delivery->agent != agent);
}

bool is_in_hand(const Delivery* delivery, std::string_view agent) {
  return delivery != nullptr && delivery->claim_alive && delivery->agent == agent;
}

/// Nobody claims a version while an older one is in hand: whoever claimed the newer one came later,
/// and holds it whether the older one's agent comes back or not.
bool is_in_the_way(const Delivery* delivery_of_other, bool is_newer) {
  if (delivery_of_other == nullptr || !is_newer) return false;
  return delivery_of_other->status == kInProgress || has(delivery_of_other);
}

bool is_settled(const FileRecord& file, std::span<const Delivery> deliveries, bool is_latest,
                const Demand& demand, Timestamp since) {
  if (file.state == FileState::kQuarantined) return false;
  if (file.state == FileState::kReady && (is_latest || is_undelivered(file, deliveries, demand))) {
    return false;
  }
  const bool is_over = std::ranges::all_of(deliveries, [](const Delivery& delivery) {
    return has(&delivery) || (delivery.status == kFailed && delivery.error_kind == kAbandoned);
  });
  Timestamp last = file.updated_date;
  for (const Delivery& delivery : deliveries) last = std::max(last, delivery.date);
  return is_over && last < since;
}

}  // namespace ferry::metastore
