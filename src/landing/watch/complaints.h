// What was said about which path, so that it is said once.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

namespace ferry::landing {

class Complaints {
 public:
  /// True if REASON has not been given for PATH since it was last in order.
  bool is_new(const std::string& path, std::string_view reason) {
    if (reasons_.size() >= kMost) reasons_.clear();
    std::string& last = reasons_[path];
    if (last == reason) return false;
    last = reason;
    return true;
  }

  void settle(const std::string& path) { reasons_.erase(path); }

 private:
  static constexpr std::size_t kMost = 10'000;
  std::unordered_map<std::string, std::string> reasons_;
};

}  // namespace ferry::landing
