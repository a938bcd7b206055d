#include "transfer/after_delivery/take_away_at_server.h"

#include <algorithm>

#include "ferry/sftp/remote_path.h"
#include "transfer/after_delivery/archive.h"
#include "transfer/verify/remote_digest.h"

namespace ferry::transfer {
namespace {

using metastore::FileRecord;
using sftp::Task;

/// Files under way at once: each takes four round trips.
constexpr std::size_t kLanes = 64;

bool is_version(const Result<sftp::Attributes>& found, const FileRecord& file) {
  return found && sftp::is_version(*found, file.identity);
}

}  // namespace

ServerTaker::ServerTaker(std::unique_ptr<sftp::EventLoop> loop,
                         std::unique_ptr<sftp::Client> client, std::string directory)
    : loop_(std::move(loop)),
      client_(std::move(client)),
      directories_(std::make_unique<sftp::RemoteDirectories>(*client_)),
      directory_(std::move(directory)) {}

Result<ServerTaker> ServerTaker::connect(const sftp::Location& location, StopToken& stop) {
  auto loop = std::make_unique<sftp::EventLoop>(stop);
  auto client = loop->wait_for(sftp::Client::connect(location.connect, {}, *loop));
  if (!client) return client.error();
  return ServerTaker(std::move(loop), std::move(*client), location.directory);
}

Result<void> ServerTaker::take(std::span<TakeAway* const> files) {
  std::size_t next = 0;
  for (std::size_t i = 0; i < std::min(kLanes, files.size()); ++i) {
    loop_->spawn(lane(files, next));
  }
  loop_->run();
  if (const auto& lost = client_->error()) return *lost;
  return {};
}

Task<void> ServerTaker::lane(std::span<TakeAway* const> files, std::size_t& next) {
  while (next < files.size()) {
    TakeAway& what = *files[next++];
    what.outcome = co_await take_one(what);
    if (what.outcome) what.is_under_way = false;
  }
}

Task<Result<Taken>> ServerTaker::take_one(TakeAway& what) {
  const FileRecord& file = what.file;
  if (!file.identity) {
    co_return make_error(ErrorKind::kFailed, "{}: its row tells neither size nor time", file.path);
  }
  const std::string name = sftp::join_remote(directory_, file.path);
  Place place{name, sftp::join_remote(parent_of(name), what.private_name)};
  const auto hidden = co_await hide(what, place);
  if (!hidden || *hidden != Taken::kAway) co_return hidden;
  auto moving = what.archive.empty() ? client_->remove(place.hidden) : move_to_archive(what, place);
  const auto moved = co_await moving;
  if (moved) co_return Taken::kAway;
  const auto back = co_await client_->rename(place.hidden, place.name);
  what.is_under_way = !back;
  co_return moved.error();
}

/// Gives the file its private name. kAway: it has it.
Task<Result<Taken>> ServerTaker::hide(TakeAway& what, Place& place) {
  const FileRecord& file = what.file;
  const auto earlier = co_await client_->lstat(place.hidden);
  if (!earlier && earlier.error().kind != ErrorKind::kNotFound) co_return earlier.error();
  place.was_hidden = earlier.has_value();
  if (is_version(earlier, file)) {
    const auto dropped = co_await drop_second_name(place, place.name);
    if (!dropped) co_return dropped.error();
    if (!*dropped) co_return Taken::kAway;
  } else if (earlier) {
    co_return co_await put_back(what, place);
  }
  const auto there = co_await client_->lstat(place.name);
  if (!there && there.error().kind == ErrorKind::kNotFound) co_return Taken::kGone;
  if (!there) co_return there.error();
  if (!is_version(there, file)) co_return Taken::kNewer;
  // In one step, if the server can: nobody else has the private name.
  const auto renamed = co_await client_->replace(place.name, place.hidden);
  what.is_under_way = renamed || sftp::ends_connection(renamed.error().kind);
  if (!renamed) co_return renamed.error().with_context("rename to " + place.hidden);
  const auto hidden = co_await client_->lstat(place.hidden);
  if (!hidden) co_return hidden.error().with_context("look at " + place.hidden);
  if (is_version(hidden, file)) co_return Taken::kAway;
  // It was replaced between the look and the rename.
  co_return co_await put_back(what, place);
}

Task<Result<Taken>> ServerTaker::put_back(TakeAway& what, const Place& place) {
  const auto back = co_await give_name(place, place.name);
  what.is_under_way = !back || !*back;
  if (!back) co_return back.error();
  if (!*back) {
    co_return make_error(ErrorKind::kFailed, "rename to {}: another file has the name", place.name);
  }
  co_return Taken::kNewer;
}

Task<Result<void>> ServerTaker::move_to_archive(const TakeAway& what, const Place& place) {
  std::string target = sftp::join_remote(what.archive, what.file.path);
  const auto made = co_await directories_->ensure(parent_of(target));
  if (!made) co_return made;
  auto moved = co_await give_name(place, target);
  if (!moved) co_return moved.error();
  if (*moved) co_return Result<void>();
  target = sftp::join_remote(parent_of(target), with_id(std::string(base_name(target)), what.file));
  moved = co_await give_name(place, target);
  if (!moved) co_return moved.error();
  if (*moved) co_return Result<void>();
  co_return make_error(ErrorKind::kFailed, "rename to {}: another file has the name", target);
}

/// Gives what is hidden the name TARGET. False if another file has it.
Task<Result<bool>> ServerTaker::give_name(const Place& place, std::string target) {
  const auto renamed = co_await client_->rename(place.hidden, target);
  if (renamed) co_return true;
  const auto taken = co_await client_->lstat(target);
  if (!taken) co_return renamed.error().with_context("rename to " + target);
  if (!place.was_hidden) co_return false;
  co_return co_await drop_second_name(place, target);
}

/// Removes the private name if OTHER is the same file, left by a rename that was cut short. False
/// if OTHER is not there, or another file.
Task<Result<bool>> ServerTaker::drop_second_name(const Place& place, std::string other) {
  const auto hidden = co_await client_->lstat(place.hidden);
  if (!hidden) co_return hidden.error();
  const auto there = co_await client_->lstat(other);
  if (!there && there.error().kind == ErrorKind::kNotFound) co_return false;
  if (!there) co_return there.error();
  const bool may_be = sftp::is_regular(*there) && there->size && there->size == hidden->size &&
                      there->modified == hidden->modified;
  if (!may_be) co_return false;
  const auto ours = co_await read_checksum(*client_, place.hidden, *hidden->size);
  if (!ours) co_return ours.error();
  const auto theirs = co_await read_checksum(*client_, other, *there->size);
  if (!theirs) co_return theirs.error();
  if (*ours != *theirs) co_return false;
  const auto removed = co_await client_->remove(place.hidden);
  if (!removed) co_return removed.error();
  co_return true;
}

}  // namespace ferry::transfer
