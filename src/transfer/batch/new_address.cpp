#include "transfer/batch/new_address.h"

#include "ferry/base/log.h"
#include "transfer/batch/recovery.h"
#include "transfer/deliver/removal.h"
#include "transfer/naming/free_name.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Task;

/// As a batch of today would have it, but in the form that this one was begun with.
Result<std::string> path_of_today(const Session& session, const BatchInfo& info,
                                  Destination destination) {
  destination.control = info.control;
  const auto name = control_file_name(destination, info.id, info.created);
  if (!name) return name.error();
  return join_remote(session.control_directory, *name);
}

/// The parts are gone, so that nobody can give it its name any more.
Task<Result<void>> address_anew(Session& session, Batch& batch, std::string path) {
  const std::string before = batch.info().control_path;
  const auto there = co_await look_at(*session.client, before);
  if (session.client->error()) co_return *session.client->error();
  const bool is_absent = there && !*there;
  if (!is_absent) co_return Result<void>();
  const std::string signature = before + std::string(kSignatureSuffix);
  [[maybe_unused]] const auto removed = co_await remove_leftover(*session.client, signature);
  if (session.client->error()) co_return *session.client->error();
  log::info("control file goes elsewhere",
            {{"batch_id", batch.info().id}, {"before", before}, {"now", path}});
  co_return batch.journal().note_control_path(path);
}

}  // namespace

Task<Result<void>> take_over(Session& session, Batch& batch, const BatchContext& context) {
  const auto looked = co_await look_at_remains(session, batch, context);
  const BatchInfo& info = batch.info();
  const bool is_settled = batch.journal().is_pushed() || info.control == ControlFormat::kNone;
  if (!looked || is_settled || session.directory != info.directory) co_return looked;
  auto path = path_of_today(session, info, context.destination);
  if (!path || *path == info.control_path) co_return looked;
  std::string now = std::move(*path);
  co_return co_await address_anew(session, batch, std::move(now));
}

}  // namespace ferry::transfer
