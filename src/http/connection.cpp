#include "http/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cerrno>
#include <cstring>
#include <exception>

#include "ferry/base/log.h"

namespace ferry::http {
namespace {

namespace beast = boost::beast;
using Clock = std::chrono::steady_clock;
using Parser = beast::http::request_parser<beast::http::buffer_body>;
using ParseError = beast::http::error;

constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr std::chrono::seconds kWriteTime{30};
/// How long the client may go on sending what nobody reads before the connection is reset, which
/// could cost it our response.
constexpr std::chrono::seconds kLinger{2};

enum class Received : std::uint8_t { kBytes, kEnd, kTimeout, kStop, kFull };

/// Bytes of a socket that were received and not yet parsed.
class Inbox {
 public:
  Inbox(int fd, const StopToken& stop) : fd_(fd), stop_(stop), bytes_(kBufferBytes) {}

  std::string_view bytes() const { return {bytes_.data() + begin_, end_ - begin_}; }
  void consume(std::size_t count) { begin_ += count; }

  Received receive(Clock::time_point deadline) {
    if (begin_ > 0) {
      std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    if (end_ == bytes_.size()) return Received::kFull;
    for (;;) {
      if (const auto waited = wait(deadline); waited != Received::kBytes) return waited;
      const ssize_t count =
          ::recv(fd_, bytes_.data() + end_, bytes_.size() - end_, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (count <= 0) return Received::kEnd;
      end_ += static_cast<std::size_t>(count);
      return Received::kBytes;
    }
  }

 private:
  Received wait(Clock::time_point deadline) {
    for (;;) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) return Received::kTimeout;
      std::array<pollfd, 2> polled{{{fd_, POLLIN, 0}, {stop_.fd(), POLLIN, 0}}};
      const int count = ::poll(polled.data(), polled.size(), static_cast<int>(left));
      if (stop_.stop_requested()) return Received::kStop;
      if (count > 0 && polled[0].revents != 0) return Received::kBytes;
      if (count < 0 && errno != EINTR) return Received::kEnd;
    }
  }

  int fd_;
  const StopToken& stop_;
  std::vector<char> bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Gives up soon after a stop.
bool send_all(int fd, std::string_view text, const StopToken& stop) {
  auto deadline = Clock::now() + kWriteTime;
  bool is_stopping = false;
  while (!text.empty()) {
    if (!is_stopping && stop.stop_requested()) {
      is_stopping = true;
      deadline = std::min(deadline, Clock::now() + kLinger);
    }
    const ssize_t count = ::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
    if (count >= 0 || errno == EINTR) continue;
    if (errno != EAGAIN) return false;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    std::array<pollfd, 2> polled{{{fd, POLLOUT, 0}, {is_stopping ? -1 : stop.fd(), POLLIN, 0}}};
    ::poll(polled.data(), polled.size(), static_cast<int>(left));
  }
  return true;
}

std::unexpected<Problem> unreadable(beast::error_code error) {
  if (error == ParseError::header_limit) {
    return refuse(431, "invalid", "the request's header is too large");
  }
  if (error == ParseError::body_limit) {
    return refuse(413, "invalid", "the body is larger than this service takes (max_upload)");
  }
  if (error == ParseError::bad_version) {
    return refuse(505, "invalid", "this service speaks HTTP/1.1 and HTTP/1.0");
  }
  return refuse(400, "invalid", fmt::format("the request is malformed: {}", error.message()));
}

std::unexpected<Problem> not_received(Received what) {
  switch (what) {
    case Received::kTimeout:
      return refuse(408, "connection_lost", "the request came too slowly");
    case Received::kStop:
      return refuse(503, "cancelled", "the service is stopping", {{"Retry-After", "5"}});
    case Received::kFull:
      return refuse(400, "invalid", "the chunks' extensions or the trailer are too large");
    default:
      return refuse(400, "invalid", "the request ended before it was complete");
  }
}

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::ranges::transform(lowered, lowered.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lowered;
}

Request to_request(const Parser& parser) {
  const auto& message = parser.get();
  Request request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  for (const auto& field : message) {
    request.fields.emplace_back(lower({field.name_string().data(), field.name_string().size()}),
                                std::string(field.value()));
  }
  request.is_http_10 = message.version() == 10;
  if (const auto length = parser.content_length()) request.content_length = *length;
  request.has_body = !parser.is_done();
  return request;
}

/// What the parser lets pass, and other parsers on the way may have read in another manner
/// (RFC 9112, 6.3 and 11.2).
Answer<void> check_framing(const Request& request) {
  const auto lengths = request.field("content-length");
  const auto encodings = request.field("transfer-encoding");
  if (lengths && encodings) {
    return refuse(400, "invalid", "Content-Length and Transfer-Encoding exclude one another");
  }
  if (lengths && lengths->find_first_not_of("0123456789") != lengths->npos) {
    return refuse(400, "invalid", "Content-Length is not a number");
  }
  if (encodings && request.is_http_10) {
    return refuse(400, "invalid", "HTTP/1.0 has no Transfer-Encoding");
  }
  if (encodings && lower(*encodings) != "chunked") {
    return refuse(501, "invalid", "of Transfer-Encoding only 'chunked' is understood");
  }
  const auto hosts =
      std::ranges::count(request.fields, "host", &std::pair<std::string, std::string>::first);
  if (hosts > 1 || (hosts == 0 && !request.is_http_10)) {
    return refuse(400, "invalid", "there has to be one Host");
  }
  const auto expectation = request.field("expect");
  if (expectation && lower(*expectation) != "100-continue") {
    return refuse(417, "invalid", "of Expect only '100-continue' is understood");
  }
  return {};
}

class Connection {
 public:
  Connection(int fd, const ConnectionLimits& limits, const StopToken& stop)
      : fd_(fd), limits_(limits), stop_(stop), inbox_(fd, stop) {}

