#include "ferry/sftp/client.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <vector>

#include "ferry/base/text.h"
#include "ferry/sftp/connect.h"
#include "ferry/sftp/shared_result.h"
#include "sftp/client/client_answers.h"

namespace ferry::sftp {
namespace {

/// Every server takes writes of this much data (draft-ietf-secsh-filexfer-02 §3: 34,000 bytes).
constexpr std::size_t kDefaultWriteBytes = 32 * 1024;
/// More saves little and makes progress coarse.
constexpr std::size_t kMaxWriteBytes = 255 * 1024;
/// Whatever a server asks for: each packet costs us more than its data.
constexpr std::size_t kLeastPacketData = 4 * 1024;

Result<wire::Version> parse_hello(const Result<wire::Packet>& reply) {
  if (!reply) return reply.error();
  return wire::parse_version(*reply);
}

/// None from a server that names the extension and then refuses it.
Result<ServerLimits> parse_limits(const Result<wire::Packet>& reply) {
  if (!reply) return reply.error();
  const auto limits = wire::parse_limits(*reply);
  return limits ? *limits : ServerLimits{};
}

using Names = std::optional<std::vector<DirectoryEntry>>;

/// What the answers to READDIR add up to, within bounds.
class Listing {
 public:
  explicit Listing(std::size_t enough) : enough_(enough) {}

  bool is_complete() const { return is_complete_; }
  const std::optional<Error>& error() const { return error_; }
  std::vector<DirectoryEntry> take() { return std::move(entries_); }

  void add(Result<Names> names) {
    if (!names) return end(names.error());
    if (!*names) return end({});
    empty_answers_ = (*names)->empty() ? empty_answers_ + 1 : 0;
    if (empty_answers_ > kMostEmptyAnswers) {
      return end(make_error(ErrorKind::kFailed, "the server lists a directory without end"));
    }
    for (DirectoryEntry& entry : **names) {
      bytes_ += entry.name.size();
      entries_.push_back(std::move(entry));
    }
    if (entries_.size() > Client::kMaxListedNames) {
      end(make_error(ErrorKind::kFailed, "more than {} names in one directory",
                     Client::kMaxListedNames));
    } else if (bytes_ > Client::kMaxListedBytes) {
      end(make_error(ErrorKind::kFailed, "more than {} MiB of names in one directory",
                     Client::kMaxListedBytes >> 20));
    } else if (entries_.size() >= enough_) {
      end({});
    }
  }

 private:
  /// An answer may have nothing but "." and "..".
  static constexpr unsigned kMostEmptyAnswers = 100;

  void end(std::optional<Error> error) {
    is_complete_ = true;
    error_ = std::move(error);
  }

  const std::size_t enough_;
  std::vector<DirectoryEntry> entries_;
  std::size_t bytes_ = 0;
  unsigned empty_answers_ = 0;
  bool is_complete_ = false;
  std::optional<Error> error_;
};

Result<Names> parse_names(const Result<wire::Packet>& reply) {
  if (!reply) return reply.error();
  return wire::parse_names(*reply);
}

}  // namespace

/// Nobody waits for it: what is asked before it comes keeps to what any server takes.
class Client::LimitsAnswer final : public ReplySink {
 public:
  explicit LimitsAnswer(Client& client) : client_(client) {}

  void on_reply(std::uint32_t, Result<wire::Packet> reply) override {
    if (const auto limits = parse_limits(reply)) client_.take_limits(*limits);
    came.set(true);
  }

  SharedResult<bool> came;

