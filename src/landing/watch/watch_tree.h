// Which kernel watch stands for which directory. Pure bookkeeping.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace ferry::landing {

/// Directories are relative to the landing area; "" is the area itself.
class WatchTree {
 public:
  /// WATCH stands for DIRECTORY from now on, whatever it or DIRECTORY stood for before.
  void set(int watch, const std::string& directory);

  /// Null if WATCH is unknown, as in events that were queued before it was dropped.
  const std::string* directory_of(int watch) const;
  bool contains(const std::string& directory) const { return watches_.contains(directory); }
  std::size_t size() const { return watches_.size(); }

  void forget(int watch);

  /// Forgets DIRECTORY and all below it; returns their watches.
  std::vector<int> remove_below(const std::string& directory);

  /// A generation is what is set from one call of this to the next.
  void begin_generation() { ++generation_; }
  /// Forgets what was not set in this generation; returns those watches.
  std::vector<int> remove_stale();

 private:
  struct Node {
    std::string directory;
    std::uint64_t generation = 0;
  };
  std::unordered_map<int, Node> nodes_;
  std::map<std::string, int> watches_;
  std::uint64_t generation_ = 0;
};

}  // namespace ferry::landing
