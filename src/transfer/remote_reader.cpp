#include "transfer/remote_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "ferry/sftp/client.h"
#include "ferry/sftp/read_ahead.h"
#include "ferry/sftp/shared_result.h"
#include "transfer/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Task;
using Clock = std::chrono::steady_clock;

/// Many files may ask at once for a connection that cannot be had.
constexpr std::chrono::seconds kConnectPause{1};

/// The destination's connection is another one: it is not to be given up for this.
Error as_source_error(Error error, const sftp::Location& location) {
  if (sftp::ends_connection(error.kind)) error.kind = ErrorKind::kUnreachable;
  return error.with_context(fmt::format("landing area on {}", location.connect.host));
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
      : client_(std::move(client)), location_(location) {}
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  /// What was begun comes to its end: it owns itself.
  ~Line() { [[maybe_unused]] const auto ran = client_->run(); }

  sftp::Client& client() { return *client_; }
  sftp::ReadBudget& budget() { return budget_; }
  bool is_lost() const { return lost_; }
  std::string remote_path(const std::string& path) const {
    return join_remote(location_.directory, path);
  }
  Error as_error(const Error& error) const { return as_source_error(error, location_); }

  /// Moves bytes until TASK has its result.
  template <typename T>
  Result<T> wait_for(Task<Result<T>> task) {
    std::optional<Result<T>> outcome;
    client_->spawn(keep(std::move(task), outcome));
    if (!client_->run()) lost_ = true;
    return std::move(*outcome);
  }

 private:
  template <typename T>
  static Task<void> keep(Task<Result<T>> task, std::optional<Result<T>>& outcome) {
    outcome = co_await std::move(task);
  }

  std::unique_ptr<sftp::Client> client_;
  const sftp::Location& location_;
  sftp::ReadBudget budget_;
  bool lost_ = false;
};

/// A file that is being opened or open; shared with the task that opens it.
struct RemoteReader::Opening {
  std::string path;
  std::optional<FileIdentity> expected;
  Range range;
  sftp::Handle handle;
  std::unique_ptr<sftp::ReadAhead> data;
  sftp::SharedResult<Result<FileIdentity>> outcome;
  bool is_open = false;
  bool is_abandoned = false;  // nobody wants it any more

  static Task<void> run(Line& line, std::shared_ptr<Opening> self);

 private:
  Task<Result<FileIdentity>> open(Line& line);
};

Task<void> RemoteReader::Opening::run(Line& line, std::shared_ptr<Opening> self) {
  const auto opened = co_await self->open(line);
  if (self->is_open && self->is_abandoned) {
    self->data.reset();
    [[maybe_unused]] const auto closed = co_await line.client().close(self->handle);
  }
  self->outcome.set(opened);
}

Task<Result<FileIdentity>> RemoteReader::Opening::open(Line& line) {
  const auto opened = co_await line.client().open(line.remote_path(path), sftp::kOpenRead, 0);
  if (!opened) {
    if (opened.error().kind == ErrorKind::kNotFound) co_return source_vanished(path);
    co_return line.as_error(opened.error()).with_context(path);
  }
  handle = *opened;
  is_open = true;
  if (expected && !is_abandoned) {
    data = std::make_unique<sftp::ReadAhead>(line.client(), handle, range.begin, range.end,
                                             line.budget());
  }
  const auto attributes = co_await line.client().fstat(handle);
  if (!attributes) co_return line.as_error(attributes.error()).with_context(path);
  const auto identity = identity_from(*attributes, path);
  if (!identity) co_return identity.error();
  if (expected && *identity != *expected) co_return source_changed(path, "before it was sent");
  if (!data && !is_abandoned) {
    data =
        std::make_unique<sftp::ReadAhead>(line.client(), handle, 0, identity->size, line.budget());
  }
  co_return identity;
}

class RemoteReader::File final : public Source {
 public:
  File(std::shared_ptr<Line> line, std::shared_ptr<Opening> opening)
      : line_(std::move(line)),
        opening_(std::move(opening)),
        position_(opening_->expected ? opening_->range.begin : 0) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() override {
    opening_->is_abandoned = true;
    opening_->data.reset();
    // Sent with the next thing that anybody waits for.
    if (!std::exchange(opening_->is_open, false)) return;
    line_->client().spawn(close(line_->client(), opening_->handle));
  }

