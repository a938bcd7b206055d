// A metastore in memory with the members that a watcher needs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "ferry/base/uuid.h"
#include "ferry/metastore/metastore.h"

namespace ferry::landing::test {

class FakeMetastore final : public metastore::Metastore {
 public:
  using Outcome = metastore::Registration::Outcome;

  Result<std::vector<metastore::Registration>> register_files(
      std::vector<metastore::FileRecord> found) override {
    pass_gate();
    const std::scoped_lock lock(mutex_);
    if (failures_ > 0) {
      --failures_;
      return make_error(failure_kind_, "the fake was told to fail");
    }
    ++groups_;
    std::vector<metastore::Registration> registrations;
    for (auto& file : found) registrations.push_back(enter(std::move(file)));
    return registrations;
  }

  bool is_registered(std::string_view landing, std::string_view path,
                     const FileIdentity& identity) override {
    const std::scoped_lock lock(mutex_);
    const auto* file = latest(landing, path);
    return file != nullptr && file->identity == identity &&
           file->state != metastore::FileState::kMissing;
  }

  bool is_accepted(std::string_view landing, std::string_view path,
                   const Checksum& checksum) override {
    const std::scoped_lock lock(mutex_);
    const auto* file = latest(landing, path);
    return file != nullptr && file->checksum == checksum &&
           file->state == metastore::FileState::kReady;
  }

  Result<std::size_t> mark_missing(std::string_view landing, std::span<const std::string> paths,
                                   std::string_view reason) override {
    const std::scoped_lock lock(mutex_);
    std::size_t count = 0;
    for (const std::string& path : paths) {
      auto* file = latest(landing, path);
      if (file == nullptr || file->state != metastore::FileState::kReady) continue;
      file->state = metastore::FileState::kMissing;
      file->reason = reason;
      ++count;
    }
    return count;
  }

  Result<void> visit(const FileVisitor& visitor) override {
    const std::scoped_lock lock(mutex_);
    for (const auto& file : files_) visitor(file, {});
    return {};
  }

  Result<std::size_t> change_states(std::span<const metastore::StateChange> changes) override {
    const std::scoped_lock lock(mutex_);
    std::size_t known = 0;
    for (const auto& change : changes) {
      for (auto& file : files_) {
        if (file.id != change.id) continue;
        file.state = change.state;
        file.reason = change.reason;
        ++known;
      }
    }
    return known;
  }
  Result<std::size_t> import_files(std::vector<metastore::FileRecord> rows) override {
    const std::scoped_lock lock(mutex_);
    const std::size_t count = rows.size();
    for (auto& row : rows) remember(std::move(row));
    return count;
  }

  Result<std::unique_ptr<metastore::AgentPresence>> join() override { return unused(); }
  Result<std::vector<metastore::Claim>> claim(const metastore::ClaimRequest&) override {
    return unused();
  }
  Result<std::vector<metastore::Release>> release(std::span<const std::string>,
                                                  std::string_view) override {
    return unused();
  }
  Result<std::vector<metastore::Release>> resend(std::span<const std::string>,
                                                 std::string_view) override {
    return unused();
  }
  Result<std::vector<metastore::FileRecord>> archived_files(std::string_view) override {
    return unused();
  }
  Result<Compaction> compact(Timestamp) override { return unused(); }
  Result<void> append_transfers(std::span<const metastore::TransferRecord>) override {
    return unused();
  }
  Result<History> history(std::string_view) override { return unused(); }
  std::string revision() override { return {}; }
  Result<bool> is_pending() override { return unused(); }
  std::vector<Damage> damages() override { return {}; }

  /// The next COUNT calls of register_files fail.
  void fail(int count, ErrorKind kind) {
    const std::scoped_lock lock(mutex_);
    failures_ = count;
    failure_kind_ = kind;
  }
  /// From here on register_files waits at its beginning until the gate is opened.
  void close_gate() {
    const std::scoped_lock lock(gate_mutex_);
    gate_open_ = false;
  }
  void open_gate() {
    const std::scoped_lock lock(gate_mutex_);
    gate_open_ = true;
    gate_changed_.notify_all();
  }
  /// Returns when somebody waits at the gate.
  bool somebody_waits() {
    std::unique_lock lock(gate_mutex_);
    return gate_changed_.wait_for(lock, std::chrono::seconds(60), [&] { return waiting_ > 0; });
  }
  int groups() const {
    const std::scoped_lock lock(mutex_);
    return groups_;
  }

 private:
  void pass_gate() {
    std::unique_lock lock(gate_mutex_);
    ++waiting_;
    gate_changed_.notify_all();
    gate_changed_.wait(lock, [&] { return gate_open_; });
    --waiting_;
  }

  static Error unused() { return make_error(ErrorKind::kFailed, "no watcher needs this"); }

  metastore::FileRecord* latest(std::string_view landing, std::string_view path) {
    const auto found = latest_.find({std::string(landing), std::string(path)});
    return found == latest_.end() ? nullptr : &files_[found->second];
  }

  void remember(metastore::FileRecord file) {
    latest_[{file.landing, file.path}] = files_.size();
    files_.push_back(std::move(file));
  }

  metastore::Registration enter(metastore::FileRecord file) {
    metastore::Registration registration;
    auto* old = latest(file.landing, file.path);
    const bool refused = file.state == metastore::FileState::kQuarantined;
    if (refused && old != nullptr && old->state == file.state && old->identity == file.identity) {
      return {Outcome::kDuplicate, old->id, {}};
    }
    if (old != nullptr && old->state == metastore::FileState::kReady) {
      if (old->identity == file.identity) return {Outcome::kDuplicate, old->id, {}};
      if (old->checksum == file.checksum) {
        old->identity = file.identity;
        return {Outcome::kUpdated, old->id, {}};
      }
      old->state = metastore::FileState::kSuperseded;
      registration.superseded_id = old->id;
    }
    registration.id = file.id = uuid_v7();
    remember(std::move(file));
    return registration;
  }

  mutable std::mutex mutex_;
  std::vector<metastore::FileRecord> files_;
  std::map<std::pair<std::string, std::string>, std::size_t> latest_;
  int groups_ = 0;
  int failures_ = 0;
  ErrorKind failure_kind_ = ErrorKind::kIo;

  std::mutex gate_mutex_;
  std::condition_variable gate_changed_;
  bool gate_open_ = true;
  int waiting_ = 0;
};

}  // namespace ferry::landing::test
