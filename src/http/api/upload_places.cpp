#include "http/api/upload_places.h"

#include <algorithm>

#include "ferry/base/time.h"
#include "http/api/api.h"
#include "http/api/staged_file.h"

namespace ferry::http {
namespace {

constexpr std::size_t kMost = 10'000;
constexpr std::size_t kMostOfOne = 1'000;
constexpr std::chrono::seconds kBetweenLooks{60};
/// A look takes a twentieth of the time at most, however much there is to see.
constexpr int kRest = 19;

/// Whose it is; nothing if it is finished or gone. One that has expired is removed.
std::optional<std::string> owner_of(const fs::path& directory, const std::string& id,
                                    Timestamp expired) {
  auto upload = StagedUpload::find(directory, id);
  if (!upload && upload.error().kind == ErrorKind::kNotFound) {
    const auto removed = StagedUpload::remove_rest(directory, id, expired);
    return removed && *removed ? std::nullopt : std::optional<std::string>("");
  }
  if (!upload) return "";
  const std::string by = upload->terms().by;
  if (upload->touched() < expired) {
    const auto locked = upload->lock();
    const bool may_remove = locked || locked.error().kind == ErrorKind::kNotFound;
    if (may_remove && upload->touched() < expired && upload->remove()) return std::nullopt;
  }
  return upload->landed().empty() ? std::optional(by) : std::nullopt;
}

}  // namespace

Answer<void> UploadPlaces::check(const std::string& by) {
  const std::lock_guard lock(mutex_);
  // Who is about to be refused may be so for what has expired.
  const auto now = Clock::now();
  const bool looks_early =
      is_full(by) && now + kBetweenLooks - std::chrono::seconds(1) >= next_look_;
  if (now >= next_look_ || looks_early) {
    if (auto looked = look(); !looked) return refuse_upload(looked.error());
  }
  if (owners_.size() >= kMost) {
    return refuse(503, "busy", "too many uploads are under way", {{"Retry-After", "60"}});
  }
  if (!is_full(by)) return {};
  return refuse(
      429, "busy",
      fmt::format("this token has {} uploads under way: finish or delete some", kMostOfOne),
      {{"Retry-After", "60"}});
}

void UploadPlaces::enter(const std::string& id, const std::string& by) {
  const std::lock_guard lock(mutex_);
  if (owners_.emplace(id, by).second) ++by_owner_[by];
}

void UploadPlaces::leave(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = owners_.find(id);
  if (found == owners_.end()) return;
  const auto owner = by_owner_.find(found->second);
  if (--owner->second == 0) by_owner_.erase(owner);
  owners_.erase(found);
}

bool UploadPlaces::is_full(const std::string& by) const {
  const auto found = by_owner_.find(by);
  return owners_.size() >= kMost || (found != by_owner_.end() && found->second >= kMostOfOne);
}

Result<void> UploadPlaces::look() {
  const auto begin = Clock::now();
  const auto ids = StagedUpload::list(directory_);
  if (!ids) return ids.error();
  owners_.clear();
  by_owner_.clear();
  for (const std::string& id : *ids) {
    const auto by = owner_of(directory_, id, now() - keep_);
    if (!by) continue;
    owners_.emplace(id, *by);
    ++by_owner_[*by];
  }
  const auto end = Clock::now();
  next_look_ = end + std::max<Clock::duration>(kBetweenLooks, kRest * (end - begin));
  return {};
}

}  // namespace ferry::http