 private:
  Client& client_;
};

Client::Client(std::unique_ptr<Connection> connection)
    : connection_(std::move(connection)), handle_closed_(connection_->loop()) {}
Client::~Client() = default;

Task<Result<std::unique_ptr<Client>>> Client::start(std::unique_ptr<Channel> channel,
                                                    ClientOptions options, EventLoop& loop) {
  std::unique_ptr<Client> client(
      new Client(std::make_unique<Connection>(std::move(channel), options, loop)));
  const auto negotiated = co_await client->negotiate();
  if (negotiated) co_return client;
  co_await loop.next_turn();  // it is the client's own connection that resumed us
  co_return negotiated.error();
}

Task<Result<std::unique_ptr<Client>>> Client::connect(ConnectOptions where, ClientOptions options,
                                                      EventLoop& loop) {
  auto dial = loop.in_thread([&] { return sftp::connect(where, loop.stop()); });
  auto channel = co_await dial;
  if (!channel) co_return channel.error();
  static_cast<LineLimits&>(options) = where.limits;
  auto client = co_await start(std::move(*channel), options, loop);
  if (!client) co_return client.error().with_context(where.host);
  co_return client;
}

Task<Result<void>> Client::negotiate() {
  wire::append_init(connection_->out());
  Pending<wire::Version> hello(*connection_, kVersionId, &parse_hello);
  auto version = co_await hello;
  if (!version) co_return version.error();
  if (version->version != wire::kProtocolVersion) {
    co_return make_error(ErrorKind::kProtocol, "the server speaks SFTP version {}, we speak 3",
                         version->version);
  }
  const bool offers_limits = version->extensions.contains(std::string(wire::kLimits));
  connection_->set_version(std::move(*version));
  if (!offers_limits) co_return Result<void>();
  limits_answer_ = std::make_unique<LimitsAnswer>(*this);
  connection_->expect(connection_->ask(wire::kLimits, {}), *limits_answer_);
  co_return Result<void>();
}

EventLoop& Client::loop() const {
  return connection_->loop();
}
const std::optional<Error>& Client::error() const {
  return connection_->error();
}
Condition& Client::ended() const {
  return connection_->failed();
}

namespace {

bool offers(const wire::Version& version, std::string_view name, std::string_view revision) {
  const auto found = version.extensions.find(std::string(name));
  return found != version.extensions.end() && found->second == revision;
}

}  // namespace

Agreement Client::agreement() const {
  return connection_->agreement();
}

std::string Client::server_description() const {
  std::string text = connection_->channel().server_version();
  for (const auto& [name, version] : connection_->version().extensions) {
    text += fmt::format("\n{} {}", excerpt(name), excerpt(version));
  }
  return text;
}

bool Client::offers_fsync() const {
  return offers(connection_->version(), wire::kFsync, "1");
}
bool Client::offers_posix_rename() const {
  return offers(connection_->version(), wire::kPosixRename, "1");
}
bool Client::offers_statvfs() const {
  return offers(connection_->version(), wire::kStatvfs, "2");
}
bool Client::offers_hardlink() const {
  return offers(connection_->version(), wire::kHardlink, "1");
}
const ServerLimits& Client::limits() const {
  return limits_;
}

Task<void> Client::await_limits() {
  if (!limits_answer_) co_return;
  SharedResult<bool>& came = limits_answer_->came;
  co_await came;
}

void Client::take_limits(const ServerLimits& limits) {
  limits_ = limits;
  if (limits.max_open_handles == 0) return;
  most_open_handles_ = static_cast<std::size_t>(limits.max_open_handles);
  handle_closed_.notify_all();
}

std::chrono::nanoseconds Client::round_trip() const {
  return connection_->round_trip();
}

std::size_t Client::max_write_bytes() const {
  if (limits_.max_write_bytes == 0) return kDefaultWriteBytes;
  return std::clamp<std::uint64_t>(limits_.max_write_bytes, kLeastPacketData, kMaxWriteBytes);
}

/// ASK queues the request and returns its id.
template <typename Ask>
Task<Result<Handle>> Client::open_within_limits(Ask ask, bool waits) {
  constexpr unsigned kMostRefusals = 3;
  const std::size_t most_before = most_open_handles_;
  for (unsigned refusals = 0;;) {
    while (waits && open_handles_ >= most_open_handles_ && !connection_->is_ending()) {
      co_await handle_closed_.wait();
    }
    const std::size_t others = open_handles_++;
    Pending<Handle> answer(*connection_, ask(), &parse_answer<Handle, wire::parse_handle>);
    auto handle = co_await answer;
    if (handle && refusals > 0) knows_most_open_handles_ = true;
    if (handle) co_return handle;
    --open_handles_;
    handle_closed_.notify_all();
    // SSH_FX_FAILURE says nothing; with other files open, those may be as many as it takes.
    const bool may_be_full = handle.error().kind == ErrorKind::kFailed && others > 0;
    if (!waits || connection_->is_ending()) co_return handle;
    if (may_be_full && refusals++ < kMostRefusals) {
      most_open_handles_ = std::min(most_open_handles_, others);
      continue;
    }
    const bool was_full = refusals == 0 || knows_most_open_handles_;
    if (!was_full) most_open_handles_ = std::max(most_open_handles_, most_before);
    handle_closed_.notify_all();
    co_return handle;
  }
}

Task<Result<Handle>> Client::open(std::string path, std::uint32_t flags,
                                  std::uint32_t permissions) {
  return open_within_limits(ask_to_open(std::move(path), flags, permissions), true);
}

Task<Result<Handle>> Client::open_beside(std::string path, std::uint32_t flags,
                                         std::uint32_t permissions) {
  return open_within_limits(ask_to_open(std::move(path), flags, permissions), false);
}

std::function<std::uint32_t()> Client::ask_to_open(std::string path, std::uint32_t flags,
                                                   std::uint32_t permissions) {
  return [this, path = std::move(path), flags, permissions] {
    const std::uint32_t id = connection_->next_id();
    wire::append_open(connection_->out(), id, path, flags, permissions);
    return id;
  };
}

Task<Result<void>> Client::close(Handle handle) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kClose, handle.bytes);
  Pending<void> answer(*connection_, id, &parse_ok);
  auto closed = co_await answer;
  // Whatever the answer is, the handle is of no use any more.
  if (open_handles_ > 0) --open_handles_;
  handle_closed_.notify_all();
  co_return closed;
}

