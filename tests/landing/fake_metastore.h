// A metastore in memory with the members that a watcher needs.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
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

  Result<std::vector<std::optional<metastore::FileRecord>>> latest(
      std::string_view landing, std::span<const std::string> paths) override {
    const std::scoped_lock lock(mutex_);
    if (const int number = ++questions_; first_unanswered_ <= number && number < next_answered_) {
      return make_error(unanswered_kind_, "the fake was told not to answer");
    }
    std::vector<std::optional<metastore::FileRecord>> found;
    for (const std::string& path : paths) {
      const auto* file = latest_of(landing, path);
      found.push_back(file == nullptr ? std::nullopt : std::optional(*file));
    }
    return found;
  }

  Result<std::vector<std::optional<metastore::FileRecord>>> find(
      std::span<const std::string> ids) override {
    const std::scoped_lock lock(mutex_);
    std::vector<std::optional<metastore::FileRecord>> found;
    for (const std::string& id : ids) {
      const auto file = std::ranges::find(files_, id, &metastore::FileRecord::id);
      found.push_back(file == files_.end() ? std::nullopt : std::optional(*file));
    }
    return found;
  }

  Result<std::size_t> mark_missing(std::string_view landing, std::span<const std::string> paths,
                                   std::string_view reason) override {
    const std::scoped_lock lock(mutex_);
    std::size_t count = 0;
    for (const std::string& path : paths) {
      auto* file = latest_of(landing, path);
      if (file == nullptr || file->state != metastore::FileState::kReady) continue;
      file->state = metastore::FileState::kMissing;
      file->reason = reason;
      ++count;
    }
    return count;
  }

  /// By landing area, directory, state and version.
  Result<void> visit(const metastore::FileQuery& query, const FileVisitor& visitor) override {
    std::vector<metastore::FileRecord> asked_for;
    {
      const std::scoped_lock lock(mutex_);
      for (std::size_t i = 0; i < files_.size(); ++i) {
        const metastore::FileRecord& file = files_[i];
        if (!has(query.landings, file.landing) || !has(query.states, file.state)) continue;
        if (query.latest_versions && latest_.at({file.landing, file.path}) != i) continue;
        if (query.below.empty() || lies_below(query.below, file.path)) asked_for.push_back(file);
      }
    }
    if (query.latest_versions) std::ranges::sort(asked_for, {}, &metastore::FileRecord::path);
    for (const auto& file : asked_for) visitor(file, {});
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

  void set_demand(metastore::Demand) override {}
  Result<std::unique_ptr<metastore::AgentPresence>> join() override { return unused(); }
  Result<std::unique_ptr<metastore::AgentPresence>> join_as(const std::string&) override {
    return unused();
  }
  Result<std::vector<bool>> still_holds(const std::string&, const std::string&,
                                        std::span<const std::string>) override {
    return unused();
  }
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
  Result<std::vector<std::string>> logged_destinations() override { return unused(); }
  Result<void> append_transfers(std::span<const metastore::TransferRecord>) override {
    return unused();
  }
  Result<std::size_t> append_unless_held(std::span<const metastore::TransferRecord>) override {
    return unused();
  }
  Result<void> visit_transfers(const metastore::TransferQuery&, const TransferVisitor&) override {
    return unused();
  }
  Result<std::vector<metastore::Totals>> totals() override { return unused(); }
  Result<metastore::Totals> totals(const std::string&) override { return unused(); }
  Result<std::vector<metastore::History>> history(std::string_view) override { return unused(); }
  Result<bool> is_pending() override { return unused(); }
  Result<std::unique_ptr<metastore::ChangeNotice>> watch_changes() override { return unused(); }
  metastore::Upkeep& upkeep() override { std::abort(); }

  /// The next COUNT calls of register_files fail.
  void fail(int count, ErrorKind kind) {
    const std::scoped_lock lock(mutex_);
    failures_ = count;
    failure_kind_ = kind;
  }
  /// The next calls of latest fail: COUNT of them, once SKIP were answered.
  void fail_questions(int count, ErrorKind kind, int skip = 0) {
    const std::scoped_lock lock(mutex_);
    first_unanswered_ = questions_ + 1 + skip;
    next_answered_ = first_unanswered_ + count;
    unanswered_kind_ = kind;
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

  template <typename T>
  static bool has(const std::vector<T>& wanted, const T& value) {
    return wanted.empty() || std::ranges::find(wanted, value) != wanted.end();
  }
  static bool lies_below(const std::vector<std::string>& directories, const std::string& path) {
    return std::ranges::any_of(directories, [&](const std::string& directory) {
      return directory.empty() || path == directory || path.starts_with(directory + "/");
    });
  }

  metastore::FileRecord* latest_of(std::string_view landing, std::string_view path) {
    const auto found = latest_.find({std::string(landing), std::string(path)});
    return found == latest_.end() ? nullptr : &files_[found->second];
  }

  void remember(metastore::FileRecord file) {
    latest_[{file.landing, file.path}] = files_.size();
    files_.push_back(std::move(file));
  }

  metastore::Registration enter(metastore::FileRecord file) {
    metastore::Registration registration;
    auto* old = latest_of(file.landing, file.path);
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
    file.updated_date = now();
    remember(std::move(file));
    return registration;
  }

  mutable std::mutex mutex_;
  std::vector<metastore::FileRecord> files_;
  std::map<std::pair<std::string, std::string>, std::size_t> latest_;
  int groups_ = 0;
  int failures_ = 0;
  ErrorKind failure_kind_ = ErrorKind::kIo;
  int questions_ = 0;  // calls of latest
  int first_unanswered_ = 0;
  int next_answered_ = 0;
  ErrorKind unanswered_kind_ = ErrorKind::kIo;

  std::mutex gate_mutex_;
  std::condition_variable gate_changed_;
  bool gate_open_ = true;
  int waiting_ = 0;
};

}  // namespace ferry::landing::test
