// The functions that the library stands in front of.
#pragma once

#include <dlfcn.h>

namespace ferry::crash {

/// The function of that name that comes next.
template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

/// To do something that nobody counts.
inline auto next_syscall() {
  static auto* const real = next<long(long, ...)>("syscall");
  return real;
}

}  // namespace ferry::crash
