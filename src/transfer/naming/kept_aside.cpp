#include "transfer/naming/kept_aside.h"

#include "ferry/base/log.h"
#include "transfer/deliver/journal_lanes.h"
#include "transfer/deliver/removal.h"
#include "transfer/naming/free_name.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Attributes;
using sftp::Client;
using sftp::Task;
using Place = BatchJournal::Place;

/// As far as a server tells.
bool is_same_file(const Attributes& one, const Attributes& other) {
  return one.size == other.size && one.modified == other.modified &&
         one.permissions == other.permissions;
}

/// Something else than what was sent has TARGET's name: what was kept itself, which then was never
/// replaced, or somebody else's.
Task<Result<void>> leave_to_others(Client& client, Target target, std::string aside,
                                   Attributes kept) {
  const auto there = co_await look_at(client, target.final_path);
  if (!there) co_return there.error();
  if (!*there) co_return co_await client.rename(std::move(aside), std::move(target.final_path));
  if (is_same_file(**there, kept)) co_return co_await remove_leftover(client, std::move(aside));
  log::warning("not put back", {{"remote_path", target.final_path},
                                {"reason", "somebody else has put another file there since"},
                                {"kept", aside}});
  co_return Result<void>();
}

/// One that cannot be removed is in nobody's way.
Task<Result<void>> remove_aside(Client& client, std::string aside) {
  [[maybe_unused]] const auto removed = co_await remove_leftover(client, std::move(aside));
  if (client.error()) co_return *client.error();
  co_return Result<void>();
}

}  // namespace

std::string aside_path_of(const BatchInfo& info, const BatchFile& file) {
  return aside_path(file.remote_path, part_token(info.id, file.id, 0));
}

Task<Result<bool>> keep_aside(Client& client, std::string path, std::string aside) {
  if (client.offers_hardlink()) {
    const auto linked = co_await client.link(path, aside);
    if (linked) co_return true;
    if (client.error()) co_return *client.error();
  }
  const auto kept = co_await look_at(client, aside);
  if (!kept) co_return kept.error();
  if (*kept) co_return true;
  const auto there = co_await look_at(client, path);
  if (!there) co_return there.error();
  if (!*there || sftp::is_directory(**there)) co_return false;
  const auto moved = co_await client.rename(path, std::move(aside));
  if (!moved) co_return moved.error().with_context("keep aside what has the name " + path);
  co_return true;
}

Task<Result<bool>> put_back(Client& client, Target target, std::string aside) {
  const auto kept = co_await look_at(client, aside);
  if (!kept) co_return kept.error();
  if (!*kept) co_return false;
  const auto occupant = co_await occupant_of(client, target);
  if (!occupant) co_return occupant.error();
  Result<void> done;
  if (*occupant == Occupant::kOther) {
    done = co_await leave_to_others(client, target, aside, **kept);
  } else if (*occupant == Occupant::kNobody) {
    done = co_await client.rename(aside, target.final_path);
  } else {
    done = co_await client.replace(aside, target.final_path);
    // Of two names of one file rename(2) leaves both.
    if (done) {
      [[maybe_unused]] const auto removed = co_await remove_leftover(client, aside);
    }
  }
  if (!done) {
    co_return done.error().with_context(
        fmt::format("put {} back, which is kept as {}", target.final_path, aside));
  }
  co_return true;
}

Task<Result<void>> take_name_back(Client& client, Target target, bool was_named) {
  const auto occupant = co_await occupant_of(client, target);
  if (!occupant) co_return occupant.error();
  if (*occupant == Occupant::kNobody) co_return Result<void>();
  const bool is_ours =
      *occupant == Occupant::kSame || (*occupant == Occupant::kUnreadable && was_named);
  if (!is_ours) {
    if (!was_named) co_return Result<void>();
    log::warning("not removed", {{"remote_path", target.final_path},
                                 {"reason", "somebody else has put another file there since"}});
    co_return Result<void>();
  }
  const auto removed = co_await client.remove(target.final_path);
  if (!removed && removed.error().kind != ErrorKind::kNotFound) {
    co_return removed.error().with_context("remove " + target.final_path);
  }
  co_return Result<void>();
}

Task<Result<void>> remove_kept(Session& session, Batch& batch) {
  if (!batch.info().all_or_nothing) co_return Result<void>();
  const auto marks = batch.journal().marks();
  if (!marks) co_return marks.error();
  const std::function<bool(Place)> wanted = [&](Place place) {
    return BatchJournal::Marks::has(marks->existing, place);
  };
  const std::function<Task<Result<void>>(BegunFile)> remove = [&](BegunFile begun) {
    return remove_aside(*session.client, aside_path_of(batch.info(), begun.file));
  };
  co_return co_await for_each_begun(session, batch.journal(), wanted, remove);
}

}  // namespace ferry::transfer
