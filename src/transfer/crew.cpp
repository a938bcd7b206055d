#include "transfer/crew.h"

#include "transfer/backoff.h"
#include "transfer/worker.h"

namespace ferry::transfer {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How often to look whether another connection would help. Servers drop bursts of new connections
/// (sshd_config(5), MaxStartups), so they are made one after the other.
constexpr milliseconds kDialInterval{50};
/// Making a connection costs both sides some tenths of a second of computing and of waiting. The
/// second pays where the first would be busy for longer than this, and each further one shares with
/// more: it takes as much again.
constexpr milliseconds kWorthDialling{500};
/// What a connection is taken to move until there is something to go by: what it does at its best.
constexpr double kAssumedBytesPerMs = 400.0 * 1024 * 1024 / 1000;

}  // namespace

bool is_worth_dialling(const WorkQueue::Progress& progress, milliseconds elapsed,
                       unsigned connections) {
  if (progress.done >= progress.total) return false;
  const double elapsed_ms = static_cast<double>(elapsed.count());
  const double left = static_cast<double>(progress.total - progress.done);
  const double expected_ms = elapsed < kDialInterval || progress.done == 0
                                 ? std::max(elapsed_ms, left / kAssumedBytesPerMs)
                                 : elapsed_ms * left / static_cast<double>(progress.done);
  return expected_ms > static_cast<double>((kWorthDialling * connections).count());
}

std::optional<Session> Crew::run(Session session, std::future<Result<Session>> second) {
  known_ = {session.directory, session.control_directory};
  start(std::move(session));
  dial_while_worthwhile(std::move(second));
  threads_.clear();  // joins
  return std::move(idle_session_);
}

void Crew::start(Session session) {
  {
    const std::scoped_lock lock(mutex_);
    ++working_;
  }
  threads_.emplace_back([this, session = std::move(session)]() mutable {
    work(std::move(session));
    const std::scoped_lock lock(mutex_);
    --working_;
    ended_.notify_all();
  });
}

void Crew::work(Session session) {
  unsigned failures = 0;
  for (;;) {
    Worker worker(context_, queue_, session);
    const auto ended = worker.run();
    if (ended) {
      const std::scoped_lock lock(mutex_);
      idle_session_ = std::move(session);
      return;
    }
    if (context_.stop.stop_requested()) return;
    if (worker.made_progress()) failures = 0;
    auto next = reconnect(failures, ended.error());
    if (!next) {
      const std::scoped_lock lock(mutex_);
      give_up_reason_ = next.error();
      return;
    }
    session = std::move(*next);
  }
}

Result<Session> Crew::reconnect(unsigned& failures, Error reason) {
  const Retries& retries = context_.options.retries;
  while (failures < retries.limit) {
    if (!sleep_unless_stopped(backoff(retries, failures++), context_.stop)) {
      return make_error(ErrorKind::kCancelled, "stopped");
    }
    auto session = dial();
    if (session || !is_retryable(session.error().kind)) return session;
    reason = session.error();
  }
  return reason;
}

Result<Session> Crew::dial() const {
  return open_session(context_.destination, context_.options, context_.limiter, context_.stop,
                      known_);
}

void Crew::dial_while_worthwhile(std::future<Result<Session>> second) {
  const auto begun = Clock::now();
  unsigned connections = 1;
  bool worth = second.valid();
  while (!wait_for_end(worth ? milliseconds(0) : kDialInterval)) {
    if (!second.valid()) {
      const auto elapsed = std::chrono::duration_cast<milliseconds>(Clock::now() - begun);
      worth = connections < context_.destination.connections && !context_.stop.stop_requested() &&
              is_worth_dialling(queue_.progress(), elapsed, connections);
      if (!worth) continue;
    }
    auto session = second.valid() ? second.get() : dial();
    if (session) {
      start(std::move(*session));
      ++connections;
    } else {
      connections = context_.destination.connections;  // the server takes no more of us
    }
  }
}

bool Crew::wait_for_end(milliseconds at_most) {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, at_most, [this] { return working_ == 0; });
}

}  // namespace ferry::transfer
