// A watcher on its own thread, a landing area, and what can be said about them.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ferry/landing/watch.h"
#include "landing/fake_metastore.h"
#include "landing/files.h"

namespace ferry::landing::test {

using metastore::FileRecord;
using metastore::FileState;

/// Passes everything on; whoever waits for the metastore to change is woken when it may have.
class ObservedMetastore final : public metastore::Metastore {
 public:
  explicit ObservedMetastore(std::unique_ptr<metastore::Metastore> inner)
      : inner_(std::move(inner)) {}

  Result<std::vector<metastore::Registration>> register_files(
      std::vector<FileRecord> found) override {
    auto registrations = inner_->register_files(std::move(found));
    if (registrations) {
      const std::scoped_lock lock(mutex_);
      registered_ += registrations->size();
    }
    return seen(std::move(registrations));
  }
  void set_demand(metastore::Demand demand) override { inner_->set_demand(std::move(demand)); }
  Result<std::vector<std::optional<FileRecord>>> latest(
      std::string_view landing, std::span<const std::string> paths) override {
    return inner_->latest(landing, paths);
  }
  Result<std::vector<std::optional<FileRecord>>> find(std::span<const std::string> ids) override {
    return inner_->find(ids);
  }
  Result<std::size_t> mark_missing(std::string_view landing, std::span<const std::string> paths,
                                   std::string_view reason) override {
    return seen(inner_->mark_missing(landing, paths, reason));
  }
  Result<void> visit(const metastore::FileQuery& query, const FileVisitor& visitor) override {
    return inner_->visit(query, visitor);
  }
  Result<void> visit_transfers(const metastore::TransferQuery& query,
                               const TransferVisitor& visitor) override {
    return inner_->visit_transfers(query, visitor);
  }
  Result<std::size_t> change_states(std::span<const metastore::StateChange> changes) override {
    return inner_->change_states(changes);
  }
  Result<std::size_t> import_files(std::vector<FileRecord> rows) override {
    return inner_->import_files(std::move(rows));
  }
  Result<std::unique_ptr<metastore::AgentPresence>> join() override { return inner_->join(); }
  Result<std::vector<metastore::Claim>> claim(const metastore::ClaimRequest& request) override {
    return inner_->claim(request);
  }
  Result<void> append_transfers(std::span<const metastore::TransferRecord> rows) override {
    return inner_->append_transfers(rows);
  }
  Result<std::vector<metastore::Release>> release(std::span<const std::string> ids,
                                                  std::string_view destination) override {
    return inner_->release(ids, destination);
  }
  Result<std::vector<metastore::Release>> resend(std::span<const std::string> ids,
                                                 std::string_view destination) override {
    return inner_->resend(ids, destination);
  }
  Result<std::unique_ptr<metastore::AgentPresence>> join_as(const std::string& name) override {
    return inner_->join_as(name);
  }
  Result<std::vector<bool>> still_holds(const std::string& agent, const std::string& destination,
                                        std::span<const std::string> ids) override {
    return inner_->still_holds(agent, destination, ids);
  }
  Result<std::size_t> append_unless_held(std::span<const metastore::TransferRecord> rows) override {
    return inner_->append_unless_held(rows);
  }
  Result<std::vector<metastore::Totals>> totals() override { return inner_->totals(); }
  Result<metastore::Totals> totals(const std::string& destination) override {
    return inner_->totals(destination);
  }
  Result<std::vector<std::string>> logged_destinations() override {
    return inner_->logged_destinations();
  }
  Result<std::vector<metastore::History>> history(std::string_view id_or_path) override {
    return inner_->history(id_or_path);
  }
  Result<bool> is_pending() override { return inner_->is_pending(); }
  Result<std::unique_ptr<metastore::ChangeNotice>> watch_changes() override {
    return inner_->watch_changes();
  }
  metastore::Upkeep& upkeep() override { return inner_->upkeep(); }

