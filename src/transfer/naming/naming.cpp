#include "transfer/naming/naming.h"

#include "transfer/deliver/journal_lanes.h"
#include "transfer/deliver/publish.h"
#include "transfer/deliver/removal.h"
#include "transfer/naming/free_name.h"
#include "transfer/naming/kept_aside.h"
#include "transfer/run/tenure.h"

namespace ferry::transfer {
namespace {

using sftp::Client;
using sftp::Task;
using Place = BatchJournal::Place;

const BatchFailure kRolledBack{
    .kind = std::string(to_string(ErrorKind::kFailed)),
    .message = "rolled back: the batch is all-or-nothing, and another file of it failed",
    .retryable = false};

Target target_of(const BatchFile& file) {
  return {.part_path = file.part_path,
          .final_path = file.remote_path,
          .size = file.size,
          .sha256 = file.sha256};
}

Task<Result<void>> look_at_target(Client& client, BatchJournal& journal, BegunFile begun) {
  const auto target = co_await client.lstat(begun.file.remote_path);
  if (!target && client.error()) co_return *client.error();
  // When in doubt it is not ours.
  const bool existed = target || target.error().kind != ErrorKind::kNotFound;
  co_return existed ? journal.note_existing(begun.place) : Result<void>();
}

/// Unless something else has the name.
Task<Result<void>> give_free_name(Client& client, BatchJournal& journal, BegunFile begun) {
  const auto published = co_await publish_if_free(client, target_of(begun.file));
  if (!published) co_return published.error();
  if (*published == Publication::kDone) {
    co_return journal.note_end(begun.place, {.date = now()});
  }
  if (begun.file.if_exists != IfExists::kSkip) {
    co_return make_error(ErrorKind::kFailed,
                         "another file has come to have the name {}, which the route does not "
                         "replace",
                         begun.file.remote_path);
  }
  [[maybe_unused]] const auto removed = co_await remove_leftover(client, begun.file.part_path);
  if (client.error()) co_return *client.error();
  co_return journal.note_end(begun.place, {.date = now(), .is_skipped = true});
}

/// Whatever has the name is kept first.
Task<Result<void>> give_name_for_good(Client& client, Batch& batch, BegunFile begun, bool existed) {
  const Target target = target_of(begun.file);
  if (!existed) {
    const auto published = co_await publish_if_free(client, target);
    if (!published) co_return published.error();
    if (*published == Publication::kDone) co_return Result<void>();
  }
  const std::string aside = aside_path_of(batch.info(), begun.file);
  const auto kept = co_await keep_aside(client, target.final_path, aside);
  if (!kept) co_return kept.error();
  if (*kept && !existed) {
    if (auto noted = batch.journal().note_existing(begun.place); !noted) co_return noted;
  }
  co_return co_await rename_part(client, target);
}

Task<Result<void>> give_name(Session& session, Batch& batch, bool existed, BegunFile begun) {
  Client& client = *session.client;
  const Target target = target_of(begun.file);
  const auto confirmed = co_await confirm_tenure(batch.presence(), *session.loop);
  if (!confirmed) co_return confirmed;
  if (begun.file.if_exists != IfExists::kReplace) {
    co_return co_await give_free_name(client, batch.journal(), std::move(begun));
  }
  auto renamed = co_await give_name_for_good(client, batch, begun, existed);
  if (!renamed && !client.error()) {
    // It may have been done by a request whose answer was lost.
    const auto fate = co_await fate_of_rename(client, target);
    const bool is_done = fate && (*fate == RenameFate::kDone || *fate == RenameFate::kUnreadable);
    if (is_done) renamed = Result<void>();
  }
  if (!renamed) co_return renamed;
  co_return batch.journal().note_end(begun.place, {.date = now()});
}

struct Before {
  bool was_named = false;
  bool existed = false;  // something else under that name
};

/// The name has again what it had before.
Task<Result<void>> clear_name(Client& client, Batch& batch, BegunFile begun, Before before) {
  const Target target = target_of(begun.file);
  if (begun.file.if_exists == IfExists::kReplace) {
    const auto put = co_await put_back(client, target, aside_path_of(batch.info(), begun.file));
    if (!put) co_return put.error();
    if (*put) co_return Result<void>();
  }
  if (before.existed) co_return Result<void>();
  co_return co_await take_name_back(client, target, before.was_named);
}

Task<Result<void>> take_back(Session& session, Batch& batch, Before before, BegunFile begun) {
  Client& client = *session.client;
  BatchJournal& journal = batch.journal();
  const auto confirmed = co_await confirm_tenure(batch.presence(), *session.loop);
  if (!confirmed) co_return confirmed;
  const auto removed = co_await remove_leftover(client, begun.file.part_path);
  if (client.error()) co_return *client.error();
  if (journal.is_naming()) {
    // Nothing but the rename takes away a part that was uploaded.
    const bool is_gone = !removed && removed.error().kind == ErrorKind::kNotFound;
    const Before known{.was_named = before.was_named || is_gone, .existed = before.existed};
    const auto cleared = co_await clear_name(client, batch, begun, known);
    if (!cleared) co_return cleared;
  }
  if (before.was_named) {
    if (auto noted = journal.note_void(begun.place); !noted) co_return noted;
  }
  co_return journal.note_end(begun.place, {.date = now(), .failure = kRolledBack});
}

/// Before the first name is taken back: whoever goes on after us must not give names again.
Task<Result<void>> note_rolling_back(Session& session, BatchJournal& journal) {
  if (!journal.is_naming() || journal.is_rolling_back()) co_return Result<void>();
  const auto noted = journal.note_rolling_back();
  if (!noted) co_return noted;
  auto syncing = session.loop->in_thread([&journal] { return journal.sync(); });
  co_return co_await syncing;
}

}  // namespace

bool is_rolled_back(const BatchFailure& failure) {
  return failure == kRolledBack;
}

Task<Result<void>> look_at_targets(Session& session, Batch& batch) {
  const auto marks = batch.journal().marks();
  if (!marks) co_return marks.error();
  const std::function<bool(Place)> wanted = [&](Place place) {
    return marks->is_open(place) && !BatchJournal::Marks::has(marks->existing, place);
  };
  const std::function<Task<Result<void>>(BegunFile)> look = [&](BegunFile begun) {
    return look_at_target(*session.client, batch.journal(), std::move(begun));
  };
  co_return co_await for_each_begun(session, batch.journal(), wanted, look);
}

Task<Result<void>> give_names(Session& session, Batch& batch) {
  const auto marks = batch.journal().marks();
  if (!marks) co_return marks.error();
  const std::function<bool(Place)> wanted = [&](Place place) { return marks->is_open(place); };
  const std::function<Task<Result<void>>(BegunFile)> name = [&](BegunFile begun) {
    // What is uploaded is in the part that was begun last.
    const auto [first, last] = marks->more_parts.equal_range(begun.place);
    if (first != last) begun.file.part_path = std::prev(last)->second;
    const bool existed = BatchJournal::Marks::has(marks->existing, begun.place);
    return give_name(session, batch, existed, std::move(begun));
  };
  co_return co_await for_each_begun(session, batch.journal(), wanted, name);
}

Task<Result<void>> roll_back(Session& session, Batch& batch) {
  const auto noted = co_await note_rolling_back(session, batch.journal());
  if (!noted) co_return noted;
  const auto marks = batch.journal().marks();
  if (!marks) co_return marks.error();
  const std::function<bool(Place)> wanted = [&](Place place) {
    return marks->is_open(place) || marks->is_delivered(place);
  };
  const std::function<Task<Result<void>>(BegunFile)> undo = [&](BegunFile begun) {
    const auto [first, last] = marks->more_parts.equal_range(begun.place);
    if (first != last) begun.file.part_path = std::prev(last)->second;
    const Before before{.was_named = marks->is_delivered(begun.place),
                        .existed = BatchJournal::Marks::has(marks->existing, begun.place)};
    return take_back(session, batch, before, std::move(begun));
  };
  co_return co_await for_each_begun(session, batch.journal(), wanted, undo);
}

}  // namespace ferry::transfer
