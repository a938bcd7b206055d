#include "transfer/naming/route_checks.h"

#include <algorithm>
#include <vector>

namespace ferry::transfer {
namespace {

using Refusal = std::optional<std::string>;

Result<Refusal> judge_source(const AcceptancePolicy& policy, SourceOpener& sources,
                             const LandingRoot* landing, const metastore::FileRecord& file,
                             const CheckedSource& source, const StopToken& stop) {
  const std::uint64_t size = source.identity.size;
  if (policy.magic.empty() && policy.validate.empty()) {  // no need to open it
    return refusal_reason(policy, {file.path, size, {}});
  }
  std::vector<std::byte> head(std::min<std::uint64_t>(magic_length(policy), size));
  const auto opened =
      sources.loop().wait_for(sources.open(landing, file.path, source.identity, {0, head.size()}));
  if (!opened) return opened.error();
  if (const int fd = (*opened)->fd(); fd >= 0) {
    return judge(policy, fd, file.path, size,
                 judged_environment(file.landing, file.path, size, source.sha256), stop);
  }
  if (!policy.validate.empty()) {
    return make_error(ErrorKind::kInvalid, "no command can look at files on a server");
  }
  auto filled = sources.loop().wait_for((*opened)->await(head.size()));
  if (filled) filled = (*opened)->read(0, head);
  if (!filled) return filled.error();
  return refusal_reason(policy, {file.path, size, head});
}

}  // namespace

Result<void> check_acceptance(const Route& route, SourceOpener& sources, const LandingRoot* landing,
                              const metastore::FileRecord& file, const CheckedSource& source,
                              const StopToken& stop) {
  const AcceptancePolicy& policy = route.acceptance;
  const bool was_released = !file.reason.empty();
  if (was_released || policy == AcceptancePolicy{}) return {};
  const auto refusal = judge_source(policy, sources, landing, file, source, stop);
  if (!refusal) return refusal.error().with_context(file.path);
  if (!*refusal) return {};
  return make_error(ErrorKind::kAbnormal, "{}: refused by route {}: {}", file.path, route.name,
                    **refusal);
}

}  // namespace ferry::transfer
