#include "landing/upload/remote_place.h"

#include <algorithm>
#include <utility>

#include "ferry/sftp/read_ahead.h"
#include "ferry/sftp/remote_path.h"

namespace ferry::landing {
namespace {

using sftp::Task;

/// The server's umask decides what is left of these.
constexpr std::uint32_t kPermissions = 0666;
constexpr std::size_t kBlockBytes = 4 << 20;

bool has_staged(const Result<sftp::Attributes>& found, const StagedFile& file) {
  return found && sftp::is_version(*found, file.identity);
}

}  // namespace

RemotePlace::RemotePlace(std::unique_ptr<sftp::EventLoop> loop,
                         std::unique_ptr<sftp::Client> client, std::string directory)
    : loop_(std::move(loop)),
      client_(std::move(client)),
      directory_(std::move(directory)),
      directories_(*client_) {}

Result<std::unique_ptr<UploadPlace>> RemotePlace::open(const sftp::Location& location,
                                                       StopToken& stop) {
  auto loop = std::make_unique<sftp::EventLoop>(stop);
  auto client = loop->wait_for(sftp::Client::connect(location.connect, {}, *loop));
  if (!client) return client.error();
  std::unique_ptr<RemotePlace> place(
      new RemotePlace(std::move(loop), std::move(*client), location.directory));
  const auto there = place->loop_->wait_for(place->client_->stat(location.directory));
  if (!there) return there.error().with_context("landing area " + location.directory);
  if (there->permissions && !sftp::is_directory(*there)) {
    return make_error(ErrorKind::kInvalid, "landing area {}: is not a directory",
                      location.directory);
  }
  return place;
}

std::string RemotePlace::at(const std::string& path) const {
  return sftp::join_remote(directory_, path);
}

// Staging.

/// Gathers blocks that keep the line busy; what the last one lacks goes with the end.
class RemotePlace::Remote final : public Staging {
 public:
  Remote(RemotePlace& place, sftp::Handle handle, std::string path)
      : place_(place), handle_(std::move(handle)), path_(std::move(path)) {}

  Result<void> write(std::span<const std::byte> data) override {
    block_.reserve(kBlockBytes);
    while (!data.empty()) {
      const auto part = data.first(std::min(data.size(), kBlockBytes - block_.size()));
      block_.insert(block_.end(), part.begin(), part.end());
      data = data.subspan(part.size());
      if (block_.size() < kBlockBytes) continue;
      if (auto sent = send_block(); !sent) return sent;
    }
    return {};
  }

  Result<FileIdentity> finish() override {
    if (auto sent = send_block(); !sent) return sent.error();
    return place_.loop_->wait_for(place_.finish(handle_, path_));
  }

 private:
  Result<void> send_block() {
    if (block_.empty()) return {};
    const sftp::ByteSource bytes{
        .read = [&](std::uint64_t offset, std::span<std::byte> space) -> Result<void> {
          const auto from = static_cast<std::ptrdiff_t>(offset - offset_);
          std::copy_n(block_.begin() + from, space.size(), space.begin());
          return {};
        }};
    const sftp::OnAcknowledged ignore = [](std::uint64_t, std::size_t) {};
    const auto end = offset_ + block_.size();
    auto sent = place_.loop_->wait_for(place_.client_->write(handle_, offset_, end, bytes, ignore));
    offset_ = end;
    block_.clear();
    return sent;
  }

