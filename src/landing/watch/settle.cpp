#include "landing/watch/settle.h"

#include <algorithm>

namespace ferry::landing {

void SettleQueue::schedule(Entries::value_type& item, TimePoint due) {
  auto& [path, entry] = item;
  return_from_aside(entry);
  entry.waiting = true;
  entry.noticed_again = false;
  entry.due = due;
  entry.turn = ++turns_;
  fresh_ += entry.fresh ? 1 : 0;
  due_.emplace(due, entry.turn, &path);
}

void SettleQueue::unschedule(Entries::value_type& item) {
  auto& [path, entry] = item;
  due_.erase({entry.due, entry.turn, &path});
  fresh_ -= entry.fresh ? 1 : 0;
  entry.waiting = false;
}

void SettleQueue::return_from_aside(Entry& entry) {
  set_aside_ -= entry.set_aside ? 1 : 0;
  entry.set_aside = false;
}

void SettleQueue::notice(const std::string& path, TimePoint due) {
  const auto [item, inserted] = entries_.try_emplace(path);
  Entry& entry = item->second;
  if (inserted) return schedule(*item, due);
  if (!entry.waiting) {
    entry.noticed_again = true;
  } else if (entry.due > due) {
    unschedule(*item);
    schedule(*item, due);
  }
}

std::vector<DuePath> SettleQueue::take(TimePoint now, std::size_t limit) {
  std::vector<DuePath> taken;
  while (taken.size() < limit && !due_.empty() && std::get<TimePoint>(*due_.begin()) <= now) {
    const auto item = entries_.find(*std::get<const std::string*>(*due_.begin()));
    unschedule(*item);
    item->second.fresh = false;
    taken.push_back({item->first, item->second.sighting});
  }
  return taken;
}

void SettleQueue::set_aside(const std::string& path) {
  const auto item = entries_.find(path);
  if (item == entries_.end() || item->second.waiting || item->second.set_aside) return;
  item->second.set_aside = true;
  ++set_aside_;
}

void SettleQueue::give_up(const std::string& path) {
  const auto item = entries_.find(path);
  if (item == entries_.end()) return;
  return_from_aside(item->second);
  entries_.erase(item);
}

void SettleQueue::finished(const std::string& path, TimePoint now) {
  const auto item = entries_.find(path);
  if (item == entries_.end()) return;
  if (!item->second.noticed_again) return give_up(path);
  return_from_aside(item->second);
  item->second = Entry{};
  schedule(*item, now);
}

Duration SettleQueue::longest_back_off() const {
  const auto known = static_cast<Duration::rep>(entries_.size() - fresh_);
  return std::max(kLongestBackOff, known * kBackOffShare);
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
    entry.back_off = std::min(entry.back_off * 2, longest_back_off());
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
  fresh_ = 0;
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
