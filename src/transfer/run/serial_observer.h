// Lets one call through at a time, and holds back deliveries that may still be undone.
#pragma once

#include <map>
#include <mutex>
#include <string_view>

#include "ferry/transfer/agent.h"

namespace ferry::transfer {

class SerialObserver final : public Observer {
 public:
  explicit SerialObserver(Observer& inner) : inner_(inner) {}

  void on_start(std::uint64_t files, std::uint64_t bytes) override {
    const std::scoped_lock lock(mutex_);
    inner_.on_start(files, bytes);
  }
  void on_bytes(std::uint64_t acknowledged) override {
    const std::scoped_lock lock(mutex_);
    inner_.on_bytes(acknowledged);
  }
  void on_delivered(const FileOutcome& file) override {
    const std::scoped_lock lock(mutex_);
    if (holds_) {
      held_.emplace(file.id, file);
    } else {
      inner_.on_delivered(file);
    }
  }
  void on_failed(const FileOutcome& file, const Error& error) override {
    const std::scoped_lock lock(mutex_);
    held_.erase(file.id);
    inner_.on_failed(file, error);
  }

  /// From here on deliveries are not told before tell_held(), and not at all if they fail
  /// meanwhile. What the outcomes are views of lives until then.
  void hold_deliveries() {
    const std::scoped_lock lock(mutex_);
    holds_ = true;
  }
  void tell_held() {
    const std::scoped_lock lock(mutex_);
    for (const auto& [id, file] : held_) inner_.on_delivered(file);
    held_.clear();
    holds_ = false;
  }

 private:
  std::mutex mutex_;
  Observer& inner_;
  bool holds_ = false;
  std::map<std::string_view, FileOutcome> held_;  // by id
};

}  // namespace ferry::transfer
