// What a delivered file has of its source beside the content.
#include <limits>

#include "ferry/base/log.h"
#include "transfer/deliver/worker.h"

namespace ferry::transfer {

using sftp::Task;

namespace {

/// As SFTP v3 has times; nothing of those that it cannot say.
std::optional<std::uint32_t> sftp_time(std::int64_t ns) {
  constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
  const std::int64_t seconds = ns / kNanosecondsPerSecond;
  if (ns < 0 || seconds > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(seconds);
}

}  // namespace

/// Of the part, before it gets its name: nobody sees the file with another time or mode. A server
/// that refuses that has the file all the same.
Task<Result<void>> Worker::preserve_attributes(const Job& job) {
  const Route* route = job.route;
  if (route == nullptr || !(route->preserves_mtime || route->preserves_mode)) {
    co_return Result<void>();
  }
  const FileIdentity identity =
      job.transformed ? job.transformed->source.identity : job.source.identity;
  sftp::Attributes attributes;
  if (route->preserves_mtime) attributes.modified = sftp_time(identity.mtime_ns);
  if (route->preserves_mode) {
    auto source = co_await session_.sources->open(job.landing, job.path, identity,
                                                  {identity.size, identity.size});
    if (!source) co_return source.error();
    const auto permissions = co_await (*source)->permissions();
    if (!permissions) co_return permissions.error();
    attributes.permissions = *permissions;
  }
  if (!attributes.modified && !attributes.permissions) co_return Result<void>();
  const auto set = co_await session_.client->set_attributes(job.part.path, attributes);
  if (set) co_return set;
  if (session_.client->error()) co_return *session_.client->error();
  if (!context_.has_refused_attributes->exchange(true)) {
    log::warning("time or mode not preserved", {{"destination", context_.destination.name},
                                                {"path", job.path},
                                                {"error", set.error().message},
                                                {"next", "it is delivered without"}});
  }
  co_return Result<void>();
}

}  // namespace ferry::transfer
