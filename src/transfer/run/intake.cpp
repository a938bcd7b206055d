#include "transfer/run/intake.h"

#include "transfer/batch/control_name.h"
#include "transfer/naming/remote_path.h"
#include "transfer/naming/route_checks.h"

namespace ferry::transfer {
namespace {

Error refused_name(std::string reason) {
  return Error{ErrorKind::kAbnormal, std::move(reason), 0};
}

/// Whether the registry vouches for the file, unless its identity has changed.
bool is_known_by_identity(const metastore::FileRecord& file) {
  return file.identity && file.checksum.algorithm == HashAlgorithm::kSha256;
}

}  // namespace

bool Intake::may_share_names() const {
  return options_.routes != nullptr || options_.landings.size() > 1;
}

Intake::Taken Intake::take(const metastore::Claim& claim, Batch& batch, const StopToken& stop) {
  const metastore::FileRecord& file = claim.file;
  const Route* route = options_.routes == nullptr
                           ? nullptr
                           : options_.routes->find(file.landing, file.path, destination_.name);
  Taken taken{.job = std::make_unique<Job>(), .to_prepare = {}};
  Job& job = *taken.job;
  job.id = file.id;
  job.path = file.path;
  job.landing = roots_.find(file.landing);
  job.route = route;
  if (route != nullptr) job.if_exists = route->existing;
  job.attempt = claim.attempt;
  job.batch = &batch;
  job.batch_id = batch.info().id;
  job.is_named_later = batch.info().all_or_nothing;
  job.source.identity = file.identity.value_or(FileIdentity{});
  job.source.sha256 = file.checksum;
  const auto filled = fill(job, file, route, stop, taken.to_prepare);
  batch.add(job.source.identity.size);
  if (!filled) {
    job.error = std::make_unique<Error>(filled.error());
    taken.to_prepare.reset();
  }
  return taken;
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): it does not see the move into the result

Result<void> Intake::fill(Job& job, const metastore::FileRecord& file, const Route* route,
                          const StopToken& stop, std::optional<ToPrepare>& to_prepare) {
  const auto name = remote_name(route, file);
  if (!name) {
    job.refused_here = true;
    return name.error();
  }
  job.remote_path = join_remote(job.batch->info().directory, *name);
  const BatchInfo& batch = job.batch->info();
  if (auto checked = check_remote_name(destination_, batch.directory, parent_of(batch.control_path),
                                       job.remote_path);
      !checked) {
    job.refused_here = true;
    return checked;
  }
  job.shares_name = may_share_names() && !job.batch->take_name(job.remote_path);
  if (job.shares_name && job.if_exists != IfExists::kVersion) {
    job.refused_here = true;
    return refused_name(fmt::format(
        "its remote name, {}, is also that of an older file in the same batch", job.remote_path));
  }
  ToPrepare work{.job = &job, .file = file, .route = route};
  work.needs_check = !is_known_by_identity(file);
  if (!work.needs_check) {
    auto checked =
        sources_.loop().wait_for(check_source(sources_, job.landing, file, job.source.identity));
    if (!checked) return checked.error();
    job.source = *checked;
  }
  if (route != nullptr) {
    work.needs_acceptance = work.needs_check || !route->acceptance.validate.empty();
    if (!work.needs_acceptance) {
      const auto accepted = check_acceptance(*route, sources_, job.landing, file, job.source, stop);
      if (!accepted) {
        job.refused_here = !options_.routes->decides_alone(*route, file.landing, file.path);
        return accepted;
      }
    }
    if (!route->transforms.empty()) plan_transform(job, file, *route);
  }
  if (work.needs_check || work.needs_acceptance || job.transformed) to_prepare = std::move(work);
  return {};
}

void Intake::plan_transform(Job& job, const metastore::FileRecord& file, const Route& route) {
  job.transformed = std::make_unique<Transformed>(
      Transformed{.route = &route,
                  .key = spool_key(file, route),
                  .spool = &spool_->root(),
                  .entry = {},
                  .source = job.source,
                  .is_shared = options_.routes->wanted_by(file.landing, file.path).size() > 1});
}

}  // namespace ferry::transfer
