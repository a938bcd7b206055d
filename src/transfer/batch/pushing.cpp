#include "transfer/batch/pushing.h"

#include <functional>
#include <string>

#include "transfer/batch/sidecars.h"
#include "transfer/deliver/journal_lanes.h"
#include "transfer/deliver/removal.h"
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
  [[maybe_unused]] const auto removed = co_await remove_leftover(*session.client, std::move(path));
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

Target target_of(const KeptFile& file, const std::string& remote_path, std::string_view token) {
  return {.part_path = part_path(remote_path, token),
          .final_path = remote_path,
          .size = file.size,
          .sha256 = file.sha256};
}

/// By a part of this try's own, which stays there without its name.
Task<Result<void>> upload(Session& session, Batch& batch, const KeptFile& file, Target target,
                          const BatchContext& context) {
  const auto uploaded = co_await upload_kept_file(session, file, target, context.options);
  if (!uploaded) co_return uploaded;
  co_return co_await confirm_tenure(batch.presence(), *session.loop);
}

Task<void> make_mark(Session& session, std::string path, bool& is_there) {
  constexpr std::uint32_t kPermissions = 0666;
  const auto handle =
      co_await session.client->open(path, sftp::kOpenWrite | sftp::kOpenCreate, kPermissions);
  if (!handle) co_return;
  const auto closed = co_await session.client->close(*handle);
  is_there = closed.has_value();
}

Error lost_error(const BatchInfo& info) {
  return make_error(ErrorKind::kFailed,
                    "{}: the destination has lost what was pushed there: it is not what it was",
                    info.control_path);
}

/// Gives the list, which is uploaded as TARGET's part, its name. That is noted before, since from
/// then on a receiver may act on it.
Task<Result<void>> publish_list(Session& session, BatchJournal& journal, Target target,
                                std::string mark) {
  auto noted = journal.note_pushing({.part_path = target.part_path,
                                     .mark_path = mark,
                                     .size = target.size,
                                     .sha256 = target.sha256});
  if (noted) noted = co_await sync(session, journal);
  if (!noted) co_return noted;
  const auto renamed = co_await rename_part(*session.client, target);
  if (renamed || session.client->error()) co_return renamed;
  const auto fate = co_await fate_of_list(session, journal);
  if (fate && *fate == ListFate::kPushed) co_return Result<void>();
  if (fate && *fate == ListFate::kLost) co_return lost_error(journal.info());
  co_return renamed;
}

Task<Result<void>> push_signature(Session& session, Batch& batch, const KeptFile& signature,
                                  std::string token, const BatchContext& context) {
  const std::string path = batch.info().control_path + std::string(kSignatureSuffix);
  const Target target = target_of(signature, path, token);
  auto pushed = co_await upload(session, batch, signature, target, context);
  if (pushed) pushed = co_await rename_part(*session.client, target);
  if (!pushed) batch.abandon_part(target.part_path);
  co_return pushed;
}

Task<Result<void>> push_list(Session& session, Batch& batch, const KeptFile& list,
                             std::string token, const BatchContext& context) {
  const Target target = target_of(list, batch.info().control_path, token);
  std::string mark = mark_path(batch.info());
  bool has_mark = false;
  sftp::TaskGroup marking(*session.loop);
  if (session.lets_remove) marking.spawn(make_mark(session, mark, has_mark));
  auto pushed = co_await upload(session, batch, list, target, context);
  co_await marking;
  if (!has_mark) mark.clear();
  if (pushed) pushed = co_await publish_list(session, batch.journal(), target, mark);
  if (!pushed) batch.abandon_part(target.part_path);
  co_return pushed;
}

/// In this order: the control file is the last.
Task<Result<void>> push_all(Session& session, Batch& batch, const KeptControlFile& kept,
                            const BatchContext& context) {
  const auto number = batch.journal().note_try();
  if (!number) co_return number.error();
  const auto placed = co_await push_sidecars(session, batch, *number, context.options);
  if (!placed) co_return placed.error().with_context("sidecar");
  const BatchInfo& info = batch.info();
  const std::string token = part_token(info.id, info.id, *number);
  if (kept.signature) {
    const auto pushed = co_await push_signature(session, batch, *kept.signature, token, context);
    if (!pushed) co_return pushed;
  }
  if (!kept.list) co_return Result<void>();
  co_return co_await push_list(session, batch, *kept.list, token, context);
}

/// Of the files of a batch, at B.
struct Lookout {
  bool has_some = false;
  bool misses_some = false;
};

Task<Result<void>> look_for(Session& session, Lookout& lookout, BegunFile begun) {
  const auto found = co_await look_at(*session.client, begun.file.remote_path);
  if (!found) co_return found.error();
  const bool is_there = *found && (*found)->size.value_or(begun.file.size) == begun.file.size;
  (is_there ? lookout.has_some : lookout.misses_some) = true;
  co_return Result<void>();
}

/// For all that B acknowledged, or until one is not there.
Task<Result<Lookout>> look_for_delivered(Session& session, const BatchJournal& journal) {
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
  co_return lookout;
}

