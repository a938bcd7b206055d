#include "transfer/worker.h"

#include <algorithm>

#include "transfer/batch.h"
#include "transfer/publish.h"
#include "transfer/remote_path.h"

namespace ferry::transfer {
namespace {

using Clock = std::chrono::steady_clock;

/// For servers that do not tell how many files they keep open.
constexpr std::size_t kAssumedOpenHandles = 64;

bool ends_connection(ErrorKind kind) {
  return kind == ErrorKind::kConnectionLost || kind == ErrorKind::kProtocol;
}

}  // namespace

std::size_t Worker::lanes() const {
  const std::uint64_t handles = session_.client->limits().max_open_handles;
  const std::size_t allowed = handles > 0 ? static_cast<std::size_t>(handles) : kAssumedOpenHandles;
  return std::max<std::size_t>(1, std::min({options_.limits.files_in_flight, allowed,
                                            queue_.size()}));
}

Result<void> Worker::run() {
  for (std::size_t i = 0; i < lanes(); ++i) session_.client->spawn(lane());
  return session_.client->run();
}

sftp::Task<void> Worker::lane() {
  while (!stop_.stop_requested() && !connection_lost_) {
    Job* job = queue_.take();
    if (job == nullptr) co_return;
    co_await deliver(*job);
  }
}

sftp::Task<void> Worker::deliver(Job& job) {
  const auto started = Clock::now();
  Result<void> outcome = co_await send(job);
  job.duration = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started);
  job.finished = now();
  if (outcome) {
    observer_.on_delivered(outcome_of(job));
  } else if (outcome.error().kind == ErrorKind::kCancelled) {
    co_return;  // not its fault: it stays pending
  } else {
    connection_lost_ = connection_lost_ || ends_connection(outcome.error().kind);
    observer_.on_failed(outcome_of(job), outcome.error());
  }
  job.outcome = std::move(outcome);
}

sftp::Task<Result<void>> Worker::send(Job& job) {
  const metastore::FileRecord& file = job.claim.file;
  auto source = SourceStream::open(roots_.fd(file.landing), file.path, job.source);
  if (!source) co_return source.error();
  const auto directory = co_await session_.directories->ensure(remote_parent(job.remote_path));
  if (!directory) co_return directory;
  const Publication publication{
      .part_path = part_path(job.remote_path, file.id),
      .final_path = job.remote_path,
      .size = job.source.identity.size,
      .read = [&](std::uint64_t offset, std::span<std::byte> buffer) -> Result<void> {
        if (stop_.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
        return source->read(offset, buffer);
      },
      .on_acknowledged = [&](std::uint64_t, std::size_t size) { observer_.on_bytes(size); },
      .verify_source = [&] { return source->verify(); },
      .fsync = options_.fsync};
  co_return co_await publish(*session_.client, publication);
}

}  // namespace ferry::transfer
