#include "ferry/landing/upload.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "ferry/base/log.h"
#include "ferry/base/path.h"
#include "ferry/base/uuid.h"
#include "landing/upload/name_locks.h"
#include "landing/upload/upload_journal.h"
#include "landing/upload/upload_place.h"
#include "landing/watch/ignore.h"

namespace ferry::landing {
namespace {

using metastore::FileRecord;

constexpr std::chrono::milliseconds kFirstPause{500};
constexpr std::chrono::milliseconds kLongestPause{8'000};
/// For others who give the same name: they may wait for the metastore.
constexpr std::chrono::milliseconds kNameTime{60'000};
constexpr int kMostDirectories = 64;        // above a file
constexpr std::size_t kMaxNameBytes = 255;  // NAME_MAX of the usual file systems

Error unfit(std::string_view path, std::string_view why) {
  return make_error(ErrorKind::kInvalid, "{}: {}", printable(path), why);
}

/// Beside the file, under a name that no watcher registers.
std::string temporary_for(const std::string& path) {
  return beside(path, fmt::format(".upload-{}.part", uuid_v7()));
}

Error refused(const std::string& path, std::string_view reason) {
  return make_error(ErrorKind::kAbnormal, "{}: the landing area takes no such file: {}", path,
                    reason);
}

FileRecord to_record(const StagedFile& file, const FileIdentity& identity,
                     const std::string& landing) {
  FileRecord record;
  record.path = file.path;
  record.updated_date = now();
  record.checksum = file.sha256;
  record.landing = landing;
  record.identity = identity;
  record.source = metastore::FileSource::kUpload;
  return record;
}

/// Registers those of FILES that are in place; an absent record is one that is not.
ferry::Outcome<std::vector<std::optional<FileRecord>>> register_published(
    metastore::Metastore& metastore, UploadPlace& place, const LandingArea& area,
    std::span<const StagedFile> files) {
  const auto identities = place.identities(files);
  if (!identities) {
    // The files are there: what fails on this host is to register them.
    return fail(identities.error(), area.is_remote() ? Origin::kDestination : Origin::kMetastore);
  }
  std::vector<FileRecord> found;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (const auto& identity = identities->at(i)) {
      found.push_back(to_record(files[i], *identity, area.name));
    }
  }
  const auto registrations = metastore.register_files(found);
  if (!registrations) return fail(registrations.error(), Origin::kMetastore);
  std::vector<std::optional<FileRecord>> records(files.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!identities->at(i)) continue;
    found[next].id = registrations->at(next).id;
    log::info("uploaded", {{"path", found[next].path},
                           {"id", found[next].id},
                           {"size", found[next].identity->size},
                           {"landing", area.name}});
    records[i] = std::move(found[next++]);
  }
  return records;
}

class RunningUpload final : public Upload {
 public:
  RunningUpload(metastore::Metastore& metastore, UploadOptions options, StopToken& stop,
                std::unique_ptr<UploadPlace> place, UploadJournal journal)
      : metastore_(metastore),
        options_(std::move(options)),
        stop_(stop),
        place_(std::move(place)),
        journal_(std::move(journal)) {}
  RunningUpload(const RunningUpload&) = delete;
  RunningUpload& operator=(const RunningUpload&) = delete;
  ~RunningUpload() override;

  ferry::Outcome<std::unique_ptr<File>> open(std::string path,
                                             std::span<const HashAlgorithm> also) override;
  ferry::Outcome<std::vector<FileRecord>> commit() override;

 private:
  class OpenFile;

  Result<void> take(StagedFile file);
  ferry::Outcome<void> decide();
  Result<void> publish();

  metastore::Metastore& metastore_;
  UploadOptions options_;
  StopToken& stop_;
  std::unique_ptr<UploadPlace> place_;
  UploadJournal journal_;
  std::vector<StagedFile> staged_;
  std::set<std::string> paths_;
  std::vector<std::string> temporaries_;
  bool settled_ = false;  // or left to a recovery
};

RunningUpload::~RunningUpload() {
  if (settled_) return;
  // What cannot be removed now is in the journal.
  if (place_->discard(temporaries_)) journal_.remove();
}

/// Hashes what it passes on.
class RunningUpload::OpenFile final : public Upload::File {
 public:
  OpenFile(RunningUpload& upload, StagedFile file, std::unique_ptr<Staging> staging,
           std::span<const HashAlgorithm> also)
      : upload_(upload), file_(std::move(file)), staging_(std::move(staging)) {
    for (const HashAlgorithm algorithm : also) {
      if (!hashers_.contains(algorithm)) hashers_.emplace(algorithm, Hasher(algorithm));
    }
  }

