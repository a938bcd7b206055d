#include "transfer/batch/pushing.h"

#include <functional>
#include <string>

#include "transfer/batch/sidecars.h"
#include "transfer/deliver/journal_lanes.h"
#include "transfer/naming/free_name.h"
#include "transfer/naming/kept_aside.h"
#include "transfer/naming/remote_path.h"
#include "transfer/run/tenure.h"

namespace ferry::transfer {
namespace {

using sftp::Task;

Task<Result<void>> sync(Session& session, BatchJournal& journal) {
  auto syncing = session.loop->in_thread([&journal] { return journal.sync(); });
  co_return co_await syncing;
}

Task<void> remove_part(Session& session, std::string path) {
  [[maybe_unused]] const auto removed = co_await session.client->remove(std::move(path));
}

Task<Result<void>> remove_abandoned_parts(Session& session, Batch& batch) {
  const auto parts = batch.take_abandoned_parts();
  {
    sftp::TaskGroup removing(*session.loop);
    for (const std::string& path : parts) removing.spawn(remove_part(session, path));
    co_await removing;
  }
  if (!session.client->error()) co_return Result<void>();
  for (const std::string& path : parts) batch.abandon_part(path);
  co_return *session.client->error();
}

/// Gives the list, which is uploaded as TARGET's part, its name. That is noted before, since from
/// then on a receiver may act on it.
Task<Result<void>> publish_list(Session& session, BatchJournal& journal, Target target) {
  auto noted = journal.note_pushing(target.part_path);
  if (noted) noted = co_await sync(session, journal);
  if (!noted) co_return noted;
  const auto renamed = co_await rename_part(*session.client, target);
  if (renamed || session.client->error()) co_return renamed;
  const auto pushed = co_await was_pushed(session, journal);
  if (pushed && *pushed) co_return Result<void>();
  co_return renamed;
}

/// Under REMOTE_PATH, as any other file; by a part of this try's own.
Task<Result<void>> push(Session& session, Batch& batch, const KeptFile& file,
                        std::string remote_path, std::string token, const BatchContext& context,
                        bool is_list) {
  const Target target{.part_path = part_path(remote_path, token),
                      .final_path = remote_path,
                      .size = file.size,
                      .sha256 = file.sha256};
  auto pushed = co_await upload_kept_file(session, file, target, context.options);
  if (pushed) pushed = co_await confirm_tenure(batch.presence(), *session.loop);
  if (pushed && is_list) {
    pushed = co_await publish_list(session, batch.journal(), target);
  } else if (pushed) {
    pushed = co_await rename_part(*session.client, target);
  }
  if (!pushed) batch.abandon_part(target.part_path);
  co_return pushed;
}

/// In this order: the control file is the last.
Task<Result<void>> push_all(Session& session, Batch& batch, const KeptControlFile& kept,
                            unsigned number, const BatchContext& context) {
  const auto placed = co_await push_sidecars(session, batch, number, context.options);
  if (!placed) co_return placed.error().with_context("sidecar");
  const BatchInfo& info = batch.info();
  const std::string token = part_token(info.id, info.id, number);
  if (kept.signature) {
    const std::string path = info.control_path + std::string(kSignatureSuffix);
    const auto pushed = co_await push(session, batch, *kept.signature, path, token, context, false);
    if (!pushed) co_return pushed;
  }
  if (!kept.list) co_return Result<void>();
  co_return co_await push(session, batch, *kept.list, info.control_path, token, context, true);
}

/// Of the files of a batch, at B.
struct Lookout {
  bool has_some = false;
  bool misses_some = false;
};

Task<Result<void>> look_for(Session& session, Lookout& lookout, BegunFile begun) {
  const auto found = co_await look_at(*session.client, begun.file.remote_path);
  if (!found) co_return found.error();
  (*found ? lookout.has_some : lookout.misses_some) = true;
  co_return Result<void>();
}

/// Of a control file whose part is gone: it has its name, or the receiver took it, unless the files
/// that it lists all lie there still. Then somebody may have removed the part: who reads the list
/// twice knows the batch by its id, and who never reads it knows nothing of the files.
Task<Result<bool>> was_lost(Session& session, const BatchJournal& journal) {
  const std::string control_path = journal.info().control_path;
  const auto control_file = co_await look_at(*session.client, control_path);
  if (!control_file) co_return control_file.error();
  if (*control_file) co_return false;
  const auto marks = journal.marks();
  if (!marks) co_return marks.error();
  Lookout lookout;
  const std::function<bool(BatchJournal::Place)> wanted = [&](BatchJournal::Place place) {
    return !lookout.misses_some && marks->is_delivered(place);
  };
  const std::function<Task<Result<void>>(BegunFile)> look = [&](BegunFile begun) {
    return look_for(session, lookout, std::move(begun));
  };
  const auto looked = co_await for_each_begun(session, journal, wanted, look);
  if (!looked) co_return looked.error();
  co_return lookout.has_some && !lookout.misses_some;
}

}  // namespace

Task<Result<bool>> was_pushed(Session& session, BatchJournal& journal) {
  if (journal.is_pushed()) co_return true;
  const std::string part = journal.pushing_part();
  if (part.empty()) co_return false;
  const auto there = co_await look_at(*session.client, part);
  if (!there) co_return there.error();
  if (!*there) {
    const auto is_lost = co_await was_lost(session, journal);
    if (!is_lost) co_return is_lost.error();
    if (!*is_lost) co_return true;
  }
  auto noted = journal.note_not_pushed();
  if (noted) noted = co_await sync(session, journal);
  if (!noted) co_return noted.error();
  co_return false;
}

Task<Result<void>> finish_at_destination(Session& session, Batch& batch,
                                         const KeptControlFile* kept, unsigned& tries,
                                         const BatchContext& context) {
  const auto is_there = co_await was_pushed(session, batch.journal());
  if (!is_there) co_return is_there.error();
  const auto removed = co_await remove_abandoned_parts(session, batch);
  if (!removed || kept == nullptr) co_return removed;
  if (!*is_there) {
    const auto pushed = co_await push_all(session, batch, *kept, tries++, context);
    if (!pushed) co_return pushed;
  }
  co_return co_await remove_kept(session, batch);
}

}  // namespace ferry::transfer
