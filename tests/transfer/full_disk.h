// A disk without room, as far as this process is concerned.
#pragma once

#include <sys/resource.h>

#include <csignal>
#include <cstdint>

namespace ferry::transfer::testing {

/// While it lives no file grows beyond MOST: a full disk.
class FullDisk {
 public:
  explicit FullDisk(std::uint64_t most) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    rlimit none = before_;
    none.rlim_cur = most;
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

}  // namespace ferry::transfer::testing
