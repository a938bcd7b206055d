// A result that one task works out while others wait for it. All on one thread.
#pragma once

#include <coroutine>
#include <optional>
#include <utility>
#include <vector>

namespace ferry::sftp {

/// Must stay where it is while anybody waits. Copies of the result are given out.
template <typename T>
class SharedResult {
 public:
  void set(T value) {
    value_.emplace(std::move(value));
    for (const auto waiting : std::exchange(waiting_, {})) waiting.resume();
  }

  bool await_ready() const { return value_.has_value(); }
  void await_suspend(std::coroutine_handle<> awaiting) { waiting_.push_back(awaiting); }
  T await_resume() const { return *value_; }

 private:
  std::optional<T> value_;
  std::vector<std::coroutine_handle<>> waiting_;
};

}  // namespace ferry::sftp