  /// False where CONDITION did not come true in time.
  bool wait_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (;;) {
      std::uint64_t before = 0;
      {
        const std::scoped_lock lock(mutex_);
        before = changes_;
      }
      if (condition()) return true;
      std::unique_lock lock(mutex_);
      if (!changed_.wait_until(lock, deadline, [&] { return changes_ != before; })) return false;
    }
  }
  std::size_t registered_count() {
    const std::scoped_lock lock(mutex_);
    return registered_;
  }
  void wake() {
    const std::scoped_lock lock(mutex_);
    ++changes_;
    changed_.notify_all();
  }

 private:
  template <typename T>
  T seen(T result) {
    wake();
    return result;
  }

  std::unique_ptr<metastore::Metastore> inner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t changes_ = 0;
  std::size_t registered_ = 0;
};

class WatchFixture {
 public:
  WatchFixture() : WatchFixture(std::make_unique<FakeMetastore>()) {}
  explicit WatchFixture(std::unique_ptr<metastore::Metastore> store) : store_(std::move(store)) {
    fs::create_directory(landing);
    options.areas = {{.name = "in", .path = landing, .ignore = {}}};
  }
  ~WatchFixture() { (void)stop(); }

  /// Returns when the watcher says that it is ready.
  void start() {
    stop_token_ = std::make_unique<StopToken>();
    ready_ = false;
    WatchHooks hooks;
    hooks.on_ready = [this] {
      ready_ = true;
      store_.wake();
    };
    thread_ = std::thread([this, hooks] { result_ = watch(store_, options, hooks, *stop_token_); });
    if (!store_.wait_until([this] { return ready_.load(); })) throw std::runtime_error("not ready");
  }

  ferry::Outcome<WatchSummary> stop() {
    if (thread_.joinable()) {
      stop_token_->request_stop();
      thread_.join();
    }
    return result_;
  }

  WatchSummary once() {
    options.once = true;
    StopToken never;
    const auto summary = watch(store_, options, {}, never);
    if (!summary) throw std::runtime_error(summary.error().error.message);
    return *summary;
  }

  fs::path at(std::string_view relative) const { return landing / std::string(relative); }

  std::vector<FileRecord> versions(const std::string& path) {
    std::vector<FileRecord> found;
    (void)store_.visit({}, [&](const FileRecord& file, auto) {
      if (file.path == path) found.push_back(file);
    });
    return found;
  }
  std::size_t count(FileState state = FileState::kReady) {
    std::size_t files = 0;
    (void)store_.visit({},
                       [&](const FileRecord& file, auto) { files += file.state == state ? 1 : 0; });
    return files;
  }
  /// Every path with the number of its versions.
  std::map<std::string, int> everything() {
    std::map<std::string, int> paths;
    (void)store_.visit({}, [&](const FileRecord& file, auto) { ++paths[file.path]; });
    return paths;
  }

  bool registered(const std::string& path, std::size_t version_count = 1) {
    return store_.wait_until([&] {
      const auto found = versions(path);
      return found.size() >= version_count && found.back().state == FileState::kReady;
    });
  }
  bool missing(const std::string& path) {
    return store_.wait_until([&] {
      const auto found = versions(path);
      return !found.empty() && found.back().state == FileState::kMissing;
    });
  }
  bool ready_files(std::size_t files) {
    return store_.wait_until([&] { return count() >= files; });
  }
  /// Whatever happened before is dealt with when a file that came later is registered.
  bool later_file_is_registered() {
    const std::string name = "later-" + std::to_string(++later_);
    put(at(name), name);
    return registered(name);
  }

  TemporaryDirectory dir;
  fs::path landing = dir / "landing";
  WatchOptions options;

 protected:
  ObservedMetastore store_;

 private:
  std::unique_ptr<StopToken> stop_token_;
  std::atomic<bool> ready_{false};
  std::thread thread_;
  ferry::Outcome<WatchSummary> result_;
  int later_ = 0;
};

inline std::string checksum_of(std::string_view content) {
  Hasher hasher(HashAlgorithm::kSha256);
  hasher.update(as_bytes(content));
  return hasher.finish().to_string();
}

}  // namespace ferry::landing::test
