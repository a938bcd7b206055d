#include "ferry/base/result.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <set>

using namespace ferry;

TEST_CASE("context comes before the message and leaves the rest") {
  const Error error = errno_error(ENOENT, "open x").with_context("landing area");
  CHECK(error.message == "landing area: open x: No such file or directory");
  CHECK(error.kind == ErrorKind::kNotFound);
  CHECK(error.os_code == ENOENT);
}

TEST_CASE("errno becomes what the caller acts upon") {
  CHECK(errno_error(EACCES, "").kind == ErrorKind::kDenied);
  CHECK(errno_error(EROFS, "").kind == ErrorKind::kDenied);
  CHECK(errno_error(ENOSPC, "").kind == ErrorKind::kIo);
}

TEST_CASE("every kind has a name of its own") {
  std::set<std::string_view> names;
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::kCancelled); ++kind) {
    CHECK(names.insert(to_string(static_cast<ErrorKind>(kind))).second);
  }
}

TEST_CASE("what nobody has to mend is tried again; the rest is not") {
  for (const auto kind : {ErrorKind::kBusy, ErrorKind::kUnreachable, ErrorKind::kConnectionLost,
                          ErrorKind::kRemoteFull, ErrorKind::kIo}) {
    CHECK(is_retryable(kind));
  }
  for (const auto kind : {ErrorKind::kInvalid, ErrorKind::kDenied, ErrorKind::kAbnormal,
                          ErrorKind::kRefused, ErrorKind::kFailed}) {
    CHECK_FALSE(is_retryable(kind));
  }
}
