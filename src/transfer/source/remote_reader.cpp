#include "transfer/source/remote_reader.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <utility>
#include <vector>

#include "ferry/sftp/client.h"
#include "ferry/sftp/read_ahead.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Task;
using Clock = std::chrono::steady_clock;

/// Many files may ask at once for a connection that cannot be had.
constexpr std::chrono::seconds kConnectPause{1};

/// What all connections together may read ahead, and what one may.
constexpr std::size_t kReadAheadInAll = 8 << 20;
constexpr std::size_t kLeastReadAhead = 1 << 20;
constexpr std::size_t kMostReadAhead = 8 << 20;

/// The destination's connection is another one: it is not to be given up for this.
Error as_source_error(Error error, const sftp::Location& location) {
  if (sftp::ends_connection(error.kind)) error.kind = ErrorKind::kUnreachable;
  return error.with_context(fmt::format("landing area on {}", location.connect.host));
}

std::string name_of(const sftp::Location& location) {
  return location.directory + " on " + location.connect.host;
}

Result<FileIdentity> identity_from(const sftp::Attributes& attributes, const std::string& path) {
  if (!sftp::is_regular(attributes)) {
    return make_error(ErrorKind::kAbnormal, "{}: not a regular file", path);
  }
  const auto identity = sftp::identity_of(attributes);
  if (identity) return *identity;
  return make_error(ErrorKind::kAbnormal, "{}: the server does not tell its size and time", path);
}

}  // namespace

/// A connection, kept for as long as a file is open on it.
class RemoteReader::Line {
 public:
  Line(std::unique_ptr<sftp::Client> client, const sftp::Location& location)
      : client_(std::move(client)), location_(location) {
    ++lines_;
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line() { --lines_; }

  sftp::Client& client() { return *client_; }
  sftp::ReadBudget& budget() {
    budget_.limit = std::clamp(kReadAheadInAll / lines_, kLeastReadAhead, kMostReadAhead);
    return budget_;
  }
  std::string remote_path(const std::string& path) const {
    return join_remote(location_.directory, path);
  }
  Error as_error(const Error& error) const { return as_source_error(error, location_); }

  /// What it means that PATH is not there.
  Task<Error> not_there(std::string path) {
    const auto area = co_await client_->stat(location_.directory);
    if (area) co_return source_vanished(path);
    if (area.error().kind == ErrorKind::kNotFound) co_return source_not_mounted(path);
    co_return as_error(area.error()).with_context(path);
  }

  /// One that a task of its own client may let go of: it goes in the loop's next turn.
  static std::shared_ptr<Line> make(std::unique_ptr<sftp::Client> client,
                                    const sftp::Location& location) {
    sftp::EventLoop& loop = client->loop();
    return {new Line(std::move(client), location),
            [&loop](Line* line) { loop.post([owned = std::shared_ptr<Line>(line)] {}); }};
  }

 private:
  std::unique_ptr<sftp::Client> client_;
  const sftp::Location& location_;
  sftp::ReadBudget budget_;
  static inline std::atomic<std::size_t> lines_{0};  // of this process
};

class RemoteReader::File final : public Source {
 public:
  File(std::shared_ptr<Line> line, std::string path, sftp::Handle handle, FileIdentity identity,
       Range range)
      : line_(std::move(line)),
        path_(std::move(path)),
        handle_(std::move(handle)),
        identity_(identity),
        position_(range.begin),
        data_(line_->client(), handle_, range.begin, range.end, line_->budget()) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() override { line_->client().loop().spawn(close(line_, handle_)); }

  const std::string& path() const { return path_; }

  bool is_always_ready() const override { return false; }

  Task<Result<void>> await(std::size_t size) override {
    while (buffered_ < size) {
      auto block = co_await data_.next();
      if (!block) co_return line_->as_error(block.error()).with_context(path_);
      if (block->empty()) {
        co_return source_changed(path_, "while it was read: it became shorter");
      }
      buffered_ += block->size();
      blocks_.push_back(std::move(*block));
    }
    co_return Result<void>();
  }

  Result<void> read(std::uint64_t offset, std::span<std::byte> buffer) override {
    if (offset != position_ || buffer.size() > buffered_) {
      return make_error(ErrorKind::kFailed, "{}: read {} bytes at {} where {} are there at {}",
                        path_, buffer.size(), offset, buffered_, position_);
    }
    position_ += buffer.size();
    buffered_ -= buffer.size();
    while (!buffer.empty()) {
      const auto rest = std::span<const std::byte>(blocks_.front()).subspan(taken_);
      const std::size_t count = std::min(buffer.size(), rest.size());
      std::ranges::copy(rest.first(count), buffer.begin());
      buffer = buffer.subspan(count);
      taken_ += count;
      if (taken_ < blocks_.front().size()) continue;
      blocks_.pop_front();
      taken_ = 0;
    }
    return {};
  }

  Task<Result<FileIdentity>> identity() override { co_return identity_; }

