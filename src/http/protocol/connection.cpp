#include "http/protocol/connection.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cerrno>
#include <cstring>
#include <exception>

#include "ferry/base/log.h"
#include "http/protocol/target.h"

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

/// Waits until STREAM can go on, as WHAT says; kBytes: it can.
Received wait(int fd, Stream::What what, Clock::time_point deadline, const StopToken* stop) {
  const short events = what == Stream::What::kWantsWrite ? POLLOUT : POLLIN;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return Received::kTimeout;
    std::array<pollfd, 2> polled{{{fd, events, 0}, {stop != nullptr ? stop->fd() : -1, POLLIN, 0}}};
    const int count = ::poll(polled.data(), polled.size(), static_cast<int>(left));
    if (stop != nullptr && stop->stop_requested()) return Received::kStop;
    if (count > 0 && polled[0].revents != 0) return Received::kBytes;
    if (count < 0 && errno != EINTR) return Received::kEnd;
  }
}

/// Bytes of a connection that were received and not yet parsed.
class Inbox {
 public:
  Inbox(int fd, Stream& stream, const StopToken& stop)
      : fd_(fd), stream_(stream), stop_(stop), bytes_(kBufferBytes) {}

  std::string_view bytes() const { return {bytes_.data() + begin_, end_ - begin_}; }
  void consume(std::size_t count) { begin_ += count; }

  Received receive(Clock::time_point deadline) {
    if (begin_ > 0) {
      std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    if (end_ == bytes_.size()) return Received::kFull;
    for (;;) {
      if (stop_.stop_requested()) return Received::kStop;
      // A stream that always has some must not outlive the deadline either.
      if (Clock::now() >= deadline) return Received::kTimeout;
      const auto step = stream_.read(std::span(bytes_).subspan(end_));
      if (step.what == Stream::What::kEnded) return Received::kEnd;
      if (step.what == Stream::What::kMoved) {
        end_ += step.bytes;
        return Received::kBytes;
      }
      const auto waited = wait(fd_, step.what, deadline, &stop_);
      if (waited != Received::kBytes) return waited;
    }
  }

 private:
  int fd_;
  Stream& stream_;
  const StopToken& stop_;
  std::vector<char> bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

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
  Connection(int fd, Stream& stream, const ConnectionLimits& limits, const StopToken& stop)
      : fd_(fd), stream_(stream), limits_(limits), stop_(stop), inbox_(fd, stream, stop) {}

  void serve(const Handler& handler, IdleSince& idle_since) {
    do {
      idle_since = Clock::now().time_since_epoch().count();
    } while (wait_for_request() && serve_one(handler, idle_since));
    idle_since = 1;  // whoever wants the place may have it
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

  bool has_left() const {
    pollfd polled{fd_, POLLRDHUP, 0};
    return ::poll(&polled, 1, 0) > 0 && polled.revents != 0;
  }

  /// Gives up soon after a stop.
  bool send_all(std::string_view text) {
    auto deadline = Clock::now() + kWriteTime;
    const StopToken* stop = &stop_;
    while (!text.empty()) {
      const auto step = stream_.write(text);
      if (step.what == Stream::What::kEnded) return false;
      text.remove_prefix(step.bytes);
      if (step.what == Stream::What::kMoved) continue;
      const auto waited = wait(fd_, step.what, deadline, stop);
      if (waited == Received::kStop) {
        deadline = std::min(deadline, Clock::now() + kLinger);
        stop = nullptr;
      } else if (waited != Received::kBytes) {
        return false;
      }
    }
    return true;
  }

  void linger() {
    stream_.end();
    const auto deadline = Clock::now() + kLinger;
    while (inbox_.receive(deadline) == Received::kBytes) inbox_.consume(inbox_.bytes().size());
  }

  int fd_;
  Stream& stream_;
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
      connection_.send_all("HTTP/1.1 100 Continue\r\n\r\n");
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
                                  {"target", path_of(exchange.request().target)},
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
    if (!is_silent) send_all(to_wire(to_response(header.error()), true, false));
    return false;
  }
  idle_since = 0;
  parser.eager(true);
  Running exchange(*this, parser);
  const auto framed = check_framing(exchange.request());
  const Response response = framed ? handled(handler, exchange) : to_response(framed.error());
  // What is left of a body would be taken for the next request.
  const bool keep_alive = framed && !response.stream && parser.is_done() && parser.keep_alive() &&
                          !stop_.stop_requested();
  const bool with_body = exchange.request().method != "HEAD";
  // From here on it waits for its client: who reads nothing makes room for others.
  idle_since = Clock::now().time_since_epoch().count();
  const bool is_sent = send_all(to_wire(response, with_body, keep_alive));
  if (is_sent && with_body && response.stream) {
    idle_since = 0;
    response.stream([&](std::string_view text) { return !has_left() && send_all(text); });
  }
  return is_sent && keep_alive;
}

}  // namespace

std::string to_wire(const Response& response, bool with_body, bool keep_alive) {
  std::string text =
      fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  for (const auto& [name, value] : response.fields) {
    text += fmt::format("{}: {}\r\n", name, value);
  }
  if (response.status != 204 && !response.stream) {
    text += fmt::format("Content-Length: {}\r\n", response.body.size());
  }
  text += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  if (with_body) text += response.body;
  return text;
}

void serve_connection(int fd, Stream& stream, const ConnectionLimits& limits,
                      const Handler& handler, const StopToken& stop, IdleSince& idle_since) {
  try {
    Connection(fd, stream, limits, stop).serve(handler, idle_since);
  } catch (const std::exception& error) {
    log::error("connection failed", {{"error", error.what()}});
  }
}

}  // namespace ferry::http
