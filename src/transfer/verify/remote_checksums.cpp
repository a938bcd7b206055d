#include "transfer/verify/remote_checksums.h"

#include "ferry/sftp/remote_command.h"

namespace ferry::transfer {
namespace {

using std::chrono::milliseconds;

/// A command line has to fit into one packet, and into what the server's system allows.
constexpr std::size_t kMaxPathBytes = 16 * 1024;
constexpr std::size_t kMaxFiles = 64;
/// So that small files do not wait for large ones.
constexpr std::uint64_t kMaxBytes = 1ULL << 30;
/// A server that reads and hashes more slowly than this is as good as stuck.
constexpr std::uint64_t kSlowestBytesPerMs = 4 * 1024;

}  // namespace

std::vector<Checksum> checksums_in(std::string_view output) {
  std::vector<Checksum> found;
  while (!output.empty()) {
    std::string_view line = output.substr(0, output.find('\n'));
    output.remove_prefix(std::min(output.size(), line.size() + 1));
    if (line.starts_with('\\')) line.remove_prefix(1);  // the name that follows is escaped
    const auto checksum = Checksum::parse(line.substr(0, line.find_first_of(" \t\r")));
    if (checksum) found.push_back(*checksum);
  }
  return found;
}

sftp::Task<Result<Checksum>> RemoteChecksums::of(std::string path, std::uint64_t size) {
  Request request{std::move(path), size, {}};
  waiting_.push_back(&request);
  if (!std::exchange(is_serving_, true)) client_.loop().spawn(serve());
  co_return co_await request.result;
}

sftp::Task<void> RemoteChecksums::serve() {
  while (!waiting_.empty()) {
    const auto group = take_group();
    const Results results = co_await run_beside(group);
    for (std::size_t i = 0; i < group.size(); ++i) group[i]->result.set(results[i]);
  }
  is_serving_ = false;
}

std::vector<RemoteChecksums::Request*> RemoteChecksums::take_group() {
  std::vector<Request*> group;
  std::size_t path_bytes = 0;
  std::uint64_t bytes = 0;
  while (!waiting_.empty() && group.size() < kMaxFiles) {
    Request* next = waiting_.front();
    path_bytes += next->path.size();
    bytes += next->size;
    if (!group.empty() && (path_bytes > kMaxPathBytes || bytes > kMaxBytes)) break;
    group.push_back(next);
    waiting_.pop_front();
  }
  return group;
}

/// Nobody wants to know any more.
sftp::Task<void> RemoteChecksums::stop_if_lost(sftp::Client& client, StopToken& stop,
                                               bool& is_done) {
  while (!is_done && !client.error() && !client.loop().stop().stop_requested()) {
    co_await client.ended().wait();
  }
  if (!is_done) stop.request_stop();
}

sftp::Task<RemoteChecksums::Results> RemoteChecksums::run_beside(
    const std::vector<Request*>& group) {
  StopToken stop;
  bool is_done = false;
  sftp::TaskGroup watching(client_.loop());
  watching.spawn(stop_if_lost(client_, stop, is_done));
  auto running = client_.loop().in_thread([&] { return run(group, stop); });
  auto results = co_await running;
  is_done = true;
  client_.ended().notify_all();
  co_await watching;
  if (const auto& lost = client_.error()) co_return Results(group.size(), *lost);
  co_return results;
}

RemoteChecksums::Results RemoteChecksums::run(const std::vector<Request*>& group,
                                              StopToken& stop) const {
  std::vector<std::string> words = command_;
  std::uint64_t bytes = 0;
  for (const Request* request : group) {
    words.push_back(request->path);
    bytes += request->size;
  }
  const milliseconds limit =
      account_.limits.stall_timeout + milliseconds(bytes / kSlowestBytesPerMs);
  const auto end = sftp::run_remote_command(account_, sftp::shell_quoted(words), limit, stop);
  if (!end) {
    Error error = end.error().with_context("verify by " + command_.front());
    // It was not the connection that the files go over.
    if (sftp::ends_connection(error.kind)) error.kind = ErrorKind::kUnreachable;
    return Results(group.size(), error);
  }
  const auto checksums = checksums_in(end->output);
  if (checksums.size() == group.size()) return {checksums.begin(), checksums.end()};
  if (group.size() == 1) {
    return {make_error(
        ErrorKind::kFailed,
        "verify by {}: no checksum of {} ({}): the account needs a shell there and that program, "
        "which verify_command names; without them choose verify = \"readback\" or \"size\"",
        command_.front(), group.front()->path, end->how)};
  }
  Results results;  // a file is to blame, or the command takes only one at a time
  for (Request* request : group) results.push_back(run({request}, stop).front());
  return results;
}

}  // namespace ferry::transfer
