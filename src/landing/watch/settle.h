// When to look at which file. Pure: time comes from the caller.
//
//            notice            take               finished
//   (absent) ------> waiting ------> in flight ------------> (absent), or waiting where the path
//                       ^              |   |                 was noticed meanwhile
//                       +--------------+   |
//                         unsettled:       v  set_aside
//                         back-off      set aside ----------> the same as from in flight
//
// A path is never in flight twice, so what is found out about it stays in order. One that is set
// aside is with somebody for long.
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
  /// Of very many paths that keep being unsettled each waits longer: all together they cost at most
  /// a thousand looks a second.
  static constexpr Duration kBackOffShare = std::chrono::milliseconds(1);

  /// Something happened to PATH: look at it no later than DUE.
  void notice(const std::string& path, TimePoint due);

  /// Up to LIMIT paths that are due, longest due first. They are in flight until they are given
  /// back through finished, unsettled or give_up.
  std::vector<DuePath> take(TimePoint now, std::size_t limit);

  void finished(const std::string& path, TimePoint now);

  /// PATH was found with IDENTITY and must be looked at again: after WAIT if that is known, else
  /// after a back-off that doubles each time.
  void unsettled(const std::string& path, const FileIdentity& identity,
                 std::optional<Duration> wait, TimePoint now);

  /// How long an in-flight PATH has been found unsettled so far.
  Duration unsettled_for(const std::string& path, TimePoint now) const;

  /// Forgets an in-flight PATH whatever was noticed meanwhile.
  void give_up(const std::string& path);

  /// An in-flight PATH will take long, and makes room for others.
  void set_aside(const std::string& path);

  /// Those who took what is in flight, or set aside, are gone: it is due at once.
  void take_back(TimePoint now);

  /// Forgets all that waits.
  void clear();

  std::optional<TimePoint> next_due() const;
  /// Paths that wait and were not looked at yet.
  std::size_t fresh() const { return fresh_; }
  std::size_t in_flight() const { return entries_.size() - due_.size() - set_aside_; }
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    bool waiting = true;
    bool fresh = true;
    bool set_aside = false;
    bool noticed_again = false;  // while in flight
    TimePoint due;
    std::uint64_t turn = 0;  // orders paths that are due at the same time
    Duration back_off = kFirstBackOff;
    std::optional<Sighting> sighting;
    std::optional<TimePoint> unsettled_since;
  };
  using Entries = std::unordered_map<std::string, Entry>;

  void schedule(Entries::value_type& item, TimePoint due);
  void unschedule(Entries::value_type& item);
  void return_from_aside(Entry& entry);
  Duration longest_back_off() const;

  Entries entries_;
  std::set<std::tuple<TimePoint, std::uint64_t, const std::string*>> due_;
  std::size_t fresh_ = 0;      // of those in due_
  std::size_t set_aside_ = 0;  // of the others
  std::uint64_t turns_ = 0;
};

/// How much longer a file must be left alone until it has been for PERIOD; zero: it has.
/// SINCE_LAST_CHANGE: by the file's own times, if they can be trusted. UNCHANGED_FOR: how long
/// it has been seen without a change.
Duration quiet_delay(Duration period, std::optional<Duration> since_last_change,
                     Duration unchanged_for);

}  // namespace ferry::landing
