#include "landing/settle.h"

#include <algorithm>

namespace ferry::landing {

void SettleQueue::schedule(Entries::value_type& item, TimePoint due) {
  auto& [path, entry] = item;
  entry.waiting = true;
  entry.noticed_again = false;
  entry.due = due;
  entry.turn = ++turns_;
  due_.emplace(due, entry.turn, &path);
}

void SettleQueue::notice(const std::string& path, TimePoint due) {
  const auto [item, inserted] = entries_.try_emplace(path);
  Entry& entry = item->second;
  if (inserted) return schedule(*item, due);
  if (!entry.waiting) {
    entry.noticed_again = true;
  } else if (entry.due > due) {
    due_.erase({entry.due, entry.turn, &item->first});
    schedule(*item, due);
  }
}

std::vector<DuePath> SettleQueue::take(TimePoint now, std::size_t limit) {
  std::vector<DuePath> taken;
  while (taken.size() < limit && !due_.empty() && std::get<TimePoint>(*due_.begin()) <= now) {
    const std::string& path = *std::get<const std::string*>(*due_.begin());
    Entry& entry = entries_.at(path);
    entry.waiting = false;
    taken.push_back({path, entry.sighting});
    due_.erase(due_.begin());
  }
  return taken;
}

void SettleQueue::finished(const std::string& path, TimePoint now) {
  const auto item = entries_.find(path);
  if (item == entries_.end()) return;
  if (!item->second.noticed_again) {
    entries_.erase(item);
    return;
  }
  item->second = Entry{};
  schedule(*item, now);
}

void SettleQueue::unsettled(const std::string& path, const FileIdentity& identity,
                            std::optional<Duration> wait, TimePoint now) {
  const auto item = entries_.find(path);
  if (item == entries_.end()) return;
  Entry& entry = item->second;
  if (!entry.sighting || entry.sighting->identity != identity) entry.sighting = {identity, now};
  if (!entry.unsettled_since) entry.unsettled_since = now;
  Duration delay = entry.noticed_again ? Duration::zero() : entry.back_off;
  if (wait) {
    delay = *wait;
  } else {
    entry.back_off = std::min(entry.back_off * 2, kLongestBackOff);
  }
  schedule(*item, now + delay);
}

Duration SettleQueue::unsettled_for(const std::string& path, TimePoint now) const {
  const auto item = entries_.find(path);
  if (item == entries_.end() || !item->second.unsettled_since) return Duration::zero();
  return now - *item->second.unsettled_since;
}

void SettleQueue::take_back(TimePoint now) {
  for (auto& item : entries_) {
    if (!item.second.waiting) schedule(item, now);
  }
}

void SettleQueue::clear() {
  due_.clear();
  std::erase_if(entries_, [](const auto& item) { return item.second.waiting; });
  for (auto& [path, entry] : entries_) entry.noticed_again = false;
}

std::optional<TimePoint> SettleQueue::next_due() const {
  if (due_.empty()) return std::nullopt;
  return std::get<TimePoint>(*due_.begin());
}

Duration quiet_delay(Duration period, std::optional<Duration> since_last_change,
                     Duration unchanged_for) {
  // A negative age means that the file's clock is ahead of ours: only what we saw ourselves counts.
  const Duration quiet = std::max(since_last_change.value_or(Duration::zero()), unchanged_for);
  return std::clamp(period - quiet, Duration::zero(), period);
}

}  // namespace ferry::landing
