#include "ferry/sftp/read_ahead.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "sftp/client/connection.h"
#include "sftp/client/wire.h"

namespace ferry::sftp {
namespace {

/// Every server answers reads of this much; it may give less.
constexpr std::size_t kDefaultReadBytes = 32 * 1024;
/// Whatever a server asks for: each request costs us more than its data.
constexpr std::size_t kLeastReadBytes = 4 * 1024;
/// Fewer packets cost less; more than this saves little.
constexpr std::size_t kMaxReadBytes = 128 * 1024;

std::size_t read_bytes(const ServerLimits& limits) {
  if (limits.max_read_bytes == 0) return kDefaultReadBytes;
  return std::clamp<std::uint64_t>(limits.max_read_bytes, kLeastReadBytes, kMaxReadBytes);
}

}  // namespace

/// One READ; awaiting it gives its data.
class ReadAhead::Read final : public ReplySink {
 public:
  Read(Client::Connection& connection, const Handle& handle, std::uint64_t offset, std::size_t size)
      : connection_(connection), id_(connection.next_id()), offset_(offset), size_(size) {
    if (connection_.error()) {
      data_ = *connection_.error();
      return;
    }
    wire::append_read(connection_.out(), id_, handle.bytes, offset,
                      static_cast<std::uint32_t>(size));
    connection_.expect(id_, *this);
  }
  Read(const Read&) = delete;
  Read& operator=(const Read&) = delete;
  ~Read() {
    if (!data_) connection_.forget(id_);
  }

  std::uint64_t offset() const { return offset_; }
  std::size_t size() const { return size_; }

  bool await_ready() const { return data_.has_value(); }
  void await_suspend(std::coroutine_handle<> awaiting) { awaiting_ = awaiting; }
  Result<std::vector<std::byte>> await_resume() { return std::move(*data_); }

  void on_reply(std::uint32_t, Result<wire::Packet> reply) override {
    data_ = take(reply);
    connection_.refuse_if_malformed(*data_);
    if (awaiting_) awaiting_.resume();
  }

 private:
  Result<std::vector<std::byte>> take(const Result<wire::Packet>& reply) const {
    if (!reply) return reply.error();
    const auto data = wire::parse_data(*reply);
    if (!data) return data.error();
    if (data->size() > size_) {
      return make_error(ErrorKind::kProtocol, "the server sent {} bytes where {} were asked for",
                        data->size(), size_);
    }
    return std::vector<std::byte>(data->begin(), data->end());
  }

  Client::Connection& connection_;
  const std::uint32_t id_;
  const std::uint64_t offset_;
  const std::size_t size_;
  std::coroutine_handle<> awaiting_;
  std::optional<Result<std::vector<std::byte>>> data_;
};

ReadAhead::ReadAhead(Client& client, Handle handle, std::uint64_t begin, std::uint64_t end,
                     ReadBudget& budget)
    : client_(client), handle_(std::move(handle)), unasked_(begin), end_(end), budget_(budget) {
  ++budget_.readers;
  ask();
}

ReadAhead::~ReadAhead() {
  budget_.used -= used_;
  --budget_.readers;
}

void ReadAhead::send(std::uint64_t offset, std::size_t size, bool at_front) {
  auto read = std::make_unique<Read>(*client_.connection_, handle_, offset, size);
  budget_.used += size;
  used_ += size;
  reads_.insert(at_front ? reads_.begin() : reads_.end(), std::move(read));
}

std::size_t ReadAhead::next_size() const {
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(read_bytes(client_.limits()), end_ - unasked_));
}

void ReadAhead::ask_for_one() {
  const std::size_t size = next_size();
  send(unasked_, size, false);
  unasked_ += size;
}

bool ReadAhead::may_ask(std::size_t size) const {
  if (budget_.used + size > budget_.limit) return false;
  return used_ == 0 || used_ + size <= budget_.limit / budget_.readers;
}

void ReadAhead::ask() {
  while (unasked_ < end_ && may_ask(next_size())) ask_for_one();
}

Task<Result<std::vector<std::byte>>> ReadAhead::next() {
  ask();
  // Whatever the budget says: somebody waits for it.
  if (reads_.empty() && unasked_ < end_) ask_for_one();
  if (reads_.empty()) co_return std::vector<std::byte>();
  Read& oldest = *reads_.front();
  auto data = co_await oldest;
  const std::unique_ptr<Read> answered = std::move(reads_.front());
  reads_.pop_front();
  budget_.used -= answered->size();
  used_ -= answered->size();
  if (!data) co_return data.error();
  if (data->empty()) {
    unasked_ = end_;
    co_return data;
  }
  if (data->size() < answered->size()) {
    send(answered->offset() + data->size(), answered->size() - data->size(), true);
  }
  ask();
  co_return data;
}

}  // namespace ferry::sftp
