#include "ferry/sftp/client.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <limits>
#include <vector>

#include "ferry/sftp/connect.h"
#include "ferry/sftp/read_ahead.h"
#include "sftp/connection.h"
#include "sftp/wire.h"

namespace ferry::sftp {
namespace {

/// Every server takes writes of this much data (draft-ietf-secsh-filexfer-02 §3: 34,000 bytes).
constexpr std::size_t kDefaultWriteBytes = 32 * 1024;
/// More saves little and makes progress coarse.
constexpr std::size_t kMaxWriteBytes = 255 * 1024;

}  // namespace

/// A request that has been queued; awaiting it gives what its reply says. Stays where it is.
template <typename T>
class Client::Pending final : public ReplySink {
 public:
  using Parse = Result<T> (*)(const Result<wire::Packet>& reply);

  Pending(Connection& connection, std::uint32_t id, Parse parse) : parse_(parse) {
    if (connection.error()) {
      outcome_ = Result<T>(*connection.error());
    } else {
      connection.expect(id, *this);
    }
  }

  bool await_ready() const { return outcome_.has_value(); }
  void await_suspend(std::coroutine_handle<> awaiting) { awaiting_ = awaiting; }
  Result<T> await_resume() { return std::move(*outcome_); }

  void on_reply(std::uint32_t, Result<wire::Packet> reply) override {
    outcome_ = parse_(reply);
    if (awaiting_) awaiting_.resume();
  }

 private:
  const Parse parse_;
  std::optional<Result<T>> outcome_;
  std::coroutine_handle<> awaiting_;
};

namespace {

Result<void> parse_ok(const Result<wire::Packet>& reply) {
  if (!reply) return reply.error();
  const auto status = wire::parse_status(*reply);
  if (!status) return status.error();
  if (status->code != wire::StatusCode::kOk) return wire::status_error(*status);
  return {};
}

/// A reply that carries a T, or a status that says why not.
template <typename T, Result<T> (*kParse)(const wire::Packet&)>
Result<T> parse_answer(const Result<wire::Packet>& reply) {
  if (!reply) return reply.error();
  if (reply->type != wire::PacketType::kStatus) return kParse(*reply);
  const auto status = wire::parse_status(*reply);
  if (!status) return status.error();
  if (status->code == wire::StatusCode::kOk) {
    return make_error(ErrorKind::kProtocol, "the server answered 'ok' where data was due");
  }
  return wire::status_error(*status);
}

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

Result<Names> parse_names(const Result<wire::Packet>& reply) {
  if (!reply) return reply.error();
  return wire::parse_names(*reply);
}

}  // namespace

/// Awaits room in the window.
class Client::Room final : public RoomSink {
 public:
  Room(Connection& connection, std::uint64_t ticket, std::size_t bytes)
      : connection_(connection), ticket_(ticket), bytes_(bytes) {}

  bool await_ready() const { return connection_.error() || connection_.has_room(bytes_); }
  void await_suspend(std::coroutine_handle<> awaiting) {
    awaiting_ = awaiting;
    connection_.wait_for_room(ticket_, bytes_, *this);
  }
  void await_resume() const {}
  void on_room() override { awaiting_.resume(); }

 private:
  Connection& connection_;
  const std::uint64_t ticket_;
  const std::size_t bytes_;
  std::coroutine_handle<> awaiting_;
};

/// Awaits a point in time, the connection's failure or a stop, whichever comes first.
class Client::Sleep {
 public:
  Sleep(Connection& connection, std::chrono::steady_clock::time_point until)
      : connection_(connection), until_(until) {}

  bool await_ready() const { return connection_.is_ending(); }
  void await_suspend(std::coroutine_handle<> awaiting) { connection_.resume_at(until_, awaiting); }
  void await_resume() const {}

 private:
  Connection& connection_;
  const std::chrono::steady_clock::time_point until_;
};

/// The writes in flight of one Client::write; awaiting it waits for all their answers.
class Client::WriteBatch final : public ReplySink {
 public:
  WriteBatch(Connection& connection, const Handle& handle, const OnAcknowledged& on_acknowledged)
      : connection_(connection), handle_(handle), on_acknowledged_(on_acknowledged) {}

