// What a client may send to the service, for libFuzzer: make fuzz. Everything before an endpoint:
// framing, headers, chunks, URLs, digests.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "http/protocol/connection.h"
#include "http/protocol/digest_field.h"
#include "http/protocol/target.h"

namespace {

using namespace ferry::http;

/// Looks at all that an endpoint would, and holds it to what endpoints rely on.
Response handle(Exchange& exchange) {
  const Request& request = exchange.request();
  const auto target = parse_target(request.target);
  if (!target) return to_response(target.error());
  for (const std::string& segment : target->segments) {
    if (segment.contains('/') || segment.contains('\0')) std::abort();
  }
  if (const auto digest = request.field("repr-digest")) {
    const auto digests = parse_digest_field(*digest);
    if (digests && digests->empty()) std::abort();
  }
  std::array<std::byte, 1000> block{};
  std::uint64_t received = 0;
  for (;;) {
    const auto count = exchange.read(block);
    if (!count) return to_response(count.error());
    if (*count > block.size()) std::abort();
    received += *count;
    if (*count == 0) break;
  }
  if (request.content_length && received != *request.content_length) std::abort();
  return json_response(200, {{"received", received}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const ferry::StopToken stop;
  static const ConnectionLimits limits{.header_bytes = 2048, .body_bytes = 2000};
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0) std::abort();
  if (::send(ends[0], data, size, MSG_DONTWAIT) != static_cast<ssize_t>(size) && size != 0) {
    std::abort();
  }
  ::shutdown(ends[0], SHUT_WR);
  IdleSince idle_since{0};
  const auto stream = open_stream(ends[1]);
  serve_connection(ends[1], *stream, limits, &handle, stop, idle_since);
  ::close(ends[1]);
  ::close(ends[0]);
  return 0;
}
