#include "transfer/run/tenure.h"

namespace ferry::transfer {
namespace {

using Tenure = metastore::AgentPresence::Tenure;

constexpr std::chrono::milliseconds kPause{100};

}  // namespace

sftp::Task<Result<void>> confirm_tenure(const metastore::AgentPresence* presence,
                                        sftp::EventLoop& loop) {
  if (presence == nullptr) co_return Result<void>();
  for (;;) {
    const Tenure tenure = presence->tenure();
    if (tenure == Tenure::kHeld) co_return Result<void>();
    if (tenure == Tenure::kLost) {
      co_return make_error(ErrorKind::kCancelled, "agent {} has lost its claims", presence->name());
    }
    if (loop.stop().stop_requested()) co_return make_error(ErrorKind::kCancelled, "stopped");
    co_await loop.sleep_until(sftp::EventLoop::Clock::now() + kPause);
  }
}

}  // namespace ferry::transfer
