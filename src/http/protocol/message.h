// HTTP messages as plain data (RFC 9110).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferry/base/json.h"
#include "ferry/base/result.h"
#include "ferry/base/time.h"

namespace ferry::http {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;
  std::string target;  // as it came
  Fields fields;       // names in lower case, in their order
  bool is_http_10 = false;
  std::optional<std::uint64_t> content_length;
  bool has_body = false;

  /// The values of all fields with this name, which is given in lower case, joined by ", "; nothing
  /// if there are none.
  std::optional<std::string> field(std::string_view name) const;
};

/// False: the client is gone.
using Send = std::function<bool(std::string_view)>;

struct Response {
  unsigned status = 200;
  Fields fields{};
  std::string body{};
  /// Sends a body whose length nobody knows, instead; the connection ends with it.
  std::function<void(const Send&)> stream{};
};

/// Why a request is not answered as it wanted to be: what becomes application/problem+json
/// (RFC 9457).
struct Problem {
  unsigned status = 500;
  std::string kind;    // one word for programs, as in the tables: "invalid", "not_found", …
  std::string detail;  // a sentence for a person
  Fields fields{};     // for the response
};

template <typename T>
using Answer = std::expected<T, Problem>;

inline std::unexpected<Problem> refuse(unsigned status, std::string_view kind, std::string detail,
                                       Fields fields = {}) {
  return std::unexpected(Problem{status, std::string(kind), std::move(detail), std::move(fields)});
}

/// What an error of the metastore or of a landing area means to who asked over HTTP.
std::unexpected<Problem> refuse(const Error& error);

std::string_view reason_phrase(unsigned status);

Response to_response(const Problem& problem);
Response json_response(unsigned status, const Json& json);

/// As header fields have it (RFC 9110, 5.6.7).
std::string http_date(Timestamp time);

/// A request, and its body for whoever wants it.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;
  /// Fills the beginning of BUFFER with the next bytes of the body; 0: it has ended, as its framing
  /// says. A problem for a body that is cut off, malformed, too large or too slow.
  virtual Answer<std::size_t> read(std::span<std::byte> buffer) = 0;
};

}  // namespace ferry::http
