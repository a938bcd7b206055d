#include "transfer/stale_parts.h"

#include <algorithm>

#include "ferry/base/log.h"
#include "ferry/base/uuid.h"
#include "transfer/journal.h"
#include "transfer/remote_path.h"

namespace ferry::transfer {
namespace {

using metastore::TransferRecord;
using metastore::TransferStatus;

struct StalePart {
  TransferRecord row;  // what transfer_logs is to say
  std::string path;
  bool is_gone = false;
};

/// Where the routes changed since, that is not where the part file is: it counts as gone.
std::string remote_name_of(const metastore::FileRecord& file, const RunContext& context) {
  const Routes* routes = context.options.routes;
  if (routes == nullptr) return file.path;
  const Route* route = routes->find(file.landing, file.path, context.destination.name);
  return remote_name(route, file).value_or(file.path);
}

StalePart make_stale_part(const metastore::FileRecord& file, const metastore::Delivery& delivery,
                          const RunContext& context, const Session& session) {
  StalePart stale;
  stale.path = part_path(join_remote(session.directory, remote_name_of(file, context)), file.id);
  stale.row.id = file.id;
  stale.row.status = TransferStatus::kFailed;
  stale.row.date = now();
  stale.row.destination = delivery.destination;
  stale.row.attempt = delivery.attempt;
  stale.row.error = metastore::TransferError{
      .kind = std::string(metastore::kAbandoned),
      .message = fmt::format("the file is {}: what there was of it at the destination was removed",
                             to_string(file.state)),
      .retryable = false};
  return stale;
}

/// Nothing where the table has something else than the id of a batch.
std::optional<std::string> control_part_of(const std::string& batch_id, const RunContext& context,
                                           const Session& session) {
  const auto created = time_of_uuid(batch_id);
  if (!created || batch_id.find_first_not_of("0123456789abcdef-") != batch_id.npos) {
    return std::nullopt;
  }
  const auto name = control_file_name(context.destination, batch_id, *created);
  if (!name) return std::nullopt;
  return part_path(join_remote(session.control_directory, *name), batch_id);
}

sftp::Task<void> remove_control_part(Session& session, std::string path) {
  const auto removed = co_await session.client->remove(path);
  if (removed) log::info("stale part file removed", {{"remote_path", path}});
}

sftp::Task<void> remove_part(Session& session, StalePart& stale) {
  const auto removed = co_await session.client->remove(stale.path);
  stale.is_gone = removed || removed.error().kind == ErrorKind::kNotFound;
}

}  // namespace

Result<void> remove_stale_parts(metastore::Metastore& metastore, const RunContext& context,
                                Session& session, std::string_view batch_id,
                                std::string_view agent) {
  std::vector<StalePart> parts;
  metastore::FileQuery stale_ones;
  stale_ones.destination = context.destination.name;
  stale_ones.leaves_stale_part = true;
  auto visited = metastore.visit(stale_ones, [&](const metastore::FileRecord& file,
                                                 std::span<const metastore::Delivery> deliveries) {
    const auto* delivery = metastore::find_delivery(deliveries, context.destination.name);
    if (delivery != nullptr && metastore::leaves_stale_part(file, *delivery)) {
      parts.push_back(make_stale_part(file, *delivery, context, session));
    }
  });
  if (!visited || parts.empty()) return visited;
  for (StalePart& stale : parts) session.client->spawn(remove_part(session, stale));
  if (auto ran = session.client->run(); !ran) return ran;

  std::vector<TransferRecord> rows;
  for (StalePart& stale : parts) {
    if (!stale.is_gone) continue;
    Journal::remove(context.options.journals, stale.row.id, context.destination.name);
    log::info("stale part file removed", {{"id", stale.row.id}, {"remote_path", stale.path}});
    stale.row.batch_id = batch_id;
    stale.row.agent = agent;
    rows.push_back(std::move(stale.row));
  }
  if (rows.empty()) return {};
  // Another agent may have claimed one of them meanwhile, which came back.
  const auto appended = metastore.append_unless_held(rows);
  return appended ? Result<void>() : appended.error();
}

Result<void> remove_stale_control_files(const RunContext& context, Session& session,
                                        const std::set<std::string, std::less<>>& batch_ids) {
  for (const std::string& batch_id : batch_ids) {
    const auto path = control_part_of(batch_id, context, session);
    if (path) session.client->spawn(remove_control_part(session, *path));
  }
  return session.client->run();
}

}  // namespace ferry::transfer
