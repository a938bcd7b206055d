#include "transfer/deliver/crew.h"

#include <unistd.h>

#include <cstdlib>

#include "ferry/base/log.h"
#include "transfer/deliver/backoff.h"
#include "transfer/deliver/worker.h"

namespace ferry::transfer {
namespace {

using std::chrono::milliseconds;

/// How often to look whether another connection would help.
constexpr milliseconds kLookInterval{50};
/// What less time than this tells of the pace is chance.
constexpr milliseconds kMeasuringTime{150};
/// Making a connection costs both sides some tenths of a second of computing and of waiting. The
/// second pays where the first would be busy for longer than this, and each further one shares with
/// more: it takes as much again.
constexpr milliseconds kWorthDialling{500};
/// What a connection is taken to move until there is something to go by: what it does at its best.
/// That may be all that the processors have to give: it speaks for a second one only.
constexpr double kBestBytesPerMs = 400.0 * 1024 * 1024 / 1000;
/// What OpenSSH's servers let be on the way in a channel (RFC 4254 §5.2): over a long line it is
/// what a connection moves in one round trip, whatever the processors could do, and further
/// connections move as much again.
constexpr double kChannelWindow = 2.0 * 1024 * 1024;

double assumed_bytes_per_ms(std::chrono::nanoseconds round_trip) {
  const double round_trip_ms = std::chrono::duration<double, std::milli>(round_trip).count();
  return std::min(kBestBytesPerMs, kChannelWindow / round_trip_ms);
}

}  // namespace

bool is_worth_dialling(const WorkQueue::Progress& progress, milliseconds elapsed,
                       unsigned connections, std::chrono::nanoseconds round_trip) {
  if (progress.done >= progress.total) return false;
  const double elapsed_ms = static_cast<double>(elapsed.count());
  const double left = static_cast<double>(progress.total - progress.done);
  double expected_ms = 0;
  if (elapsed >= kMeasuringTime && progress.done > 0) {
    expected_ms = elapsed_ms * left / static_cast<double>(progress.done);
  } else {
    const double assumed = connections * assumed_bytes_per_ms(round_trip);
    if (connections > 1 && assumed >= kBestBytesPerMs && elapsed < kMeasuringTime) return false;
    expected_ms = std::max(elapsed_ms, left / std::min(assumed, kBestBytesPerMs));
  }
  return expected_ms > static_cast<double>((kWorthDialling * connections).count());
}

void Crew::start(Session session) {
  wait();
  known_ = {session.directory, session.control_directory};
  round_trip_ = session.client->round_trip();
  ramp_ = {};
  measured_from_ = Clock::now();
  done_before_ = queue_.progress().done;
  is_measuring_ = false;
  idle_session_.reset();
  give_up_reason_.reset();
  has_worked_off_all_ = false;
  is_running_ = true;
  working_ = 1;
  threads_.emplace_back(
      [this, session = std::move(session)]() mutable { work(std::move(session)); });
  supervisor_ = std::jthread([this] {
    supervise();
    threads_.clear();  // joins
    is_running_ = false;
    ended_();
  });
}

void Crew::wait() {
  if (supervisor_.joinable()) supervisor_.join();
}

void Crew::supervise() {
  std::unique_lock lock(mutex_);
  while (working_ > 0 || ramp_.dialling > 0) {
    if (wants_another()) {
      start(std::async(std::launch::deferred, [this] { return dial(); }));
    } else {
      changed_.wait_for(lock, kLookInterval);
    }
    end_if_stuck();
  }
}

Crew::Watched::Watched(Crew& crew, const sftp::EventLoop& loop) : crew_(crew), loop_(loop) {
  const std::scoped_lock lock(crew_.mutex_);
  crew_.loops_.insert(&loop_);
}

Crew::Watched::~Watched() {
  const std::scoped_lock lock(crew_.mutex_);
  crew_.loops_.erase(&loop_);
}

void Crew::end_if_stuck() const {
  for (const sftp::EventLoop* loop : loops_) {
    if (loop->idle_time() < kLongestIdleTime) continue;
    log::error("stuck", {{"destination", context_.destination.name},
                         {"reason", "a connection's thread has made no progress for 5 minutes"},
                         {"next", "this process ends; the next run goes on"}});
    ::_exit(EXIT_FAILURE);
  }
}

/// The time until the first answers says nothing of the pace that comes after it.
bool Crew::wants_another() {
  if (working_ == 0 || !ramp_.may_dial(context_.destination.connections)) return false;
  if (context_.stop.stop_requested()) return false;
  auto progress = queue_.progress();
  if (!is_measuring_ && progress.done > done_before_) {
    measured_from_ = Clock::now();
    done_before_ = progress.done;
    is_measuring_ = true;
  }
  progress.total -= std::min(progress.total, done_before_);
  progress.done -= done_before_;
  const auto elapsed = std::chrono::duration_cast<milliseconds>(Clock::now() - measured_from_);
  return is_worth_dialling(progress, elapsed, ramp_.asked_for(), round_trip_);
}

/// A thread that works once its connection is there.
void Crew::start(std::future<Result<Session>> dialled) {
  ++ramp_.dialling;
  threads_.emplace_back([this, dialled = std::move(dialled)]() mutable {
    auto session = arrival(dialled.get());
    if (session) work(std::move(*session));
  });
}

std::optional<Session> Crew::arrival(Result<Session> dialled) {
  const std::scoped_lock lock(mutex_);
  --ramp_.dialling;
  changed_.notify_all();
  if (!dialled) {
    ramp_.refused = true;
    return std::nullopt;
  }
  ++ramp_.granted;
  ++working_;
  return std::move(*dialled);
}

void Crew::work(Session session) {
  auto ended = work_off(session);
  const std::scoped_lock lock(mutex_);
  if (ended) {
    idle_session_ = std::move(session);
    has_worked_off_all_ = true;
  } else if (ended.error().kind != ErrorKind::kCancelled) {
    give_up_reason_ = ended.error();
  }
  // What one could not do any more the others did.
  if (has_worked_off_all_) give_up_reason_.reset();
  --working_;
  changed_.notify_all();
}

Result<void> Crew::work_off(Session& session) {
  unsigned failures = 0;
  for (;;) {
    const Shift shift = take_shift(session);
    if (shift.outcome) return shift.outcome;
    ++*context_.lost_connections;
    if (shift.made_progress || !shift.was_busy) failures = 0;
    // A server may well end connections on which nothing happens.
    const auto wanted = [this] { return !context_.stop.stop_requested(); };
    if (!shift.was_busy && !queue_.wait_for_work(wanted)) {
      return make_error(ErrorKind::kCancelled, "nothing is left to do");
    }
    auto next = reconnect(failures, shift.outcome.error());
    if (!next) return next.error();
    session = std::move(*next);
  }
}

/// For as long as the connection lasts. Nothing of it is left then that knows of the session.
Crew::Shift Crew::take_shift(Session& session) {
  Worker worker(context_, queue_, session);
  const Watched watched(*this, *session.loop);
  auto outcome = worker.run();
  return {.outcome = std::move(outcome),
          .made_progress = worker.made_progress(),
          .was_busy = worker.was_busy()};
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
  Destination destination = context_.destination;
  destination.connect.tries_again = false;
  return open_session(destination, context_.options, context_.limiter, context_.closing, known_);
}

}  // namespace ferry::transfer
