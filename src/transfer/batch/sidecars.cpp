#include "transfer/batch/sidecars.h"

#include <algorithm>
#include <cstring>

#include "ferry/base/log.h"
#include "ferry/base/path.h"
#include "transfer/deliver/publish.h"
#include "transfer/naming/free_name.h"
#include "transfer/naming/remote_path.h"
#include "transfer/run/tenure.h"

namespace ferry::transfer {
namespace {

using sftp::Client;
using sftp::Task;

constexpr std::size_t kSha256Bytes = 32;

/// At once, over one connection: each has a handle.
constexpr std::size_t kSideBySide = 32;

std::string content_of(Sidecar sidecar, const Checksum& sha256, std::string_view path) {
  if (sidecar != Sidecar::kSha256) return {};
  return sum_line(sha256, base_name(path));
}

/// What sum_line makes of any checksum and this name.
bool is_sum_line(std::string_view text, std::string_view expected) {
  const std::size_t digits_at = expected.starts_with('\\') ? 1 : 0;
  const std::size_t digits_end = digits_at + 2 * kSha256Bytes;
  return text.size() == expected.size() &&
         text.substr(0, digits_at) == expected.substr(0, digits_at) &&
         text.substr(digits_end) == expected.substr(digits_end);
}

Task<Result<std::string>> read_small(Client& client, std::string path, std::uint64_t at_most) {
  const auto handle = co_await client.open(path, sftp::kOpenRead, 0);
  if (!handle) co_return handle.error();
  std::string text;
  const sftp::DataSink take = [&](std::span<const std::byte> data) {
    text.append(reinterpret_cast<const char*>(data.data()), data.size());
  };
  const auto read = co_await client.read(*handle, at_most, take);
  const auto closed = co_await client.close(*handle);
  if (!read) co_return read.error();
  if (!closed) co_return closed.error();
  co_return text;
}

std::string sidecar_path(const BatchInfo& info, const BatchFile& file) {
  return file.remote_path + std::string(suffix_of(info.sidecar));
}

class Sidecars {
 public:
  Sidecars(Session& session, Batch& batch, unsigned try_number, const TransferOptions& options)
      : session_(session), batch_(batch), try_number_(try_number), options_(options) {}

  Task<Result<void>> push_all() {
    if (batch_.info().sidecar == Sidecar::kNone) co_return Result<void>();
    auto marks = batch_.journal().marks();
    if (!marks) co_return marks.error();
    for (std::optional<Place> from = 0; from && outcome_;) {
      auto group = next_group(*marks, *from);
      if (!group) co_return group.error();
      sftp::TaskGroup lanes(*session_.loop);
      for (const BatchFile& file : group->files) lanes.spawn(push(file));
      co_await lanes;
      from = group->next;
    }
    co_return outcome_;
  }

 private:
  using Place = BatchJournal::Place;
  struct Group {
    std::vector<BatchFile> files;
    std::optional<Place> next;  // nothing: these are the last
  };

  Result<Group> next_group(const BatchJournal::Marks& marks, Place from) const {
    Group group;
    auto visited = batch_.journal().visit_begun(from, [&](Place place, const BatchFile& file) {
      if (group.files.size() == kSideBySide) {
        group.next = place;
        return false;
      }
      if (marks.is_delivered(place)) group.files.push_back(file);
      return true;
    });
    if (!visited) return visited.error();
    return group;
  }

  /// What is in the way is left alone.
  Task<Result<bool>> has_room(const BatchFile& file) {
    if (file.if_exists == IfExists::kReplace) co_return true;
    Client& client = *session_.client;
    const auto can = co_await can_have_sidecar(client, batch_.info().sidecar, file.remote_path);
    if (can && !*can) {
      log::warning("sidecar not pushed", {{"batch_id", batch_.info().id},
                                          {"remote_path", sidecar_path(batch_.info(), file)},
                                          {"reason", "somebody else's file has the name"}});
    }
    co_return can;
  }

  Task<void> push(BatchFile file) {
    const BatchInfo& info = batch_.info();
    const auto room = co_await has_room(file);
    if (!room && outcome_) outcome_ = room.error();
    if (!room || !*room) co_return;
    const std::string content = content_of(info.sidecar, file.sha256, file.remote_path);
    const Target target{.part_path = sidecar_part(info, file, try_number_),
                        .final_path = sidecar_path(info, file),
                        .size = content.size(),
                        .sha256 = sha256_of(content)};
    const Content source{
        .source = {.read = [&content](std::uint64_t offset,
                                      std::span<std::byte> buffer) -> Result<void> {
          std::memcpy(buffer.data(), content.data() + offset, buffer.size());
          return {};
        }},
        .on_acknowledged = [](std::uint64_t, std::size_t) {}};
    auto pushed = co_await upload_part(session_, target, source, options_);
    if (pushed) pushed = co_await confirm_tenure(batch_.presence(), *session_.loop);
    if (pushed) pushed = co_await rename_part(*session_.client, target);
    if (pushed) co_return;
    batch_.abandon_part(target.part_path);
    if (outcome_) outcome_ = pushed;
  }

  Session& session_;
  Batch& batch_;
  const unsigned try_number_;
  const TransferOptions& options_;
  Result<void> outcome_;
};

}  // namespace

std::string sidecar_part(const BatchInfo& info, const BatchFile& file, unsigned try_number) {
  return part_path(sidecar_path(info, file), part_token(info.id, file.id, try_number));
}

Task<Result<bool>> can_have_sidecar(Client& client, Sidecar sidecar, std::string remote_path) {
  if (sidecar == Sidecar::kNone) co_return true;
  const std::string path = remote_path + std::string(suffix_of(sidecar));
  const auto occupant = co_await look_at(client, path);
  if (!occupant) co_return occupant.error();
  if (!*occupant) co_return true;
  const sftp::Attributes& there = **occupant;
  const std::string expected = content_of(sidecar, Checksum(), remote_path);
  const bool may_be_one =
      sftp::is_regular(there) && there.size.value_or(expected.size()) == expected.size();
  if (!may_be_one || expected.empty()) co_return may_be_one;
  const auto text = co_await read_small(client, path, expected.size());
  if (text) co_return is_sum_line(*text, expected);
  if (client.error()) co_return *client.error();
  // Where nothing may be read, its size is all that there is to go by.
  co_return text.error().kind == ErrorKind::kDenied;
}

Task<Result<void>> push_sidecars(Session& session, Batch& batch, unsigned try_number,
                                 const TransferOptions& options) {
  Sidecars sidecars(session, batch, try_number, options);
  co_return co_await sidecars.push_all();
}

}  // namespace ferry::transfer