Task<Result<Attributes>> Client::stat(std::string path) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kStat, path);
  Pending<Attributes> answer(*connection_, id, &parse_answer<Attributes, wire::parse_attributes>);
  co_return co_await answer;
}

Task<Result<Attributes>> Client::lstat(std::string path) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kLstat, path);
  Pending<Attributes> answer(*connection_, id, &parse_answer<Attributes, wire::parse_attributes>);
  co_return co_await answer;
}

Task<Result<Attributes>> Client::fstat(const Handle& handle) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kFstat, handle.bytes);
  Pending<Attributes> answer(*connection_, id, &parse_answer<Attributes, wire::parse_attributes>);
  co_return co_await answer;
}

Task<Result<void>> Client::fsync(const Handle& handle) {
  const std::uint32_t id = connection_->ask(wire::kFsync, {handle.bytes});
  Pending<void> answer(*connection_, id, &parse_ok);
  co_return co_await answer;
}

Task<Result<void>> Client::mkdir(std::string path) {
  const std::uint32_t id = connection_->next_id();
  wire::append_mkdir(connection_->out(), id, path);
  Pending<void> answer(*connection_, id, &parse_ok);
  co_return co_await answer;
}

Task<Result<void>> Client::remove(std::string path) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kRemove, path);
  Pending<void> answer(*connection_, id, &parse_ok);
  co_return co_await answer;
}

Task<Result<void>> Client::set_attributes(std::string path, Attributes attributes) {
  const std::uint32_t id = connection_->next_id();
  wire::append_set_attributes(connection_->out(), id, path, attributes);
  Pending<void> answer(*connection_, id, &parse_ok);
  co_return co_await answer;
}

Task<Result<std::string>> Client::realpath(std::string path) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kRealpath, path);
  Pending<std::string> answer(*connection_, id,
                              &parse_answer<std::string, wire::parse_single_name>);
  co_return co_await answer;
}

Task<Result<void>> Client::rename(std::string from, std::string to) {
  const std::uint32_t id = connection_->next_id();
  wire::append_rename(connection_->out(), id, from, to);
  Pending<void> answer(*connection_, id, &parse_ok);
  co_return co_await answer;
}

Task<Result<std::vector<DirectoryEntry>>> Client::list(std::string directory, std::size_t enough) {
  const auto handle = co_await open_within_limits(
      [&] { return connection_->ask(wire::PacketType::kOpendir, directory); }, true);
  if (!handle) co_return handle.error();
  Listing listing(enough);
  while (!listing.is_complete()) {
    const std::uint32_t next = connection_->ask(wire::PacketType::kReaddir, handle->bytes);
    Pending<Names> answer(*connection_, next, &parse_names);
    listing.add(co_await answer);
  }
  const auto closed = co_await close(*handle);
  if (listing.error()) co_return *listing.error();
  if (!closed) co_return closed.error();
  co_return listing.take();
}

Task<Result<FileSystemSpace>> Client::statvfs(std::string path) {
  const std::uint32_t id = connection_->ask(wire::kStatvfs, {path});
  Pending<FileSystemSpace> answer(*connection_, id,
                                  &parse_answer<FileSystemSpace, wire::parse_statvfs>);
  co_return co_await answer;
}

Task<Result<void>> Client::link(std::string file, std::string name) {
  const std::uint32_t id = connection_->ask(wire::kHardlink, {file, name});
  Pending<void> answer(*connection_, id, &parse_ok);
  co_return co_await answer;
}

Task<Result<void>> Client::replace(std::string from, std::string to) {
  if (offers_posix_rename()) {
    const std::uint32_t id = connection_->next_id();
    wire::append_extended(connection_->out(), id, wire::kPosixRename, {from, to});
    Pending<void> answer(*connection_, id, &parse_ok);
    co_return co_await answer;
  }
  const auto renamed = co_await rename(from, to);
  if (renamed || renamed.error().kind != ErrorKind::kFailed) co_return renamed;
  const auto target = co_await stat(to);
  if (!target) co_return renamed;
  const auto removed = co_await remove(to);
  if (!removed) co_return removed;
  co_return co_await rename(std::move(from), std::move(to));
}

}  // namespace ferry::sftp
