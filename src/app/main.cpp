#include <malloc.h>
#include <sys/resource.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "app/commands/command.h"

namespace {

/// Memory is bounded by design; these keep the allocator from holding on to what was given back:
/// one heap for all threads, and large blocks that return to the system (mallopt(3)).
void keep_memory_small() {
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
}

/// Many files are in flight at once, and the usual soft limit is for programs that use select(2).
void allow_many_open_files() {
  struct rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  keep_memory_small();
  allow_many_open_files();
  try {
    return ferry::app::run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ferry: %s\n", error.what());
    return static_cast<int>(ferry::app::ExitStatus::kSomeFailed);
  }
}