  RemotePlace& place_;
  sftp::Handle handle_;
  std::string path_;
  std::vector<std::byte> block_;
  std::uint64_t offset_ = 0;  // where the block begins
};

Result<std::unique_ptr<Staging>> RemotePlace::stage(const std::string& temporary) {
  auto handle = loop_->wait_for(create(at(temporary)));
  if (!handle) return handle.error();
  return std::make_unique<Remote>(*this, std::move(*handle), at(temporary));
}

Task<Result<sftp::Handle>> RemotePlace::create(std::string path) {
  const auto directory = co_await directories_.ensure(parent_of(path));
  if (!directory) co_return directory.error();
  auto handle = co_await client_->open(
      path, sftp::kOpenWrite | sftp::kOpenCreate | sftp::kOpenExclusive, kPermissions);
  if (!handle) co_return handle.error().with_context("create " + path);
  co_return std::move(*handle);
}

Task<Result<FileIdentity>> RemotePlace::finish(const sftp::Handle& handle, std::string path) {
  Result<void> outcome;
  if (client_->offers_fsync()) outcome = co_await client_->fsync(handle);
  const auto closed = co_await client_->close(handle);
  if (outcome && !closed) outcome = closed;
  if (!outcome) co_return outcome.error();
  const auto attributes = co_await client_->stat(path);
  if (!attributes) co_return attributes.error().with_context("look at " + path);
  const auto identity = sftp::identity_of(*attributes);
  if (!identity) {
    co_return make_error(ErrorKind::kFailed, "the server does not tell the size and time of files");
  }
  co_return *identity;
}

// Judging.

Task<Result<std::vector<std::byte>>> RemotePlace::head_of(std::string path, std::size_t size) {
  std::vector<std::byte> head;
  const auto handle = co_await client_->open(path, sftp::kOpenRead, 0);
  if (!handle) co_return handle.error();
  Result<void> outcome;
  {
    sftp::ReadBudget budget;
    sftp::ReadAhead data(*client_, *handle, 0, size, budget);
    for (bool at_end = size == 0; outcome && !at_end;) {
      const auto block = co_await data.next();
      if (!block) {
        outcome = block.error();
      } else {
        head.insert(head.end(), block->begin(), block->end());
        at_end = block->empty() || head.size() >= size;
      }
    }
  }
  const auto closed = co_await client_->close(*handle);
  if (outcome && !closed) outcome = closed.error();
  if (!outcome) co_return outcome.error();
  co_return head;
}

Result<std::optional<std::string>> RemotePlace::judge(const StagedFile& file,
                                                      const AcceptancePolicy& policy,
                                                      const std::string&, const StopToken&) {
  std::vector<std::byte> head;
  if (const std::size_t wanted = magic_length(policy); wanted > 0) {
    auto read = loop_->wait_for(head_of(at(file.temporary), wanted));
    if (!read) return read.error();
    head = std::move(*read);
  }
  return refusal_reason(policy, {.path = file.path, .size = file.identity.size, .head = head});
}

// Names.

/// Of an upload that was decided earlier, perhaps long ago.
Task<Result<void>> RemotePlace::check_newer(const StagedFile& file,
                                            const Result<sftp::Attributes>& there) {
  const auto staged = co_await client_->lstat(at(file.temporary));
  if (!staged && staged.error().kind != ErrorKind::kNotFound) co_return staged.error();
  if (!has_staged(staged, file)) {
    co_return make_error(ErrorKind::kNotFound, "{}: it was taken away or replaced", file.path);
  }
  if (there && (!file.replaces || sftp::identity_of(*there) != file.replaces)) {
    co_return make_error(ErrorKind::kFailed, "{}: a newer file has this name already", file.path);
  }
  co_return Result<void>();
}

Task<Result<RemotePlace::Published>> RemotePlace::publish_one(const StagedFile& file,
                                                              Replace replace) {
  const std::string final_path = at(file.path);
  const std::string temporary = at(file.temporary);
  const auto there = co_await client_->lstat(final_path);
  if (!there && there.error().kind != ErrorKind::kNotFound) co_return there.error();
  if (has_staged(there, file)) {
    const auto left = co_await client_->lstat(temporary);
    if (!left && left.error().kind == ErrorKind::kNotFound) co_return Published::kAlready;
  }
  const bool may_replace = replace != Replace::kNothing;
  if (there && (!may_replace || sftp::is_directory(*there))) {
    co_return make_error(ErrorKind::kFailed, "{}: {} has this name already", file.path,
                         sftp::is_directory(*there) ? "a directory" : "a file");
  }
  if (replace == Replace::kWhatWasThere) {
    const auto checked = co_await check_newer(file, there);
    if (!checked) co_return checked.error();
  }
  // The plain rename refuses a name that was taken since.
  const bool is_plain = !may_replace || (replace == Replace::kWhatWasThere && !there);
  auto rename =
      is_plain ? client_->rename(temporary, final_path) : client_->replace(temporary, final_path);
  const auto renamed = co_await rename;
  if (!renamed) co_return renamed.error().with_context("rename to " + final_path);
  co_return there ? Published::kReplaced : Published::kNew;
}

/// A server without space has none for another name either.
Task<Result<void>> RemotePlace::take_back(const StagedFile& file) {
  const std::string final_path = at(file.path);
  const auto back = co_await client_->rename(final_path, at(file.temporary));
  if (back) co_return back;
  const auto there = co_await client_->lstat(final_path);
  if (!has_staged(there, file)) co_return back;
  co_return co_await client_->remove(final_path);
}

Result<void> RemotePlace::publish(std::span<const StagedFile> files, Replace replace) {
  std::vector<const StagedFile*> taken;
  for (const StagedFile& file : files) {
    const auto published = loop_->wait_for(publish_one(file, replace));
    if (!published) {
      for (const StagedFile* one : taken) {
        const auto back = loop_->wait_for(take_back(*one));
        if (!back) not_undone_ = back.error();
      }
      return published.error();
    }
    if (*published == Published::kNew) taken.push_back(&file);
  }
  return {};
}

Task<Result<std::optional<FileIdentity>>> RemotePlace::occupant(std::string path) {
  const auto found = co_await client_->lstat(path);
  if (!found && found.error().kind != ErrorKind::kNotFound) co_return found.error();
  if (!found) co_return std::optional<FileIdentity>();
  co_return sftp::identity_of(*found);
}

Result<std::vector<std::optional<FileIdentity>>> RemotePlace::occupants(
    std::span<const StagedFile> files) {
  std::vector<std::optional<FileIdentity>> identities;
  for (const StagedFile& file : files) {
    const auto found = loop_->wait_for(occupant(at(file.path)));
    if (!found) return found.error();
    identities.push_back(*found);
  }
  return identities;
}

Result<std::vector<std::optional<FileIdentity>>> RemotePlace::identities(
    std::span<const StagedFile> files) {
  auto found = occupants(files);
  if (!found) return found;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (found->at(i) != files[i].identity) found->at(i).reset();
  }
  return found;
}

Task<Result<std::size_t>> RemotePlace::remove(std::span<const std::string> temporaries) {
  std::size_t count = 0;
  for (const std::string& temporary : temporaries) {
    const auto removed = co_await client_->remove(at(temporary));
    if (!removed && removed.error().kind != ErrorKind::kNotFound) co_return removed.error();
    count += removed ? 1 : 0;
  }
  co_return count;
}

Result<std::size_t> RemotePlace::discard(std::span<const std::string> temporaries) {
  if (not_undone_) return *not_undone_;
  return loop_->wait_for(remove(temporaries));
}

}  // namespace ferry::landing
