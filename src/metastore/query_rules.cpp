#include "metastore/query_rules.h"

#include <fmt/format.h>

#include "metastore/path_rules.h"

namespace ferry::metastore {
namespace {

/// Attempt 0: none is counted.
TransferRecord released_row(const std::string& id, const Delivery& ended, Timestamp now) {
  const bool failed = ended.status == TransferStatus::kFailed;
  TransferRecord row;
  row.id = id;
  row.status = TransferStatus::kFailed;
  row.date = now;
  row.destination = ended.destination;
  row.attempt = 0;
  row.error =
      TransferError{.kind = failed ? "released" : "resend",
                    .message = failed ? fmt::format("released after {} attempts; the last: {}",
                                                    ended.attempt, ended.error_message)
                                      : "delivered, and to be delivered again",
                    .retryable = true};
  return row;
}

}  // namespace

bool fits(const FileQuery& query, const Subtrees& below, const FileRecord& file) {
  if (!is_empty_or_has(query.landings, file.landing)) return false;
  if (!query.below.empty() && !below.cover(file.path)) return false;
  if (file.path.find(query.text) == std::string::npos) return false;
  if (!is_empty_or_has(query.states, file.state)) return false;
  return query.updated.contains(file.updated_date);
}

bool depends_on_deliveries(const FileQuery& query) {
  return !query.standings.empty() || query.deliverable || query.leaves_stale_part ||
         query.due_to_go;
}

bool stands_as_asked(const FileQuery& query, const FileRecord& file,
                     std::span<const Delivery> deliveries, const Demand& demand) {
  std::vector<Judgement> judgements;
  judge(file, deliveries, demand, judgements);
  const auto is_as_asked = [&](const Judgement& judgement) {
    if (judgement.is_due_to_go != query.due_to_go) return false;
    if (!query.destination.empty() && judgement.destination != query.destination) return false;
    const Delivery* delivery = find_delivery(deliveries, judgement.destination);
    const bool is_alive = delivery != nullptr && delivery->claim_alive;
    if (!is_empty_or_has(query.standings, standing_now(judgement, is_alive))) return false;
    if (query.deliverable && !is_deliverable(file, delivery, demand.max_attempts)) return false;
    return !query.leaves_stale_part || (delivery != nullptr && leaves_stale_part(file, *delivery));
  };
  return std::ranges::any_of(judgements, is_as_asked);
}

FileQuery deliverable(const ClaimRequest& request) {
  FileQuery query = request.query;
  query.destination = request.destination;
  query.deliverable = true;
  query.newest_first = false;
  query.limit = FileQuery::kNoLimit;
  return query;
}

TransferRecord in_progress_row(const ClaimRequest& request, const Claim& claim, Timestamp now) {
  TransferRecord row;
  row.id = claim.file.id;
  row.status = TransferStatus::kInProgress;
  row.date = now;
  row.destination = request.destination;
  row.batch_id = request.batch_id;
  row.agent = request.agent;
  row.attempt = claim.attempt;
  if (claim.file.identity) row.bytes = static_cast<std::int64_t>(claim.file.identity->size);
  row.file_updated_date = claim.file.updated_date;
  return row;
}

std::vector<TransferRecord> released_rows(const FileRecord& file,
                                          std::span<const Delivery> deliveries,
                                          std::string_view destination, Standing standing,
                                          Timestamp now) {
  std::vector<Delivery> wanted(deliveries.begin(), deliveries.end());
  if (!destination.empty()) {
    const Delivery* found = find_delivery(deliveries, destination);
    wanted.clear();
    if (found != nullptr) {
      wanted.push_back(*found);
      wanted.back().destination = destination;  // what holds for it becomes its own
    }
  }
  std::vector<TransferRecord> rows;
  for (const Delivery& delivery : wanted) {
    if (standing_of(file, &delivery) != standing) continue;
    rows.push_back(released_row(file.id, delivery, now));
  }
  return rows;
}

Result<void> check_registered(const FileRecord& file) {
  const std::string_view problem = path_problem(file.path);
  if (problem.empty()) return {};
  return make_error(ErrorKind::kInvalid, "register '{}': the path {}", file.path, problem);
}

Result<void> check_imported(const FileRecord& file) {
  if (auto valid = check_registered(file); !valid) return valid;
  const std::string_view problem = file.id.empty() ? "is empty" : id_problem(file.id);
  if (problem.empty()) return {};
  return make_error(ErrorKind::kInvalid, "import '{}': the id {}", file.path, problem);
}

}  // namespace ferry::metastore