  void serve(const Handler& handler, IdleSince& idle_since) {
    do {
      idle_since = Clock::now().time_since_epoch().count();
    } while (wait_for_request() && serve_one(handler, idle_since));
    linger();
  }

 private:
  class Running;

  bool wait_for_request() {
    return !stop_.stop_requested() &&
           (!inbox_.bytes().empty() ||
            inbox_.receive(Clock::now() + limits_.idle_time) == Received::kBytes);
  }

  /// False: the connection ends.
  bool serve_one(const Handler& handler, IdleSince& idle_since);

  Answer<void> read_header(Parser& parser) {
    const auto deadline = Clock::now() + limits_.header_time;
    for (;;) {
      beast::error_code error;
      const auto bytes = inbox_.bytes();
      inbox_.consume(parser.put({bytes.data(), bytes.size()}, error));
      if (parser.is_header_done() && !error) return {};
      if (error && error != ParseError::need_more) return unreadable(error);
      if (const auto received = inbox_.receive(deadline); received != Received::kBytes) {
        return not_received(received);
      }
    }
  }

  void linger() {
    ::shutdown(fd_, SHUT_WR);
    const auto deadline = Clock::now() + kLinger;
    while (inbox_.receive(deadline) == Received::kBytes) inbox_.consume(inbox_.bytes().size());
  }

  int fd_;
  const ConnectionLimits& limits_;
  const StopToken& stop_;
  Inbox inbox_;
};

class Connection::Running final : public Exchange {
 public:
  Running(Connection& connection, Parser& parser)
      : connection_(connection), parser_(parser), request_(to_request(parser)) {
    const auto expectation = request_.field("expect");
    owes_continue_ = expectation && !request_.is_http_10;
  }

  const Request& request() const override { return request_; }

  Answer<std::size_t> read(std::span<std::byte> buffer) override {
    if (parser_.is_done()) return std::size_t{0};
    if (std::exchange(owes_continue_, false)) {
      send_all(connection_.fd_, "HTTP/1.1 100 Continue\r\n\r\n", connection_.stop_);
    }
    auto& body = parser_.get().body();
    body.data = buffer.data();
    body.size = buffer.size();
    body.more = true;
    for (;;) {
      if (auto parsed = parse(); !parsed) return std::unexpected(parsed.error());
      if (const std::size_t count = buffer.size() - body.size; count > 0) {
        received_ += count;
        return count;
      }
      if (parser_.is_done()) return std::size_t{0};
      const auto received = connection_.inbox_.receive(deadline());
      if (received != Received::kBytes) return not_received(received);
    }
  }

 private:
  Answer<void> parse() {
    const auto bytes = connection_.inbox_.bytes();
    if (bytes.empty()) return {};
    beast::error_code error;
    connection_.inbox_.consume(parser_.put({bytes.data(), bytes.size()}, error));
    if (!error || error == ParseError::need_more || error == ParseError::need_buffer) return {};
    return unreadable(error);
  }

  /// For the next byte: neither a pause nor a trickle may last.
  Clock::time_point deadline() const {
    const ConnectionLimits& limits = connection_.limits_;
    const auto due =
        limits.stall_time +
        std::chrono::seconds(received_ / std::max<std::uint64_t>(limits.least_bytes_a_second, 1));
    return std::min(Clock::now() + limits.stall_time, begun_ + due);
  }

  Connection& connection_;
  Parser& parser_;
  Request request_;
  bool owes_continue_ = false;
  std::uint64_t received_ = 0;
  Clock::time_point begun_ = Clock::now();
};

Response handled(const Handler& handler, Exchange& exchange) {
  try {
    return handler(exchange);
  } catch (const std::exception& error) {
    log::error("request failed", {{"method", exchange.request().method},
                                  {"target", exchange.request().target},
                                  {"error", error.what()}});
    return to_response({500, "failed", "the service failed: its log says why", {}});
  }
}

bool Connection::serve_one(const Handler& handler, IdleSince& idle_since) {
  Parser parser;
  parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
  parser.body_limit(limits_.body_bytes);
  if (auto header = read_header(parser); !header) {
    const bool is_silent = inbox_.bytes().empty() && !parser.got_some();
    if (!is_silent) send_all(fd_, to_wire(to_response(header.error()), true, false), stop_);
    return false;
  }
  idle_since = 0;
  parser.eager(true);
  Running exchange(*this, parser);
  const auto framed = check_framing(exchange.request());
  const Response response = framed ? handled(handler, exchange) : to_response(framed.error());
  // What is left of a body would be taken for the next request.
  const bool keep_alive =
      framed && parser.is_done() && parser.keep_alive() && !stop_.stop_requested();
  const bool with_body = exchange.request().method != "HEAD";
  // From here on it waits for its client: who reads nothing makes room for others.
  idle_since = Clock::now().time_since_epoch().count();
  return send_all(fd_, to_wire(response, with_body, keep_alive), stop_) && keep_alive;
}

}  // namespace

std::string to_wire(const Response& response, bool with_body, bool keep_alive) {
  std::string text =
      fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  for (const auto& [name, value] : response.fields) {
    text += fmt::format("{}: {}\r\n", name, value);
  }
  if (response.status != 204) text += fmt::format("Content-Length: {}\r\n", response.body.size());
  text += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  if (with_body) text += response.body;
  return text;
}

void serve_connection(int fd, const ConnectionLimits& limits, const Handler& handler,
                      const StopToken& stop, IdleSince& idle_since) {
  try {
    Connection(fd, limits, stop).serve(handler, idle_since);
  } catch (const std::exception& error) {
    log::error("connection failed", {{"error", error.what()}});
  }
}

}  // namespace ferry::http
