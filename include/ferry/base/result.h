// Errors as values.
//
// A function that can fail returns Result<T>. The kind of an Error follows what the caller does
// next; the message is for a person and gains context (path, host, offset) on its way up through
// Error::with_context. Nobody logs and returns the same error. No exception crosses a module
// border.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace ferry {

enum class ErrorKind : std::uint8_t {
  kInvalid,         // options, configuration or input are wrong: the user has to change them
  kNotFound,        // it is not there
  kDenied,          // permission refused, here or by the server
  kBusy,            // another process holds it, and did so until our deadline
  kCorrupt,         // stored data cannot be trusted
  kAbnormal,        // this source file must not be delivered as it is
  kUnreachable,     // no connection could be made
  kRefused,         // the server would not have us, or we would not have it: host key, login
  kConnectionLost,  // a connection ended or stalled: reconnect and go on
  kProtocol,        // the server broke the protocol; the connection is unusable
  kRemoteFull,      // the destination has no space left
  kIo,              // the operating system failed us
  kFailed,          // none of the above; trying again would not help
  kCancelled,       // we were asked to stop
};

/// The name used in tables and JSON, such as "connection_lost".
std::string_view to_string(ErrorKind kind);

/// True if the same operation may succeed later without anybody changing anything.
bool is_retryable(ErrorKind kind);

struct [[nodiscard]] Error {
  ErrorKind kind = ErrorKind::kFailed;
  std::string message;
  int os_code = 0;  // errno if the operating system was the cause, else 0

  /// The same error with "context: " before its message.
  Error with_context(std::string_view context) const;
};

template <typename... Args>
Error make_error(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  return Error{kind, fmt::format(format, std::forward<Args>(args)...), 0};
}

/// An Error for errno: "WHAT: No such file or directory". WHAT names the operation and its object.
Error errno_error(int os_code, std::string_view what);

/// A T or the Error that kept us from having one.
template <typename T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using Base = std::expected<T, Error>;
  using Base::Base;
  Result(Error error) : Base(std::unexpect, std::move(error)) {}
};

}  // namespace ferry