  const std::optional<Error>& error() const { return error_; }
  void set_error(const Error& error) {
    if (!error_) error_ = error;
  }

  void send(std::uint64_t offset, std::size_t size, const SourceReader& read) {
    ByteQueue& out = connection_.out();
    const std::size_t header = wire::write_header_bytes(handle_.bytes);
    // The data goes straight into the packet, before the header commits us to it.
    const auto space = out.prepare(header + size);
    if (auto filled = read(offset, space.subspan(header, size)); !filled) {
      set_error(filled.error());
      return;
    }
    const std::uint32_t id = connection_.next_id();
    wire::append_write_header(out, id, handle_.bytes, offset, static_cast<std::uint32_t>(size));
    out.commit(size);
    connection_.expect(id, *this, size);
    in_flight_.push_back({id, offset, size});
  }

  bool await_ready() const { return in_flight_.empty(); }
  void await_suspend(std::coroutine_handle<> awaiting) { awaiting_ = awaiting; }
  Result<void> await_resume() const {
    if (error_) return *error_;
    return {};
  }

  void on_reply(std::uint32_t id, Result<wire::Packet> reply) override {
    // Answers come in the order of the writes from nearly every server.
    const auto write = std::ranges::find(in_flight_, id, &InFlight::id);
    const InFlight answered = *write;
    in_flight_.erase(write);
    settle(answered, reply);
    if (in_flight_.empty() && awaiting_) awaiting_.resume();
  }

 private:
  struct InFlight {
    std::uint32_t id;
    std::uint64_t offset;
    std::size_t size;
  };

  void settle(const InFlight& write, const Result<wire::Packet>& reply) {
    if (!reply) return set_error(reply.error());
    const auto status = wire::parse_status(*reply);
    if (!status) return set_error(status.error());
    if (status->code != wire::StatusCode::kOk) {
      return set_error(wire::status_error(*status).with_context(
          fmt::format("write of {} bytes at offset {}", write.size, write.offset)));
    }
    on_acknowledged_(write.offset, write.size);
  }

  Connection& connection_;
  const Handle& handle_;
  const OnAcknowledged& on_acknowledged_;
  std::deque<InFlight> in_flight_;
  std::optional<Error> error_;
  std::coroutine_handle<> awaiting_;
};

Client::Client(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::start(std::unique_ptr<Channel> channel,
                                              const ClientOptions& options, StopToken& stop) {
  std::unique_ptr<Client> client(
      new Client(std::make_unique<Connection>(std::move(channel), options, stop)));
  Result<void> negotiated;
  client->spawn(client->negotiate(negotiated));
  if (auto ran = client->run(); !ran) return ran.error();
  if (!negotiated) return negotiated.error();
  return client;
}

Result<std::unique_ptr<Client>> Client::connect(const ConnectOptions& where,
                                                const ClientOptions& options, StopToken& stop) {
  auto channel = sftp::connect(where, stop);
  if (!channel) return channel.error();
  auto client = start(std::move(*channel), options, stop);
  if (!client) return client.error().with_context(where.host);
  return client;
}

Task<void> Client::negotiate(Result<void>& outcome) {
  wire::append_init(connection_->out());
  auto version = co_await Pending<wire::Version>(*connection_, kVersionId, &parse_hello);
  if (!version) {
    outcome = version.error();
    co_return;
  }
  if (version->version != wire::kProtocolVersion) {
    outcome = make_error(ErrorKind::kProtocol, "the server speaks SFTP version {}, we speak 3",
                         version->version);
    co_return;
  }
  const bool offers_limits = version->extensions.contains(std::string(wire::kLimits));
  connection_->set_version(std::move(*version));
  if (!offers_limits) co_return;
  const std::uint32_t id = connection_->ask(wire::kLimits, {});
  const auto limits = co_await Pending<ServerLimits>(*connection_, id, &parse_limits);
  if (!limits) {
    outcome = limits.error();
    co_return;
  }
  limits_ = *limits;
}

void Client::spawn(Task<void> task) {
  connection_->spawn(std::move(task));
}
Result<void> Client::run() {
  return connection_->run();
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
bool Client::offers_fsync() const {
  return offers(connection_->version(), wire::kFsync, "1");
}
bool Client::offers_posix_rename() const {
  return offers(connection_->version(), wire::kPosixRename, "1");
}
bool Client::offers_statvfs() const {
  return offers(connection_->version(), wire::kStatvfs, "2");
}
const ServerLimits& Client::limits() const {
  return limits_;
}

std::chrono::nanoseconds Client::round_trip() const {
  return connection_->round_trip();
}

std::size_t Client::max_write_bytes() const {
  if (limits_.max_write_bytes == 0) return kDefaultWriteBytes;
  return static_cast<std::size_t>(std::min<std::uint64_t>(limits_.max_write_bytes, kMaxWriteBytes));
}

Task<Result<Handle>> Client::open(std::string path, std::uint32_t flags,
                                  std::uint32_t permissions) {
  const std::uint32_t id = connection_->next_id();
  wire::append_open(connection_->out(), id, path, flags, permissions);
  co_return co_await Pending<Handle>(*connection_, id, &parse_answer<Handle, wire::parse_handle>);
}

Task<Result<void>> Client::close(Handle handle) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kClose, handle.bytes);
  co_return co_await Pending<void>(*connection_, id, &parse_ok);
}

Task<Result<Attributes>> Client::stat(std::string path) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kStat, path);
  co_return co_await Pending<Attributes>(*connection_, id,
                                         &parse_answer<Attributes, wire::parse_attributes>);
}

