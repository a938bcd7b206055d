#include "metastore/jsonl/index/working_index.h"

#include "ferry/base/lock.h"
#include "ferry/base/log.h"
#include "metastore/jsonl/tables/layout.h"

namespace ferry::metastore {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPagesInWal = 1'000;  // 4 MiB
constexpr std::chrono::seconds kLongestOwn{3600};

}  // namespace

WorkingIndex::WorkingIndex(const Directory& directory, IndexedTables::Progress on_reading,
                           std::chrono::milliseconds lock_timeout)
    : directory_(directory), on_reading_(std::move(on_reading)), lock_timeout_(lock_timeout) {}

Result<void> WorkingIndex::make_ready() {
  if (works_on_own_ && own_ && Clock::now() < own_until_) return {};
  works_on_own_ = false;
  const auto failure = std::exchange(failure_, std::nullopt);
  if (failure) {
    shared_.reset();
    if (failure->kind != ErrorKind::kCorrupt) return work_on_own(*failure);
    log::warning("index built anew", {{"reason", failure->message}});
    return build();
  }
  if (shared_ && metastore::is_in_place(directory_, *shared_)) return {};
  shared_.reset();
  auto opened = open_shared_index(directory_, Database::Access::kWrite);
  if (opened) {
    shared_ = std::move(*opened);
    return {};
  }
  switch (opened.error().kind) {
    case ErrorKind::kNotFound:
      return build();
    case ErrorKind::kCorrupt:
    case ErrorKind::kDenied:
      log::warning("index built anew", {{"reason", opened.error().message}});
      return build();
    default:
      return work_on_own(opened.error());
  }
}

Result<void> WorkingIndex::build() {
  const auto built = build_index(directory_, {}, on_reading_);
  if (!built) return work_on_own(built.error());
  auto fd = directory_.open_lock(kLockFile);
  if (!fd) {
    discard_index(directory_, *built);
    return fd.error();
  }
  {
    const auto lock = FileLock::acquire(std::move(*fd), directory_.shown(kLockFile), lock_timeout_);
    const auto installed = lock ? install_index(directory_, *built) : lock.error();
    if (!installed) {
      discard_index(directory_, *built);
      return lock ? work_on_own(installed.error()) : lock.error().with_context("metastore");
    }
  }
  auto opened = open_shared_index(directory_, Database::Access::kWrite);
  if (!opened) return work_on_own(opened.error());
  shared_ = std::move(*opened);
  return {};
}

Result<void> WorkingIndex::work_on_own(const Error& why) {
  log::warning("index not used",
               {{"reason", why.message}, {"next", "answers come from a private copy of it"}});
  is_own_from_tables_ = why.kind == ErrorKind::kCorrupt;
  if (const auto own = own_tables(); !own) return own.error();
  works_on_own_ = true;
  own_until_ = Clock::now() + own_for_;
  own_for_ = std::min(own_for_ * 2, kLongestOwn);
  return {};
}

bool WorkingIndex::is_in_place() const {
  return works_on_own_ || (shared_ && metastore::is_in_place(directory_, *shared_));
}

void WorkingIndex::failed(const Error& failure) {
  if (works_on_own_) {
    own_failed();
    works_on_own_ = false;
  } else {
    failure_ = failure;
  }
}

Result<IndexedTables*> WorkingIndex::own_tables() {
  if (own_) return &*own_;
  auto own = make_private_index(directory_, !is_own_from_tables_, on_reading_);
  if (!own) return own.error();
  own_.emplace(std::move(*own));
  return &*own_;
}

void WorkingIndex::own_failed() {
  own_.reset();
  is_own_from_tables_ = true;
}

void WorkingIndex::checkpoint() {
  if (works_on_own_ || !shared_) return;
  Database& database = shared_->tables.index().database();
  if (database.pages_in_wal() >= kPagesInWal) database.checkpoint();
}

// Reading.

Result<bool> ReadIndex::begin(const Viewpoint& viewpoint, bool has_standings) {
  failure_.reset();
  if (shared_ && !is_in_place(directory_, *shared_)) close();
  if (!shared_) {
    auto opened = open_shared_index(directory_, Database::Access::kWrite);
    if (!opened && opened.error().kind == ErrorKind::kDenied) {
      opened = open_shared_index(directory_, Database::Access::kRead);
    }
    if (!opened) return false;
    shared_ = std::move(*opened);
  }
  IndexedTables& tables = shared_->tables;
  tables.index().begin_reading();
  const auto fit = tables.compare();
  if (!fit) {
    close();
    return fit.error();
  }
  snapshot_.emplace(directory_, tables, viewpoint);
  const bool is_usable =
      *fit == Table::Fit::kSame && (!has_standings || snapshot_->perspective().is_current());
  failure_ = tables.index().database().failure();
  if (is_usable && !failure_) return true;
  [[maybe_unused]] const auto ended = end();
  if (failure_) close();
  return false;
}

std::optional<Error> ReadIndex::end() {
  snapshot_.reset();
  Database& database = shared_->tables.index().database();
  auto failure = database.failure();
  database.end_reading();
  return failure;
}

void ReadIndex::close() {
  snapshot_.reset();
  shared_.reset();
}

}  // namespace ferry::metastore
