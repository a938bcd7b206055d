// Lets one call through at a time.
#pragma once

#include <mutex>

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
    inner_.on_delivered(file);
  }
  void on_failed(const FileOutcome& file, const Error& error) override {
    const std::scoped_lock lock(mutex_);
    inner_.on_failed(file, error);
  }

 private:
  std::mutex mutex_;
  Observer& inner_;
};

}  // namespace ferry::transfer
