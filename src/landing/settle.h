// When to look at which file. Pure: time comes from the caller.
//
//            notice            take               finished
//   (absent) ------> waiting ------> in flight ------------> (absent), or waiting where the path
//                       ^                |                   was noticed meanwhile
//                       +----------------+
//                           unsettled: back-off
//
// A path is never in flight twice, so what is found out about it stays in order.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "ferry/base/file.h"

namespace ferry::landing {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

/// The identity that a path had at an earlier look, and since when.
struct Sighting {
  FileIdentity identity;
  TimePoint since;
};

struct DuePath {
  std::string path;
  std::optional<Sighting> sighting;
};

class SettleQueue {
 public:
  static constexpr Duration kFirstBackOff = std::chrono::milliseconds(100);
  static constexpr Duration kLongestBackOff = std::chrono::seconds(2);

  /// Something happened to PATH: look at it no later than DUE.
  void notice(const std::string& path, TimePoint due);

  /// Up to LIMIT paths that are due, longest due first. They are in flight until they are given
  /// back through finished, unsettled or give_up.
  std::vector<DuePath> take(TimePoint now, std::size_t limit);

  void finished(const std::string& path, TimePoint now);

  /// PATH was found with IDENTITY and must be looked at again: after WAIT where that is known, else
  /// after a back-off that doubles each time.
  void unsettled(const std::string& path, const FileIdentity& identity,
                 std::optional<Duration> wait, TimePoint now);

  /// How long an in-flight PATH has been found unsettled so far.
  Duration unsettled_for(const std::string& path, TimePoint now) const;

  /// Forgets an in-flight PATH whatever was noticed meanwhile.
  void give_up(const std::string& path) { entries_.erase(path); }

  /// Those who took what is in flight are gone: it is due at once.
  void take_back(TimePoint now);

  /// Forgets all that waits.
  void clear();

  std::optional<TimePoint> next_due() const;
  std::size_t waiting() const { return due_.size(); }
  std::size_t in_flight() const { return entries_.size() - due_.size(); }
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    bool waiting = true;
    bool noticed_again = false;  // while in flight
    TimePoint due;
    std::uint64_t turn = 0;  // orders paths that are due at the same time
    Duration back_off = kFirstBackOff;
    std::optional<Sighting> sighting;
    std::optional<TimePoint> unsettled_since;
  };
  using Entries = std::unordered_map<std::string, Entry>;

  void schedule(Entries::value_type& item, TimePoint due);

  Entries entries_;
  std::set<std::tuple<TimePoint, std::uint64_t, const std::string*>> due_;
  std::uint64_t turns_ = 0;
};

/// How much longer a file must be left alone until it has been for PERIOD; zero: it has.
/// SINCE_LAST_CHANGE: by the file's own times, where they can be trusted. UNCHANGED_FOR: how long
/// it has been seen without a change.
Duration quiet_delay(Duration period, std::optional<Duration> since_last_change,
                     Duration unchanged_for);

}  // namespace ferry::landing
