#include "ferry/sftp/connect.h"

#include <random>

namespace ferry::sftp {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr unsigned kTries = 5;
constexpr milliseconds kFirstWait{500};

/// Doubled from one try to the next; a half of it is left to chance, so that those that were
/// dropped together do not come back together.
milliseconds wait_before(unsigned retry) {
  thread_local std::minstd_rand dice(std::random_device{}());
  const milliseconds longest = kFirstWait * (1 << retry);
  return milliseconds(
      std::uniform_int_distribution<milliseconds::rep>(longest.count() / 2, longest.count())(dice));
}

Result<std::unique_ptr<Channel>> connect_once(const ConnectOptions& options, StopToken& stop) {
  switch (options.transport) {
    case Transport::kLibssh2:
      return connect_libssh2(options, stop);
    case Transport::kOpenSsh:
      return connect_openssh(options, stop);
  }
  return make_error(ErrorKind::kInvalid, "unknown transport");
}

}  // namespace

Result<std::unique_ptr<Channel>> connect(const ConnectOptions& options, StopToken& stop) {
  const auto deadline = Clock::now() + options.timeout;
  for (unsigned retry = 0;; ++retry) {
    auto channel = connect_once(options, stop);
    if (channel || channel.error().kind != ErrorKind::kConnectionLost) return channel;
    const milliseconds wait = wait_before(retry);
    const bool is_last = !options.tries_again || retry + 1 == kTries;
    if (is_last || Clock::now() + wait > deadline) {
      channel.error().kind = ErrorKind::kUnreachable;
      return channel;
    }
    if (!sleep_unless_stopped(wait, stop)) return make_error(ErrorKind::kCancelled, "stopped");
  }
}

}  // namespace ferry::sftp
