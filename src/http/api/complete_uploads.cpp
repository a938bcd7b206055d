#include "http/api/complete_uploads.h"

#include <algorithm>

#include "ferry/base/log.h"
#include "ferry/base/uuid.h"
#include "ferry/landing/upload.h"

namespace ferry::http {
namespace {

/// The file that UPLOAD became before the service could note it: a version with its bytes, come
/// since. Empty: none.
Result<std::string> find_landed(const Context& context, const StagedUpload& upload,
                                const std::string& landing) {
  Hasher hasher(HashAlgorithm::kSha256);
  const auto read = upload.read([&](std::span<const std::byte> data) -> Result<void> {
    if (context.stop.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
    hasher.update(data);
    return {};
  });
  if (!read) return read.error();
  const Checksum checksum = hasher.finish();
  const auto versions = context.store.history(upload.terms().path);
  if (!versions) return versions.error();
  for (const metastore::History& version : *versions) {
    if (version.file.empty()) continue;
    const metastore::FileRecord& file = version.file.front();
    // A watcher may have seen it first.
    if (file.landing == landing && file.checksum == checksum &&
        file.updated_date >= upload.terms().created) {
      return file.id;
    }
  }
  return std::string();
}

/// Whether another version of its path was registered since UPLOAD was complete.
Result<bool> is_overtaken(const Context& context, const StagedUpload& upload,
                          const landing::LandingArea& area) {
  const auto latest = context.store.latest(area.name, std::span(&upload.terms().path, 1));
  if (!latest) return latest.error();
  const auto& newest = latest->front();
  if (!newest) return false;
  // Later changes of its state have later dates.
  return time_of_uuid(newest->id).value_or(newest->updated_date) > upload.touched();
}

/// The id of the file that UPLOAD becomes; nothing if it IS_LATE, and overtaken.
Result<std::optional<std::string>> place(const Context& context, const StagedUpload& upload,
                                         const landing::LandingArea& area, bool is_late) {
  const auto asks_too_late = [&]() -> Result<bool> {
    return is_late ? is_overtaken(context, upload, area) : Result<bool>(false);
  };
  const auto before = asks_too_late();
  if (!before) return before.error();
  if (*before) return std::optional<std::string>();
  const UploadTerms& terms = upload.terms();
  auto landing = landing::Upload::begin(
      context.store,
      {.area = area, .journals = context.configuration.journals, .no_clobber = terms.no_clobber},
      context.stop);
  if (!landing) return landing.error().error;
  std::vector<HashAlgorithm> algorithms;
  algorithms.reserve(terms.digests.size());
  for (const Checksum& digest : terms.digests) algorithms.push_back(digest.algorithm);
  const auto file = (*landing)->open(terms.path, algorithms);
  if (!file) return file.error().error;
  auto read = upload.read([&](std::span<const std::byte> data) { return (*file)->write(data); });
  if (!read) return read.error();
  if (auto finished = (*file)->finish(terms.digests); !finished) return finished.error();
  // A large one has taken its time.
  const auto meanwhile = asks_too_late();
  if (!meanwhile) return meanwhile.error();
  if (*meanwhile) return std::optional<std::string>();
  const auto records = (*landing)->commit();
  if (!records) return records.error().error;
  return std::optional(records->front().id);
}

/// What cannot become a file by any repetition is not kept.
bool is_final(const Problem& problem) {
  return problem.status == 412 || problem.status == 422;
}

Answer<void> give_up(const Context& context, StagedUpload& upload, std::string_view reason) {
  if (auto removed = remove_upload(context, upload); !removed) return removed;
  log::warning("upload given up", {{"landing", upload.terms().area},
                                   {"path", upload.terms().path},
                                   {"by", upload.terms().by},
                                   {"reason", reason}});
  return {};
}

/// Whether who began UPLOAD could still end it.
Result<bool> is_still_granted(const Context& context, const StagedUpload& upload) {
  auto required = context.tokens.is_required();
  if (!required) return required;
  if (!*required) return true;
  const auto grant = context.tokens.find_name(upload.terms().by);
  if (!grant) return grant.error();
  return *grant && (*grant)->may_upload(upload.terms().area, upload.terms().path);
}

/// Without its client.
Answer<void> finish(const Context& context, StagedUpload& upload) {
  if (has_expired(context, upload)) return give_up(context, upload, "it has expired");
  const auto granted = is_still_granted(context, upload);
  if (!granted) return refuse_upload(granted.error());
  if (!*granted) return give_up(context, upload, "its token is good for it no more");
  const auto area =
      std::ranges::find(context.configuration.areas, upload.terms().area, &UploadArea::name);
  if (area == context.configuration.areas.end()) return {};
  return land(context, upload, area->area, true);
}

}  // namespace

bool has_expired(const Context& context, const StagedUpload& upload) {
  return upload.touched() + context.options.resume_within < now();
}

Answer<void> remove_upload(const Context& context, StagedUpload& upload) {
  if (auto removed = upload.remove(); !removed) return refuse_upload(removed.error());
  context.places.leave(upload.id());
  return {};
}

Answer<void> land(const Context& context, StagedUpload& upload, const landing::LandingArea& area,
                  bool is_late) {
  std::string id;
  if (is_late) {
    auto found = find_landed(context, upload, area.name);
    if (!found) return refuse_upload(found.error());
    id = std::move(*found);
  }
  if (id.empty()) {
    auto placed = place(context, upload, area, is_late);
    if (!placed) {
      auto refused = refuse_upload(placed.error(), upload.terms().no_clobber);
      if (is_final(refused.error())) {
        const auto removed = is_late ? give_up(context, upload, refused.error().detail)
                                     : remove_upload(context, upload);
        if (!removed) return removed;
      }
      return refused;
    }
    if (!*placed) {
      constexpr std::string_view kReason = "a newer version of the file came since it was complete";
      if (auto given_up = give_up(context, upload, kReason); !given_up) return given_up;
      return refuse(409, "failed", fmt::format("the upload is given up: {}", kReason));
    }
    id = std::move(**placed);
  }
  if (auto noted = upload.note_landed(id); !noted) return refuse_upload(noted.error());
  context.places.leave(upload.id());
  return {};
}

void finish_resumables(const Context& context) {
  const auto ids = StagedUpload::list(context.configuration.resumable);
  if (!ids) return log::warning("uploads not resumed", {{"error", ids.error().message}});
  for (const std::string& id : *ids) {
    if (context.stop.stop_requested()) return;
    auto upload = StagedUpload::find(context.configuration.resumable, id);
    if (!upload || !upload->is_complete() || !upload->landed().empty()) continue;
    if (!upload->lock() || !upload->landed().empty()) continue;
    const auto finished = finish(context, *upload);
    if (!finished && !upload->is_removed()) {
      log::warning("upload not finished",
                   {{"path", upload->terms().path}, {"error", finished.error().detail}});
    }
  }
}

}  // namespace ferry::http
