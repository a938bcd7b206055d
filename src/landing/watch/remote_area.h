// A landing area on a server, looked at from time to time.
//
//   list → compare with the registry → settled? → read and hash → registrar
//
// Large files are read a piece at a time, the one with the least left first, and for a while in
// each look: none keeps the others from being seen and read.
//
// A file is settled when its size and modification time were the same at two looks, far enough from
// one another that a change in between would show in a time of whole seconds. What the area's
// policy refuses is registered as quarantined, and left where it is.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ferry/base/stop.h"
#include "ferry/landing/watch.h"
#include "ferry/metastore/metastore.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/read_ahead.h"
#include "landing/register/registrar.h"
#include "landing/watch/complaints.h"
#include "landing/watch/mailbox.h"
#include "landing/watch/remote_listing.h"
#include "landing/watch/settle.h"

namespace ferry::landing {

struct RemoteTiming {
  std::chrono::milliseconds poll_interval{};
  bool once = false;  // register what is there and settled, then end
};

/// Runs on a thread of its own for as long as it lives. Its other members are thread-safe.
class RemoteArea {
 public:
  /// What it finds goes to REGISTRAR under the area's INDEX; with once it says through MAILBOX when
  /// it is done (post_swept) or cannot go on.
  RemoteArea(LandingArea area, std::size_t index, RemoteTiming timing,
             metastore::Metastore& metastore, Registrar& registrar, Mailbox& mailbox);
  ~RemoteArea() { stop(); }

  /// Breaks off what goes on, and waits for it. Does nothing the second time.
  void stop();

  /// The registrar is done with this path.
  void recorded(const std::string& path);

  bool done() const { return done_.load(); }
  std::uint64_t unsettled() const { return unsettled_.load(); }
  std::uint64_t failed() const { return failed_.load(); }
  IgnoredCounts ignored() const;

 private:
  /// A file that has to wait.
  struct Unsettled {
    Sighting sighting;
    TimePoint first_seen;    // under this name, whatever was in it
    bool too_young = false;  // it rests, and the policy wants it older
  };
  /// How far a file has been read.
  struct Reading {
    FileIdentity identity;
    Hasher hasher{HashAlgorithm::kSha256};
    std::uint64_t size = 0;         // of what was read
    std::vector<std::byte> head{};  // as much as the policy looks at
    bool is_judged = false;         // by size, name and head
  };
  /// What is to be read in a look, by the bytes that are left.
  using ToRead = std::multimap<std::uint64_t, RemoteListing::File>;

  void run();
  bool report(const Failure& failure);
  Result<void> connect();
  ferry::Outcome<void> look_once();
  ferry::Outcome<void> look();
  Result<void> run_loop();
  void complain(const RemoteListing& listing);
  Result<std::vector<RemoteListing::File>> unregistered(const RemoteListing& listing);
  Result<std::vector<RemoteListing::File>> settled_files(const RemoteListing& listing);
  void complain_of_long_writing(const std::string& path, Duration time);
  bool is_being_read(const RemoteListing::File& file) const;
  Result<void> hash(std::vector<RemoteListing::File> files);
  sftp::Task<void> hash_lane(ToRead& files, TimePoint deadline);
  sftp::Task<Result<bool>> hash_piece(const RemoteListing::File& file, Reading& reading);
  sftp::Task<Result<bool>> read_piece(const sftp::Handle& handle, const RemoteListing::File& file,
                                      Reading& reading);
  Result<void> check_head(const RemoteListing::File& file, Reading& reading) const;
  sftp::Task<Result<void>> check(const RemoteListing::File& file);
  void take_hash(const RemoteListing::File& file, Reading& reading);
  void take_failure(const RemoteListing::File& file, const Error& error);
  Result<Inspection> judge(const RemoteListing::File& file, const Checksum& checksum,
                           std::span<const std::byte> head) const;
  Result<std::vector<std::string>> missing_from(const RemoteListing& listing,
                                                Timestamp started) const;
  Result<void> sweep(const std::vector<std::string>& missing);
  sftp::Task<void> confirm_gone(std::string path);
  bool is_handed_over(const std::string& path);
  void hand_over(std::string path, Inspection inspection);

  const LandingArea area_;
  const std::size_t index_;
  const RemoteTiming timing_;
  const Duration settle_;
  const IgnoreRules ignore_;
  metastore::Metastore& metastore_;
  Registrar& registrar_;
  Mailbox& mailbox_;

  std::map<std::string, Unsettled> unsettled_files_;  // that the registry does not know
  std::map<std::string, Reading> readings_;           // of large files, between two pieces
  Complaints complaints_;
  bool is_lost_ = false;
  std::optional<Error> unanswered_;  // by the metastore, in the middle of a look

  mutable std::mutex mutex_;
  std::set<std::string> handed_over_;  // with the registrar
  IgnoredCounts ignored_;

  std::atomic<bool> done_{false};
  std::atomic<std::uint64_t> unsettled_{0};
  std::atomic<std::uint64_t> failed_{0};
  StopToken stop_;
  sftp::ReadBudget read_budget_{.limit = 4 << 20};  // of all files together
  sftp::EventLoop loop_{stop_};                     // of the thread
  std::unique_ptr<sftp::Client> client_;
  std::thread thread_;  // the last to come, the first to go
};

}  // namespace ferry::landing
