#include "landing/remote_place.h"

#include <algorithm>
#include <utility>

#include "ferry/sftp/read_ahead.h"
#include "ferry/sftp/remote_path.h"

namespace ferry::landing {
namespace {

using sftp::Task;

/// The server's umask decides what is left of these.
constexpr std::uint32_t kPermissions = 0666;
constexpr std::size_t kBlockBytes = 1 << 20;
/// Blocks on their way at once.
constexpr std::size_t kLanes = 4;

bool has_staged(const Result<sftp::Attributes>& found, const StagedFile& file) {
  return found && sftp::is_regular(*found) && sftp::identity_of(*found) == file.identity;
}

}  // namespace

/// What is read of a source so far; shared by the lanes that write it.
class RemotePlace::Content {
 public:
  explicit Content(const UploadSource& source) : source_(source) {}

  struct Block {
    std::uint64_t offset = 0;
    std::size_t size = 0;  // 0: there is no more
  };
  /// Fills BUFFER with the next bytes.
  Block take(std::span<std::byte> buffer) {
    Block block{.offset = offset_, .size = 0};
    while (!error_ && !at_end_ && block.size < buffer.size()) {
      const auto count = source_(buffer.subspan(block.size));
      if (!count) {
        fail(count.error());
      } else {
        at_end_ = *count == 0;
        block.size += *count;
      }
    }
    if (error_) return {};
    offset_ += block.size;
    return block;
  }

  void fail(const Error& error) {
    if (!error_) error_ = error;
  }
  Result<void> outcome() const {
    if (error_) return *error_;
    return {};
  }

 private:
  const UploadSource& source_;
  std::uint64_t offset_ = 0;
  bool at_end_ = false;
  std::optional<Error> error_;
};

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

Result<FileIdentity> RemotePlace::stage(const std::string& temporary, const UploadSource& source) {
  return loop_->wait_for(stage_at(at(temporary), source));
}

Task<Result<FileIdentity>> RemotePlace::stage_at(std::string path, const UploadSource& source) {
  const auto directory = co_await directories_.ensure(sftp::remote_parent(path));
  if (!directory) co_return directory.error();
  const auto handle = co_await client_->open(
      path, sftp::kOpenWrite | sftp::kOpenCreate | sftp::kOpenExclusive, kPermissions);
  if (!handle) co_return handle.error().with_context("create " + path);
  auto outcome = co_await fill(*handle, source);
  if (outcome && client_->offers_fsync()) outcome = co_await client_->fsync(*handle);
  const auto closed = co_await client_->close(*handle);
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

Task<Result<void>> RemotePlace::fill(const sftp::Handle& handle, const UploadSource& source) {
  Content content(source);
  sftp::TaskGroup lanes(*loop_);
  for (std::size_t i = 0; i < kLanes; ++i) lanes.spawn(lane(handle, content));
  co_await lanes;
  co_return content.outcome();
}

Task<void> RemotePlace::lane(const sftp::Handle& handle, Content& content) {
  std::vector<std::byte> buffer(kBlockBytes);
  for (;;) {
    const Content::Block block = content.take(buffer);
    if (block.size == 0) co_return;
    const sftp::ByteSource bytes{
        .read = [&](std::uint64_t offset, std::span<std::byte> space) -> Result<void> {
          const auto from = static_cast<std::ptrdiff_t>(offset - block.offset);
          std::copy_n(buffer.begin() + from, space.size(), space.begin());
          return {};
        }};
    const sftp::OnAcknowledged ignore = [](std::uint64_t, std::size_t) {};
    const auto written =
        co_await client_->write(handle, block.offset, block.offset + block.size, bytes, ignore);
    if (!written) content.fail(written.error());
  }
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

Task<Result<RemotePlace::Published>> RemotePlace::publish_one(const StagedFile& file,
                                                              bool no_clobber) {
  const std::string final_path = at(file.path);
  const std::string temporary = at(file.temporary);
  const auto there = co_await client_->lstat(final_path);
  if (!there && there.error().kind != ErrorKind::kNotFound) co_return there.error();
  if (has_staged(there, file)) {
    const auto left = co_await client_->lstat(temporary);
    if (!left && left.error().kind == ErrorKind::kNotFound) co_return Published::kAlready;
  }
  if (there && (no_clobber || sftp::is_directory(*there))) {
    co_return make_error(ErrorKind::kFailed, "{}: {} has this name already", file.path,
                         sftp::is_directory(*there) ? "a directory" : "a file");
  }
  // The plain rename refuses a name that was taken since.
  auto rename =
      no_clobber ? client_->rename(temporary, final_path) : client_->replace(temporary, final_path);
  const auto renamed = co_await rename;
  if (!renamed) co_return renamed.error().with_context("rename to " + final_path);
  co_return there ? Published::kReplaced : Published::kNew;
}

Task<Result<void>> RemotePlace::take_back(const StagedFile& file) {
  co_return co_await client_->rename(at(file.path), at(file.temporary));
}

Result<void> RemotePlace::publish(std::span<const StagedFile> files, bool no_clobber) {
  std::vector<const StagedFile*> taken;
  for (const StagedFile& file : files) {
    const auto published = loop_->wait_for(publish_one(file, no_clobber));
    if (!published) {
      for (const StagedFile* one : taken) [[maybe_unused]]
        const auto back = loop_->wait_for(take_back(*one));
      return published.error();
    }
    if (*published == Published::kNew) taken.push_back(&file);
  }
  return {};
}

Task<Result<std::optional<FileIdentity>>> RemotePlace::identity(const StagedFile& file) {
  const auto found = co_await client_->lstat(at(file.path));
  if (!found && found.error().kind != ErrorKind::kNotFound) co_return found.error();
  if (!has_staged(found, file)) co_return std::optional<FileIdentity>();
  co_return std::optional(file.identity);
}

Result<std::vector<std::optional<FileIdentity>>> RemotePlace::identities(
    std::span<const StagedFile> files) {
  std::vector<std::optional<FileIdentity>> identities;
  for (const StagedFile& file : files) {
    const auto found = loop_->wait_for(identity(file));
    if (!found) return found.error();
    identities.push_back(*found);
  }
  return identities;
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
  return loop_->wait_for(remove(temporaries));
}

}  // namespace ferry::landing