Task<Result<Attributes>> Client::lstat(std::string path) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kLstat, path);
  co_return co_await Pending<Attributes>(*connection_, id,
                                         &parse_answer<Attributes, wire::parse_attributes>);
}

Task<Result<Attributes>> Client::fstat(const Handle& handle) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kFstat, handle.bytes);
  co_return co_await Pending<Attributes>(*connection_, id,
                                         &parse_answer<Attributes, wire::parse_attributes>);
}

Task<Result<void>> Client::fsync(const Handle& handle) {
  const std::uint32_t id = connection_->ask(wire::kFsync, {handle.bytes});
  co_return co_await Pending<void>(*connection_, id, &parse_ok);
}

Task<Result<void>> Client::mkdir(std::string path) {
  const std::uint32_t id = connection_->next_id();
  wire::append_mkdir(connection_->out(), id, path);
  co_return co_await Pending<void>(*connection_, id, &parse_ok);
}

Task<Result<void>> Client::remove(std::string path) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kRemove, path);
  co_return co_await Pending<void>(*connection_, id, &parse_ok);
}

Task<Result<std::string>> Client::realpath(std::string path) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kRealpath, path);
  co_return co_await Pending<std::string>(*connection_, id,
                                          &parse_answer<std::string, wire::parse_single_name>);
}

Task<Result<void>> Client::rename(std::string from, std::string to) {
  const std::uint32_t id = connection_->next_id();
  wire::append_rename(connection_->out(), id, from, to);
  co_return co_await Pending<void>(*connection_, id, &parse_ok);
}

Task<Result<std::vector<DirectoryEntry>>> Client::list(std::string directory) {
  const std::uint32_t id = connection_->ask(wire::PacketType::kOpendir, directory);
  const auto handle =
      co_await Pending<Handle>(*connection_, id, &parse_answer<Handle, wire::parse_handle>);
  if (!handle) co_return handle.error();
  std::vector<DirectoryEntry> entries;
  std::optional<Error> error;
  while (!error) {
    const std::uint32_t next = connection_->ask(wire::PacketType::kReaddir, handle->bytes);
    auto names = co_await Pending<Names>(*connection_, next, &parse_names);
    if (names && !*names) break;
    if (!names) {
      error = names.error();
    } else if (entries.size() + (*names)->size() > kMaxListedNames) {
      error =
          make_error(ErrorKind::kFailed, "more than {} names in one directory", kMaxListedNames);
    } else {
      std::ranges::move(**names, std::back_inserter(entries));
    }
  }
  const auto closed = co_await close(*handle);
  if (error) co_return *error;
  if (!closed) co_return closed.error();
  co_return entries;
}