/// A connection may have ended because a server was restarted, went back to a backup, or gave its
/// place to another: what it has lost no list may name.
Task<Result<void>> look_after_losses(Session& session, Batch& batch, const BatchContext& context) {
  const unsigned losses = *context.lost_connections;
  const bool has_list = batch.info().control != ControlFormat::kNone;
  if (losses == batch.losses_seen() || !has_list) co_return Result<void>();
  const auto lookout = co_await look_for_delivered(session, batch.journal());
  if (!lookout) co_return lookout.error();
  if (lookout->misses_some) co_return lost_error(batch.info());
  batch.set_losses_seen(losses);
  co_return Result<void>();
}

/// Of a control file that has its name no more, or never had it: the receiver took it, unless the
/// files that it lists all lie there still. Then somebody may have removed the part: who reads the
/// list twice knows the batch by its id, and who never reads it knows nothing of the files.
Task<Result<bool>> are_files_there(Session& session, const BatchJournal& journal) {
  const auto lookout = co_await look_for_delivered(session, journal);
  if (!lookout) co_return lookout.error();
  co_return lookout->has_some && !lookout->misses_some;
}

/// Whether what has the control file's name is ours: a fixed name may be that of an earlier list.
Task<Result<bool>> has_list(Session& session, std::string control_path, Pushing pushing) {
  if (!pushing.sha256) {
    const auto found = co_await look_at(*session.client, control_path);
    if (!found) co_return found.error();
    co_return found->has_value();
  }
  const Target target{.part_path = pushing.part_path,
                      .final_path = control_path,
                      .size = pushing.size,
                      .sha256 = *pushing.sha256};
  const auto fate = co_await fate_of_rename(*session.client, target);
  if (!fate) co_return fate.error();
  co_return *fate == RenameFate::kDone || *fate == RenameFate::kUnreadable;
}

Task<Result<ListFate>> look_for_list(Session& session, const BatchJournal& journal,
                                     Pushing pushing) {
  const auto part = co_await look_at(*session.client, pushing.part_path);
  if (!part) co_return part.error();
  if (*part) co_return ListFate::kPending;
  const auto is_there = co_await has_list(session, journal.info().control_path, pushing);
  if (!is_there) co_return is_there.error();
  if (*is_there) co_return ListFate::kPushed;
  if (!pushing.mark_path.empty()) {
    const auto mark = co_await look_at(*session.client, pushing.mark_path);
    if (!mark) co_return mark.error();
    if (!*mark) co_return ListFate::kLost;
  }
  const auto are_there = co_await are_files_there(session, journal);
  if (!are_there) co_return are_there.error();
  co_return *are_there ? ListFate::kPending : ListFate::kPushed;
}

}  // namespace

std::string mark_path(const BatchInfo& info) {
  return part_path(info.control_path, part_token(info.id, info.control_path, 0));
}

Task<Result<ListFate>> fate_of_list(Session& session, BatchJournal& journal) {
  if (journal.is_pushed()) co_return ListFate::kPushed;
  const auto pushing = journal.pushing();
  if (!pushing) co_return ListFate::kPending;
  const auto fate = co_await look_for_list(session, journal, *pushing);
  if (!fate || *fate != ListFate::kPending) co_return fate;
  const auto noted = co_await note_not_pushed(session, journal);
  if (!noted) co_return noted.error();
  co_return fate;
}

Task<Result<void>> note_not_pushed(Session& session, BatchJournal& journal) {
  auto noted = journal.note_not_pushed();
  if (noted) noted = co_await sync(session, journal);
  co_return noted;
}

/// Not before that is on the disk: without the mark nobody could tell any more.
Task<Result<void>> remove_mark(Session& session, BatchJournal& journal) {
  const auto pushing = journal.pushing();
  if (!pushing || pushing->mark_path.empty()) co_return Result<void>();
  auto noted = journal.note_pushed();
  if (noted) noted = co_await sync(session, journal);
  if (!noted) co_return noted;
  const auto removed = co_await remove_leftover(*session.client, pushing->mark_path);
  if (session.client->error()) co_return *session.client->error();
  session.lets_remove = removed || removed.error().kind == ErrorKind::kNotFound;
  co_return Result<void>();
}

Task<Result<void>> finish_at_destination(Session& session, Batch& batch,
                                         const KeptControlFile* kept, const BatchContext& context) {
  const auto fate = co_await fate_of_list(session, batch.journal());
  if (!fate) co_return fate.error();
  if (*fate == ListFate::kLost) co_return lost_error(batch.info());
  const auto removed = co_await remove_abandoned_parts(session, batch);
  if (!removed || kept == nullptr) co_return removed;
  if (*fate != ListFate::kPushed) {
    const auto looked = co_await look_after_losses(session, batch, context);
    if (!looked) co_return looked;
    const auto pushed = co_await push_all(session, batch, *kept, context);
    if (!pushed) co_return pushed;
  }
  const auto unmarked = co_await remove_mark(session, batch.journal());
  if (!unmarked) co_return unmarked;
  co_return co_await remove_kept(session, batch);
}

}  // namespace ferry::transfer
