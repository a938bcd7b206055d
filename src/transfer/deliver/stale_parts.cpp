#include "transfer/deliver/stale_parts.h"

#include <vector>

#include "ferry/base/log.h"
#include "transfer/batch/batch_journal.h"
#include "transfer/deliver/journal.h"
#include "transfer/deliver/removal.h"

namespace ferry::transfer {
namespace {

using metastore::TransferRecord;
using metastore::TransferStatus;

struct StalePart {
  TransferRecord row;  // what transfer_logs is to say
  std::string path;    // empty: nothing of it is at B
  bool is_gone = false;
};

TransferRecord abandoned(const metastore::FileRecord& file, const metastore::Delivery& delivery,
                         const std::string& agent, bool has_part) {
  TransferRecord row;
  row.id = file.id;
  row.status = TransferStatus::kFailed;
  row.date = now();
  row.destination = delivery.destination;
  row.batch_id = delivery.batch_id;
  row.agent = agent;
  row.attempt = delivery.attempt;
  row.error = metastore::TransferError{
      .kind = std::string(metastore::kAbandoned),
      .message = fmt::format("the file is {}{}", to_string(file.state),
                             has_part ? ": what there was of it at the destination was removed"
                                      : ": it will not be delivered any more"),
      .retryable = false};
  return row;
}

bool is_open(const BatchContext& context, const std::string_view batch_id) {
  return !batch_id.empty() && BatchJournal::exists(context.options.control_files, batch_id);
}

Result<std::vector<StalePart>> find(metastore::Metastore& metastore, const BatchContext& context,
                                    const std::string& agent) {
  std::vector<StalePart> parts;
  const std::string& destination = context.destination.name;
  metastore::FileQuery query;
  query.destination = destination;
  query.leaves_stale_part = true;
  auto visited = metastore.visit(query, [&](const metastore::FileRecord& file,
                                            std::span<const metastore::Delivery> deliveries) {
    const auto* delivery = metastore::find_delivery(deliveries, destination);
    if (delivery == nullptr || !metastore::leaves_stale_part(file, *delivery)) return;
    // What became of it is told by the batch, when that is brought to its end.
    if (is_open(context, delivery->batch_id)) return;
    std::string path = Journal::part_path_in(context.options.journals, file.id, destination);
    parts.push_back(
        {.row = abandoned(file, *delivery, agent, !path.empty()), .path = std::move(path)});
  });
  if (!visited) return visited.error();
  return parts;
}

sftp::Task<void> remove(Session& session, StalePart& stale) {
  const auto removed = co_await remove_leftover(*session.client, stale.path);
  stale.is_gone = removed || removed.error().kind == ErrorKind::kNotFound;
}

}  // namespace

Result<void> remove_stale_parts(metastore::Metastore& metastore, const BatchContext& context,
                                Session& session, const std::string& agent) {
  auto parts = find(metastore, context, agent);
  if (!parts) return parts.error();
  for (StalePart& stale : *parts) {
    stale.is_gone = stale.path.empty();
    if (!stale.is_gone) session.loop->spawn(remove(session, stale));
  }
  session.loop->run();
  std::vector<TransferRecord> rows;
  for (StalePart& stale : *parts) {
    if (!stale.is_gone) continue;
    if (!stale.path.empty()) {
      Journal::remove(context.options.journals, stale.row.id, context.destination.name);
      log::info("stale part file removed", {{"id", stale.row.id}, {"remote_path", stale.path}});
    }
    rows.push_back(std::move(stale.row));
  }
  if (rows.empty()) return {};
  // Another agent may have claimed one of them meanwhile, which came back.
  const auto appended = metastore.append_unless_held(rows);
  return appended ? Result<void>() : appended.error();
}

}  // namespace ferry::transfer