  Result<void> write(std::span<const std::byte> data) override {
    if (upload_.stop_.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
    for (auto& [algorithm, hasher] : hashers_) hasher.update(data);
    size_ += data.size();
    const std::uint64_t most = upload_.options_.area.acceptance.max_size;
    if (most > 0 && size_ > most) return check_announced(upload_.options_.area, file_.path, size_);
    if (auto written = staging_->write(data); !written) {
      return written.error().with_context(file_.path);
    }
    return {};
  }

  Result<void> finish(std::span<const Checksum> expected) override {
    const auto identity = staging_->finish();
    if (!identity) return identity.error().with_context(file_.path);
    file_.identity = *identity;
    if (identity->size != size_) {
      return make_error(ErrorKind::kFailed, "{}: {} bytes were written, and {} are there",
                        file_.path, size_, identity->size);
    }
    if (auto same = compare(expected); !same) return same;
    return upload_.take(std::move(file_));
  }

 private:
  Result<void> compare(std::span<const Checksum> expected) {
    std::map<HashAlgorithm, Checksum> digests;
    for (auto& [algorithm, hasher] : hashers_) digests.emplace(algorithm, hasher.finish());
    file_.sha256 = digests.at(HashAlgorithm::kSha256);
    for (const Checksum& one : expected) {
      const auto digest = digests.find(one.algorithm);
      if (digest == digests.end()) {
        return make_error(ErrorKind::kInvalid, "{}: no such checksum was asked for when it began",
                          file_.path);
      }
      if (digest->second == one) continue;
      return make_error(ErrorKind::kAbnormal, "{}: its checksum is {}, expected was {}", file_.path,
                        digest->second.to_string(), one.to_string());
    }
    return {};
  }

  RunningUpload& upload_;
  StagedFile file_;
  std::unique_ptr<Staging> staging_;
  std::map<HashAlgorithm, Hasher> hashers_ = [] {
    std::map<HashAlgorithm, Hasher> hashers;
    hashers.emplace(HashAlgorithm::kSha256, Hasher(HashAlgorithm::kSha256));
    return hashers;
  }();
  std::uint64_t size_ = 0;
};

ferry::Outcome<std::unique_ptr<Upload::File>> RunningUpload::open(
    std::string path, std::span<const HashAlgorithm> also) {
  if (auto fit = check_upload_path(options_.area, path); !fit) return fail(fit.error());
  if (auto fit = check_announced(options_.area, path, std::nullopt); !fit) return fail(fit.error());
  if (!paths_.insert(path).second) return fail(unfit(path, "two files are given for this name"));
  StagedFile file{.path = std::move(path), .temporary = {}, .identity = {}, .sha256 = {}};
  file.temporary = temporary_for(file.path);
  if (auto noted = journal_.note_temporary(file.temporary); !noted) {
    return fail(noted.error(), Origin::kMetastore);
  }
  temporaries_.push_back(file.temporary);
  auto staging = place_->stage(file.temporary);
  if (!staging) return fail(staging.error().with_context(file.path), origin_of(options_.area));
  return std::make_unique<OpenFile>(*this, std::move(file), std::move(*staging), also);
}

/// A file that is whole.
Result<void> RunningUpload::take(StagedFile file) {
  const auto refusal = place_->judge(file, options_.area.acceptance, options_.area.name, stop_);
  if (!refusal) return refusal.error().with_context(file.path);
  if (*refusal) return refused(file.path, **refusal);
  staged_.push_back(std::move(file));
  return {};
}

/// From here on the files get their names, if need be by whoever comes after us: but not over what
/// has come meanwhile.
ferry::Outcome<void> RunningUpload::decide() {
  const auto there = place_->occupants(staged_);
  if (!there) return fail(there.error(), origin_of(options_.area));
  for (std::size_t i = 0; i < staged_.size(); ++i) staged_[i].replaces = there->at(i);
  if (auto noted = journal_.note_commit(staged_, options_.no_clobber); !noted) {
    return fail(noted.error(), Origin::kMetastore);
  }
  return {};
}

/// A connection that is lost while names are given leaves open which were: it is made anew, and
/// what is missing is done.
Result<void> RunningUpload::publish() {
  const auto was_lost = [](const Result<void>& published) {
    return !published && published.error().kind == ErrorKind::kConnectionLost;
  };
  auto published =
      place_->publish(staged_, options_.no_clobber ? Replace::kNothing : Replace::kAnything);
  for (auto pause = kFirstPause; was_lost(published) && pause <= kLongestPause; pause *= 2) {
    if (!sleep_unless_stopped(pause, stop_)) break;
    auto place = open_place(options_.area, stop_);
    if (!place) continue;
    place_ = std::move(*place);
    published =
        place_->publish(staged_, options_.no_clobber ? Replace::kNothing : Replace::kAnything);
  }
  if (!was_lost(published)) return published;
  settled_ = true;  // by whoever comes next
  return published.error().with_context(
      "the connection was lost while names were given: the next upload or watcher finishes that");
}

ferry::Outcome<std::vector<FileRecord>> RunningUpload::commit() {
  if (stop_.stop_requested()) return fail(make_error(ErrorKind::kCancelled, "stopped"));
  if (staged_.size() != temporaries_.size()) {
    return fail(make_error(ErrorKind::kInvalid, "not all files of the upload are finished"));
  }
  if (staged_.empty()) return std::vector<FileRecord>();
  const auto names =
      NameLocks::acquire(options_.journals, options_.area.name, staged_, kNameTime, stop_);
  if (!names) return fail(names.error(), Origin::kMetastore);
  if (auto decided = decide(); !decided) return std::unexpected(decided.error());
  if (auto published = publish(); !published) {
    Error error = published.error();
    // Nobody else's business is what has a temporary name.
    if (error.kind == ErrorKind::kNotFound) error.kind = ErrorKind::kFailed;
    return fail(std::move(error), origin_of(options_.area));
  }
  settled_ = true;
  auto records = register_published(metastore_, *place_, options_.area, staged_);
  if (!records) {
    const auto& [origin, error] = records.error();
    return fail(error.with_context("the files are in their places, and not registered: the next "
                                   "upload or watcher does it"),
                origin);
  }
  if (!place_->can_exchange() || place_->discard(temporaries_)) journal_.remove();
  std::vector<FileRecord> registered;
  for (std::size_t i = 0; i < staged_.size(); ++i) {
    if (!records->at(i)) {
      return fail(make_error(ErrorKind::kFailed,
                             "{}: the file was uploaded, and taken away or replaced by another "
                             "process before it could be registered",
                             staged_[i].path));
    }
    registered.push_back(std::move(*records->at(i)));
  }
  return registered;
}

// Recovery.

/// Finishes what was decided; returns how many files were registered.
Result<std::uint64_t> finish(metastore::Metastore& metastore, UploadPlace& place,
                             const LandingArea& area, const UploadPlan& plan) {
  for (const StagedFile& file : *plan.committed) {
    const auto published = place.publish(
        std::span(&file, 1), plan.no_clobber ? Replace::kNothing : Replace::kWhatWasThere);
    if (published) continue;
    const ErrorKind kind = published.error().kind;
    if (kind == ErrorKind::kNotFound) continue;  // it had its name, and was taken away since
    if (kind != ErrorKind::kFailed) return published.error();
    log::warning("upload not finished",
                 {{"path", file.path}, {"reason", published.error().message}});
  }
  const auto records = register_published(metastore, place, area, *plan.committed);
  if (!records) return records.error().error;
  return static_cast<std::uint64_t>(
      std::ranges::count_if(*records, [](const auto& record) { return record.has_value(); }));
}

Result<UploadRecovery> recover(metastore::Metastore& metastore, const LandingArea& area,
                               const fs::path& journals, const UploadPlan& plan, StopToken& stop) {
  if (plan.temporaries.empty()) return UploadRecovery{};
  const auto place = open_place(area, stop);
  if (!place) return place.error();
  if (plan.root && (*place)->root() != plan.root) {
    return make_error(ErrorKind::kNotFound, "{} is another directory than before", plan.place);
  }
  UploadRecovery recovery;
  if (plan.committed) {
    const auto names = NameLocks::acquire(journals, area.name, *plan.committed, kNameTime, stop);
    if (!names) return names.error();
    const auto registered = finish(metastore, **place, area, plan);
    if (!registered) return registered.error();
    recovery.registered = *registered;
  }
  const auto removed = (*place)->discard(plan.temporaries);
  if (!removed) return removed.error();
  recovery.removed = *removed;
  log::info(
      "upload of a dead process settled",
      {{"landing", area.name}, {"registered", recovery.registered}, {"removed", recovery.removed}});
  return recovery;
}

}  // namespace

Result<void> check_upload_path(const LandingArea& area, const std::string& path) {
  if (path.empty() || path.front() == '/') {
    return unfit(path, "a name relative to the landing area is wanted");
  }
  if (std::ranges::count(path, '/') > kMostDirectories) {
    return unfit(path, "lies below more than 64 directories");
  }
  for (Components names(path); const auto next = names.next();) {
    const std::string_view name = *next;
    if (name == "..") return unfit(path, "leads out of the landing area");
    if (name.empty() || name == ".") return unfit(path, "is not a plain relative path");
    if (name.find('\0') != name.npos) return unfit(path, "has a NUL character");
    if (name.size() > kMaxNameBytes) return unfit(path, "has a name of more than 255 bytes");
    if (const auto problem = name_problem(name)) return unfit(path, *problem);
  }
  if (IgnoreRules(area.ignore).ignores_file(path)) {
    return unfit(path,
                 "files of this name are never registered (dot files, *.tmp, *.part, *.filepart, "
                 "and the area's 'ignore')");
  }
  return {};
}

Result<void> check_announced(const LandingArea& area, const std::string& path,
                             std::optional<std::uint64_t> size) {
  AcceptancePolicy policy = area.acceptance;
  policy.magic.clear();
  if (!size) policy.min_size = policy.max_size = 0;
  // Of any size but 0, which is not known to be it.
  const auto reason = refusal_reason(policy, {.path = path, .size = size.value_or(1), .head = {}});
  if (reason) return refused(path, *reason);
  return {};
}

Origin origin_of(const LandingArea& area) {
  return area.is_remote() ? Origin::kDestination : Origin::kLocal;
}

ferry::Outcome<std::unique_ptr<Upload>> Upload::begin(metastore::Metastore& metastore,
                                                      UploadOptions options, StopToken& stop) {
  if (auto recovered =
          recover_uploads(metastore, std::span(&options.area, 1), options.journals, stop);
      !recovered) {
    return fail(recovered.error(), Origin::kMetastore);
  }
  auto place = open_place(options.area, stop);
  if (!place) return fail(place.error(), origin_of(options.area));
  auto journal = UploadJournal::create(options.journals, options.area.name,
                                       place_name(options.area), (*place)->root());
  if (!journal) return fail(journal.error(), Origin::kMetastore);
  return std::make_unique<RunningUpload>(metastore, std::move(options), stop, std::move(*place),
                                         std::move(*journal));
}

Result<UploadRecovery> recover_uploads(metastore::Metastore& metastore,
                                       std::span<const LandingArea> areas, const fs::path& journals,
                                       StopToken& stop) {
  UploadRecovery recovery;
  const auto settle = [&](const IntentLog::Orphan& orphan) -> Result<void> {
    const UploadPlan plan = parse_upload_plan(orphan.text);
    const auto area = std::ranges::find_if(areas, [&](const LandingArea& candidate) {
      return candidate.name == plan.landing && place_name(candidate) == plan.place;
    });
    // An upload that died before its first line belongs to nobody.
    if (area == areas.end() && !plan.landing.empty()) return {};
    const auto done =
        area == areas.end() ? UploadRecovery{} : recover(metastore, *area, journals, plan, stop);
    if (!done) {
      log::warning("upload of a dead process not settled", {{"landing", area->name},
                                                            {"reason", done.error().message},
                                                            {"next", "tried again next time"}});
      return {};
    }
    recovery.registered += done->registered;
    recovery.removed += done->removed;
    ::unlink(orphan.path.c_str());
    return {};
  };
  if (auto visited = IntentLog::visit_orphans(journals, settle); !visited) return visited.error();
  return recovery;
}

}  // namespace ferry::landing
