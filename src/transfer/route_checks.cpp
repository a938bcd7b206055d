#include "transfer/route_checks.h"

#include <fcntl.h>

namespace ferry::transfer {
namespace {

using Refusal = std::optional<std::string>;

Result<Refusal> judge_source(const AcceptancePolicy& policy, int landing_fd,
                             const metastore::FileRecord& file, const CheckedSource& source,
                             const StopToken& stop) {
  if (policy.magic.empty() && policy.validate.empty()) {  // no need to open it
    return refusal_reason(policy, {file.path, source.identity.size, {}});
  }
  const auto opened = SourceFile::open(landing_fd, file.path, source.identity);
  if (!opened) return opened.error();
  const std::uint64_t size = source.identity.size;
  return judge(policy, opened->fd(), file.path, size,
               judged_environment(file.landing, file.path, size, source.sha256), stop);
}

}  // namespace

Result<void> check_acceptance(const Route& route, int landing_fd, const metastore::FileRecord& file,
                              const CheckedSource& source, const StopToken& stop) {
  const AcceptancePolicy& policy = route.acceptance;
  const bool was_released = !file.reason.empty();
  if (was_released || policy == AcceptancePolicy{}) return {};
  const auto refusal = judge_source(policy, landing_fd, file, source, stop);
  if (!refusal) return refusal.error().with_context(file.path);
  if (!*refusal) return {};
  return make_error(ErrorKind::kAbnormal, "{}: refused by route {}: {}", file.path, route.name,
                    **refusal);
}

}  // namespace ferry::transfer
