// How Client waits for what the server answers.
#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include "ferry/sftp/client.h"
#include "sftp/client/connection.h"
#include "sftp/client/wire.h"

namespace ferry::sftp {

/// A request that has been queued; awaiting it gives what its reply says. Stays where it is.
template <typename T>
class Client::Pending final : public ReplySink {
 public:
  using Parse = Result<T> (*)(const Result<wire::Packet>& reply);

  Pending(Connection& connection, std::uint32_t id, Parse parse)
      : connection_(connection), parse_(parse) {
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
    connection_.refuse_if_malformed(*outcome_);
    if (awaiting_) awaiting_.resume();
  }

 private:
  Connection& connection_;
  const Parse parse_;
  std::optional<Result<T>> outcome_;
  std::coroutine_handle<> awaiting_;
};

inline Result<void> parse_ok(const Result<wire::Packet>& reply) {
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

}  // namespace ferry::sftp