  Result<void> read(std::uint64_t offset, std::span<std::byte> buffer) override {
    if (offset != position_) {
      return make_error(ErrorKind::kFailed, "{}: read at {}, not at {}: not in order",
                        opening_->path, offset, position_);
    }
    while (!buffer.empty()) {
      if (taken_ == block_.size()) {
        if (auto filled = next_block(); !filled) return filled;
      }
      const std::size_t count = std::min(buffer.size(), block_.size() - taken_);
      std::copy_n(block_.begin() + static_cast<std::ptrdiff_t>(taken_), count, buffer.begin());
      taken_ += count;
      position_ += count;
      buffer = buffer.subspan(count);
    }
    return {};
  }

  Result<FileIdentity> identity() override { return line_->wait_for(opened(*opening_)); }

  Result<void> verify_unchanged() override {
    const auto before = identity();
    if (!before) return before.error();
    const auto after = line_->wait_for(look_again(*line_, *opening_));
    if (!after) return after.error();
    if (*before != *after) return source_changed(opening_->path, "while it was read");
    return {};
  }

 private:
  static Task<void> close(sftp::Client& client, sftp::Handle handle) {
    [[maybe_unused]] const auto closed = co_await client.close(std::move(handle));
  }

  static Task<Result<FileIdentity>> opened(Opening& opening) { co_return co_await opening.outcome; }

  static Task<Result<std::vector<std::byte>>> next(Line& line, Opening& opening) {
    const auto identity = co_await opening.outcome;
    if (!identity) co_return identity.error();
    auto data = co_await opening.data->next();
    if (!data) co_return line.as_error(data.error()).with_context(opening.path);
    if (data->empty()) {
      co_return source_changed(opening.path, "while it was read: it became shorter");
    }
    co_return data;
  }

  /// By its name, and not through a link: that what we opened is still what lies there.
  static Task<Result<FileIdentity>> look_again(Line& line, Opening& opening) {
    const auto open_file = co_await line.client().fstat(opening.handle);
    if (!open_file) co_return line.as_error(open_file.error());
    const auto named = co_await line.client().lstat(line.remote_path(opening.path));
    if (!named && named.error().kind == ErrorKind::kNotFound) {
      co_return source_vanished(opening.path);
    }
    if (!named) co_return line.as_error(named.error());
    const auto one = identity_from(*open_file, opening.path);
    const auto other = identity_from(*named, opening.path);
    if (one && other && *one != *other) co_return source_changed(opening.path, "while it was read");
    co_return one ? other : one;
  }

  Result<void> next_block() {
    auto data = line_->wait_for(next(*line_, *opening_));
    if (!data) return data.error();
    block_ = std::move(*data);
    taken_ = 0;
    return {};
  }

  std::shared_ptr<Line> line_;
  std::shared_ptr<Opening> opening_;
  std::uint64_t position_;
  std::vector<std::byte> block_;
  std::size_t taken_ = 0;
};

Result<std::shared_ptr<RemoteReader::Line>> RemoteReader::line() {
  if (line_ && !line_->is_lost()) return line_;
  if (failure_ && Clock::now() < failed_at_ + kConnectPause) return *failure_;
  line_.reset();
  const auto fail = [&](const Error& error) {
    failure_ = as_source_error(error, location_);
    failed_at_ = Clock::now();
    return *failure_;
  };
  sftp::ClientOptions options;
  options.stall_timeout = stall_timeout_;
  auto client = sftp::Client::connect(location_.connect, options, stop_);
  if (!client) return fail(client.error());
  failure_.reset();
  line_ = std::make_shared<Line>(std::move(*client), location_);
  return line_;
}

Result<void> RemoteReader::reach() {
  const auto reached = line();
  if (!reached) return reached.error();
  return {};
}

Result<std::unique_ptr<Source>> RemoteReader::open(const std::string& path,
                                                   const std::optional<FileIdentity>& expected,
                                                   Range range) {
  auto connected = line();
  if (!connected) return connected.error();
  auto opening = std::make_shared<Opening>();
  opening->path = path;
  opening->expected = expected;
  opening->range = range;
  (*connected)->client().spawn(Opening::run(**connected, opening));
  return std::make_unique<File>(std::move(*connected), std::move(opening));
}

}  // namespace ferry::transfer