Task<Result<FileSystemSpace>> Client::statvfs(std::string path) {
  const std::uint32_t id = connection_->ask(wire::kStatvfs, {path});
  co_return co_await Pending<FileSystemSpace>(*connection_, id,
                                              &parse_answer<FileSystemSpace, wire::parse_statvfs>);
}

Task<Result<void>> Client::replace(std::string from, std::string to) {
  const std::uint32_t id = connection_->next_id();
  if (offers_posix_rename()) {
    wire::append_extended(connection_->out(), id, wire::kPosixRename, {from, to});
    co_return co_await Pending<void>(*connection_, id, &parse_ok);
  }
  wire::append_rename(connection_->out(), id, from, to);
  auto renamed = co_await Pending<void>(*connection_, id, &parse_ok);
  if (renamed || renamed.error().kind != ErrorKind::kFailed) co_return renamed;
  const auto target = co_await stat(to);
  if (!target) co_return renamed;
  auto removed = co_await remove(to);
  if (!removed) co_return removed;
  const std::uint32_t second = connection_->next_id();
  wire::append_rename(connection_->out(), second, from, to);
  co_return co_await Pending<void>(*connection_, second, &parse_ok);
}

Task<void> Client::send_all(WriteBatch& batch, std::uint64_t begin, std::uint64_t end,
                            const SourceReader& read) {
  const std::uint64_t ticket = connection_->next_ticket();
  for (std::uint64_t offset = begin; offset < end && !batch.error();) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(max_write_bytes(), end - offset));
    if (connection_->options().pace) {
      const auto turn = connection_->options().pace(size);
      if (turn > std::chrono::steady_clock::now()) co_await Sleep(*connection_, turn);
    }
    co_await Room(*connection_, ticket, size);
    if (connection_->error()) {
      batch.set_error(*connection_->error());
    } else if (!batch.error()) {
      batch.send(offset, size, read);
    }
    offset += size;
  }
}

Task<Result<void>> Client::write(const Handle& handle, std::uint64_t begin, std::uint64_t end,
                                 const SourceReader& read, const OnAcknowledged& on_acknowledged) {
  WriteBatch batch(*connection_, handle, on_acknowledged);
  co_await send_all(batch, begin, end, read);
  co_return co_await batch;
}

Task<Result<Attributes>> Client::write_and_close(Handle handle, std::uint64_t size, bool sync,
                                                 const SourceReader& read,
                                                 const OnAcknowledged& on_acknowledged) {
  WriteBatch batch(*connection_, handle, on_acknowledged);
  co_await send_all(batch, 0, size, read);
  std::optional<Pending<void>> synced;
  if (sync) synced.emplace(*connection_, connection_->ask(wire::kFsync, {handle.bytes}), &parse_ok);
  Pending<Attributes> attributes(*connection_,
                                 connection_->ask(wire::PacketType::kFstat, handle.bytes),
                                 &parse_answer<Attributes, wire::parse_attributes>);
  Pending<void> closed(*connection_, connection_->ask(wire::PacketType::kClose, handle.bytes),
                       &parse_ok);
  // All answers are awaited, whatever the first of them says.
  const auto write_outcome = co_await batch;
  Result<void> sync_outcome;
  if (synced) {
    Pending<void>& answer = *synced;
    sync_outcome = co_await answer;
  }
  const auto seen = co_await attributes;
  const auto close_outcome = co_await closed;
  if (!write_outcome) co_return write_outcome.error();
  if (!sync_outcome) co_return sync_outcome.error().with_context("fsync");
  if (!close_outcome) co_return close_outcome.error().with_context("close");
  co_return seen ? *seen : Attributes{};
}

Task<Result<void>> Client::read(const Handle& handle, const DataSink& sink) {
  ReadBudget budget;
  ReadAhead data(*this, handle, 0, std::numeric_limits<std::uint64_t>::max(), budget);
  for (;;) {
    const auto block = co_await data.next();
    if (!block) co_return block.error();
    if (block->empty()) co_return Result<void>();
    sink(*block);
  }
}

Task<void> Client::sleep_until(std::chrono::steady_clock::time_point time) {
  co_await Sleep(*connection_, time);
}

}  // namespace ferry::sftp
