// What Client does with the bytes of files: the writes in flight, and what is read in one go.
#include <algorithm>
#include <deque>

#include "ferry/sftp/read_ahead.h"
#include "sftp/client/client_answers.h"

namespace ferry::sftp {

/// Awaits room in the window.
class Client::Room final : public RoomSink {
 public:
  Room(Connection& connection, std::uint64_t ticket, std::size_t bytes)
      : connection_(connection), ticket_(ticket), bytes_(bytes) {}

  bool await_ready() const {
    return connection_.error() || (connection_.is_next(ticket_) && connection_.has_room(bytes_));
  }
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

/// The writes in flight of one Client::write; awaiting it waits for all their answers.
class Client::WriteBatch final : public ReplySink {
 public:
  WriteBatch(Connection& connection, const Handle& handle, const OnAcknowledged& on_acknowledged)
      : connection_(connection), handle_(handle), on_acknowledged_(on_acknowledged) {}

  const std::optional<Error>& error() const { return error_; }
  void set_error(const Error& error) {
    if (!error_) error_ = error;
  }

  void send(std::uint64_t offset, std::size_t size, const ByteSource& source) {
    ByteQueue& out = connection_.out();
    const std::size_t header = wire::write_header_bytes(handle_.bytes);
    // The data goes straight into the packet, before the header commits us to it.
    const auto space = out.prepare(header + size);
    if (auto filled = source.read(offset, space.subspan(header, size)); !filled) {
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
    connection_.refuse_if_malformed(status);
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

/// For what the bandwidth limit allows.
Task<void> Client::await_turn(std::size_t bytes) {
  const auto turn = connection_->options().pace(bytes);
  while (turn > EventLoop::Clock::now() && !connection_->is_ending()) {
    co_await connection_->failed().wait(turn);
  }
}

Task<void> Client::send_all(WriteBatch& batch, std::uint64_t begin, std::uint64_t end,
                            const ByteSource& source) {
  const std::uint64_t ticket = connection_->next_ticket();
  for (std::uint64_t offset = begin; offset < end && !batch.error();) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(max_write_bytes(), end - offset));
    if (connection_->options().pace) co_await await_turn(size);
    if (source.await) {
      const auto there = co_await source.await(size);
      if (!there) co_return batch.set_error(there.error());
    }
    Room room(*connection_, ticket, size);
    co_await room;
    if (connection_->error()) co_return batch.set_error(*connection_->error());
    if (!batch.error()) batch.send(offset, size, source);
    offset += size;
  }
}

Task<Result<void>> Client::write(const Handle& handle, std::uint64_t begin, std::uint64_t end,
                                 const ByteSource& source, const OnAcknowledged& on_acknowledged) {
  WriteBatch batch(*connection_, handle, on_acknowledged);
  co_await send_all(batch, begin, end, source);
  co_return co_await batch;
}

Task<Result<Attributes>> Client::write_and_close(Handle handle, std::string path,
                                                 std::uint64_t size, bool sync,
                                                 const ByteSource& source,
                                                 const OnAcknowledged& on_acknowledged) {
  const auto written = co_await write(handle, 0, size, source, on_acknowledged);
  if (!written) {
    [[maybe_unused]] const auto closed = co_await close(std::move(handle));
    co_return written.error();
  }
  std::optional<Pending<void>> sync_answer;
  if (sync) {
    const std::uint32_t id = connection_->ask(wire::kFsync, {handle.bytes});
    sync_answer.emplace(*connection_, id, &parse_ok);
  }
  Pending<Attributes> attributes_answer(*connection_,
                                        connection_->ask(wire::PacketType::kFstat, handle.bytes),
                                        &parse_answer<Attributes, wire::parse_attributes>);
  const auto closed = co_await close(std::move(handle));
  Result<void> synced;
  if (sync_answer) {
    Pending<void>& answer = *sync_answer;
    synced = co_await answer;
  }
  auto attributes = co_await attributes_answer;
  if (!closed) co_return closed.error().with_context("close");
  const bool was_overtaken = !attributes && !connection_->error();
  // An fsync that failed by itself must not be asked for again: the second one would succeed.
  if (!synced && was_overtaken) synced = co_await sync_by_path(path);
  if (!synced) co_return synced.error().with_context("fsync");
  if (was_overtaken) attributes = co_await stat(std::move(path));
  co_return attributes;
}

/// Of a file that was closed before the server came to the request.
Task<Result<void>> Client::sync_by_path(std::string path) {
  const auto handle = co_await open(std::move(path), kOpenWrite, 0);
  if (!handle) co_return handle.error();
  const auto synced = co_await fsync(*handle);
  const auto closed = co_await close(*handle);
  co_return synced ? closed : synced;
}

Task<Result<void>> Client::read(const Handle& handle, std::uint64_t at_most, const DataSink& sink) {
  // One byte more tells whether there is more.
  ReadBudget budget;
  ReadAhead data(*this, handle, 0, at_most + 1, budget);
  for (std::uint64_t total = 0;;) {
    const auto block = co_await data.next();
    if (!block) co_return block.error();
    if (block->empty()) co_return Result<void>();
    total += block->size();
    if (total > at_most) {
      co_return make_error(ErrorKind::kFailed, "the file has more than {} bytes", at_most);
    }
    sink(*block);
  }
}

}  // namespace ferry::sftp