  Task<Result<std::optional<std::uint32_t>>> permissions() override {
    const auto attributes = co_await line_->client().fstat(handle_);
    if (!attributes) co_return attributes.error().with_context(path_);
    if (!attributes->permissions) co_return std::optional<std::uint32_t>();
    co_return std::optional<std::uint32_t>(*attributes->permissions & kPermissionBits);
  }

  /// By its name, and not through a link: that what we opened is still what lies there.
  Task<Result<void>> verify_unchanged() override {
    const auto open_file = co_await line_->client().fstat(handle_);
    if (!open_file) co_return line_->as_error(open_file.error());
    const auto named = co_await line_->client().lstat(line_->remote_path(path_));
    if (!named && named.error().kind == ErrorKind::kNotFound) {
      co_return co_await line_->not_there(path_);
    }
    if (!named) co_return line_->as_error(named.error());
    for (const auto& attributes : {*open_file, *named}) {
      const auto identity = identity_from(attributes, path_);
      if (!identity) co_return identity.error();
      if (*identity != identity_) co_return source_changed(path_, "while it was read");
    }
    co_return Result<void>();
  }

 private:
  static Task<void> close(std::shared_ptr<Line> line, sftp::Handle handle) {
    [[maybe_unused]] const auto closed = co_await line->client().close(std::move(handle));
  }

  std::shared_ptr<Line> line_;
  const std::string path_;
  const sftp::Handle handle_;
  const FileIdentity identity_;
  std::uint64_t position_;
  sftp::ReadAhead data_;
  std::deque<std::vector<std::byte>> blocks_;
  std::size_t taken_ = 0;     // of the first block
  std::size_t buffered_ = 0;  // in all blocks, what was taken left out
};

Task<RemoteReader::Connected> RemoteReader::line() {
  if (connected_ && connected_->await_ready()) {
    const auto last = connected_->await_resume();
    const bool is_void =
        last ? (*last)->client().error().has_value() : Clock::now() >= failed_at_ + kConnectPause;
    if (is_void) connected_.reset();
  }
  if (connected_) {
    const auto waiting = connected_;
    sftp::SharedResult<Connected>& result = *waiting;
    co_return co_await result;
  }
  const auto result = std::make_shared<sftp::SharedResult<Connected>>();
  connected_ = result;
  auto outcome = co_await connect();
  if (!outcome) failed_at_ = Clock::now();
  result->set(outcome);
  co_return outcome;
}

Task<RemoteReader::Connected> RemoteReader::connect() {
  auto client = co_await sftp::Client::connect(location_.connect, {}, loop_);
  if (!client) co_return as_source_error(client.error(), location_);
  co_return Line::make(std::move(*client), location_);
}

Task<Result<void>> RemoteReader::reach() {
  const auto reached = co_await line();
  if (!reached) co_return reached.error();
  Line& line = **reached;
  const auto names = co_await line.client().list(location_.directory, 1);
  if (names && names->empty()) co_return area_is_empty(name_of(location_));
  // Who may not list a directory may be able to open what lies there.
  const bool is_there = names || (names.error().kind != ErrorKind::kNotFound &&
                                  !sftp::ends_connection(names.error().kind));
  if (is_there) co_return Result<void>();
  co_return line.as_error(names.error()).with_context(location_.directory);
}

Task<Result<std::unique_ptr<Source>>> RemoteReader::open(std::string path) {
  const auto connected = co_await line();
  if (!connected) co_return connected.error();
  Line& line = **connected;
  const auto named = co_await line.client().stat(line.remote_path(path));
  if (!named && named.error().kind == ErrorKind::kNotFound) co_return co_await line.not_there(path);
  if (!named) co_return line.as_error(named.error()).with_context(path);
  const auto identity = identity_from(*named, path);
  if (!identity) co_return identity.error();
  co_return co_await open(std::move(path), *identity, {0, identity->size});
}

Task<Result<std::unique_ptr<Source>>> RemoteReader::open(std::string path, FileIdentity expected,
                                                         Range range) {
  const auto connected = co_await line();
  if (!connected) co_return connected.error();
  Line& line = **connected;
  const auto handle = co_await line.client().open(line.remote_path(path), sftp::kOpenRead, 0);
  if (!handle) {
    if (handle.error().kind == ErrorKind::kNotFound) co_return co_await line.not_there(path);
    co_return line.as_error(handle.error()).with_context(path);
  }
  auto file = std::make_unique<File>(*connected, std::move(path), *handle, expected, range);
  // The first reads are on their way already.
  const auto attributes = co_await line.client().fstat(*handle);
  if (!attributes) co_return line.as_error(attributes.error()).with_context(file->path());
  const auto identity = identity_from(*attributes, file->path());
  if (!identity) co_return identity.error();
  if (*identity != expected) co_return source_changed(file->path(), "before it was sent");
  co_return file;
}

}  // namespace ferry::transfer
