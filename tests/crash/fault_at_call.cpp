// An LD_PRELOAD library that counts the calls of a process, over all its threads, and at the Nth
// one kills or halts it, fails the call, or tears a write: as the file that FERRY_CRASH_PLAN names
// says (plan.h). The processes that are started by the one under test do not count, unless
// FERRY_CRASH_CHILDREN is set.
//
// Interposed is what a program, the C++ library, Boost and SQLite call by name. What glibc calls
// within itself is not seen: test_fault_at_call.py holds the count against strace's.

#include "plan.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "next.h"
#include "subject.h"
#include "unsynced.h"

namespace ferry::crash {
namespace {

Plan* plan = nullptr;

__attribute__((constructor)) void map_plan() {
  const char* path = std::getenv("FERRY_CRASH_PLAN");
  if (path == nullptr) return;
  static auto* const real_open = next<int(const char*, int, ...)>("open");
  const int fd = real_open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* mapped = ::mmap(nullptr, Plan::kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (mapped != MAP_FAILED) plan = static_cast<Plan*>(mapped);
  if (std::getenv("FERRY_CRASH_CHILDREN") != nullptr) return;
  ::unsetenv("FERRY_CRASH_PLAN");
  ::unsetenv("LD_PRELOAD");
}

// What happens.

void send_to_self(int signal) {
  next_syscall()(SYS_tgkill, ::getpid(), next_syscall()(SYS_gettid), signal);
}

void note(std::uint64_t number, std::uint32_t calls, const char* name, const char* subject) {
  char* entry = reinterpret_cast<char*>(plan) + Plan::kEntriesAt +
                (number - 1) % Plan::kEntries * Plan::kEntryBytes;
  // The end of a path tells more than its start.
  const std::size_t size = std::strlen(subject);
  constexpr std::size_t kShown = 180;
  std::snprintf(entry, Plan::kEntryBytes, "%d %u %s %s", ::getpid(), calls, name,
                size > kShown ? subject + size - kShown : subject);
}

bool happens_at(std::uint64_t number) {
  if (plan->at == 0) return false;
  if (number == plan->at) return true;
  return plan->persistent != 0 && number > plan->at &&
         plan->fired_pid == static_cast<std::uint32_t>(::getpid());
}

/// What is to happen at this call. Only kFail, kTear and kKillAfter are left to the caller.
Action arrive(std::uint32_t calls, const char* name, const char* subject) {
  if (plan == nullptr || (calls & plan->calls) == 0) return Action::kNone;
  const std::uint64_t number = __atomic_add_fetch(&plan->count, 1, __ATOMIC_SEQ_CST);
  note(number, calls, name, subject);
  if (!happens_at(number)) return Action::kNone;
  plan->fired_pid = static_cast<std::uint32_t>(::getpid());
  __atomic_add_fetch(&plan->fired, 1, __ATOMIC_SEQ_CST);
  const auto action = static_cast<Action>(plan->action);
  if (action == Action::kKill) send_to_self(SIGKILL);
  if (action == Action::kStop) send_to_self(SIGSTOP);
  if (action == Action::kPowerLoss) {
    lose_unsynced();
    send_to_self(SIGKILL);
  }
  return action;
}

/// FIND returns the Subject; it is asked only where it matters.
template <typename Find>
Action arrive_at_file(std::uint32_t calls, const char* name, Find find) {
  if (plan == nullptr || (calls & plan->calls) == 0) return Action::kNone;
  const int saved = errno;
  const Subject subject = find();
  const bool counts = std::strstr(subject.text, plan->below) != nullptr;
  const Action action = counts ? arrive(calls, name, subject.text) : Action::kNone;
  errno = saved;
  return action;
}

template <typename Real>
auto carry_out(Action action, Real real) {
  using Outcome = decltype(real());
  if (action == Action::kFail) {
    errno = static_cast<int>(plan->error);
    if constexpr (std::is_pointer_v<Outcome>) {
      return static_cast<Outcome>(nullptr);
    } else {
      return static_cast<Outcome>(-1);
    }
  }
  if (action == Action::kTear) send_to_self(SIGKILL);  // a call that has no halves
  const Outcome outcome = real();
  if (action == Action::kKillAfter) send_to_self(SIGKILL);
  return outcome;
}

bool power_may_fail() {
  return plan != nullptr && plan->action == static_cast<std::uint32_t>(Action::kPowerLoss);
}

/// OFFSET: -1 where the file has its own. HALF does the first half.
template <typename Real, typename Half>
ssize_t carry_out_write(Action action, int fd, off64_t offset, Real real, Half half) {
  if (action == Action::kTear) half();
  const ssize_t written = carry_out(action, real);
  if (written > 0 && power_may_fail()) {
    const off64_t end = offset < 0 ? ::lseek64(fd, 0, SEEK_CUR) : offset + written;
    if (end >= written) note_written(fd, static_cast<std::uint64_t>(end), written);
  }
  return written;
}

std::uint32_t calls_of_open(int flags) {
  std::uint32_t calls = kOpen | kDescriptor | kLook;
  if ((flags & (O_CREAT | O_TRUNC)) != 0) calls |= kCreate;
  return calls;
}

Action arrive_at_open(const char* name, int directory, const char* path, int flags) {
  return arrive_at_file(calls_of_open(flags), name, [&] { return of_path(directory, path); });
}

mode_t mode_of(int flags, va_list& arguments) {
  const bool has_mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return has_mode ? va_arg(arguments, mode_t) : 0;
}

Action arrive_at_write(int fd, const char* name) {
  if (plan == nullptr || (plan->calls & (kWrite | kSend)) == 0) return Action::kNone;
  if (is_internet_socket(fd)) return arrive(kSend, name, "socket");
  return arrive_at_file(kWrite, name, [&] { return of_descriptor(fd); });
}

Action arrive_at_send(int fd, const char* name) {
  if (plan == nullptr || (plan->calls & kSend) == 0) return Action::kNone;
  return is_internet_socket(fd) ? arrive(kSend, name, "socket") : Action::kNone;
}

Action arrive_at_descriptor(const char* name) {
  return arrive(kDescriptor, name, "");
}

Action arrive_at_fcntl(int fd, int command) {
  switch (command) {
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
    case F_SETLEASE:
      return arrive_at_file(kLock, "fcntl-lock", [&] { return of_descriptor(fd); });
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      return arrive_at_descriptor("fcntl-dup");
    default:
      return Action::kNone;
  }
}

Action arrive_at_fopen(const char* path, const char* mode) {
  const bool creates = std::strpbrk(mode, "wa") != nullptr;
  return arrive_at_open("fopen", AT_FDCWD, path, creates ? O_CREAT : 0);
}

/// Calls that have no function in glibc.
Action arrive_at_syscall(long number, const long (&arguments)[6]) {
  const auto path = [&](int index) { return reinterpret_cast<const char*>(arguments[index]); };
  const auto fd = [&](int index) { return static_cast<int>(arguments[index]); };
  switch (number) {
    case SYS_openat2: {
      const auto flags = *reinterpret_cast<const std::uint64_t*>(arguments[2]);  // open_how
      return arrive_at_open("openat2", fd(0), path(1), static_cast<int>(flags));
    }
    case SYS_renameat2:
      return arrive_at_file(kRename, "renameat2", [&] { return of_path(fd(2), path(3)); });
    case SYS_statx:
      return arrive_at_file(kLook, "statx", [&] { return of_path(fd(0), path(1)); });
    case SYS_copy_file_range:
      return arrive_at_file(kWrite, "copy_file_range", [&] { return of_descriptor(fd(2)); });
    case SYS_pidfd_open:
    case SYS_memfd_create:
      return arrive_at_descriptor("syscall");
    default:
      return Action::kNone;
  }
}

}  // namespace
}  // namespace ferry::crash

using namespace ferry::crash;  // NOLINT: the functions below must be global

#define INTERPOSED extern "C" __attribute__((visibility("default")))
#define NEXT(name) static auto* const real = next<decltype(name)>(#name)

// A function of one shape: its parameters, how it calls the next, and what it is about.
#define INTERPOSE(type, name, parameters, arguments, calls, subject)        \
  INTERPOSED type name parameters {                                         \
    NEXT(name);                                                             \
    return carry_out(arrive_at_file(calls, #name, [&] { return subject; }), \
                     [&] { return real arguments; });                       \
  }

// Opening.

#define INTERPOSE_OPEN(name)                                       \
  INTERPOSED int name(const char* path, int flags, ...) {          \
    NEXT(name);                                                    \
    va_list arguments;                                             \
    va_start(arguments, flags);                                    \
    const mode_t mode = mode_of(flags, arguments);                 \
    va_end(arguments);                                             \
    return carry_out(arrive_at_open(#name, AT_FDCWD, path, flags), \
                     [&] { return real(path, flags, mode); });     \
  }
INTERPOSE_OPEN(open)
INTERPOSE_OPEN(open64)

#define INTERPOSE_OPENAT(name)                                            \
  INTERPOSED int name(int directory, const char* path, int flags, ...) {  \
    NEXT(name);                                                           \
    va_list arguments;                                                    \
    va_start(arguments, flags);                                           \
    const mode_t mode = mode_of(flags, arguments);                        \
    va_end(arguments);                                                    \
    return carry_out(arrive_at_open(#name, directory, path, flags),       \
                     [&] { return real(directory, path, flags, mode); }); \
  }
INTERPOSE_OPENAT(openat)
INTERPOSE_OPENAT(openat64)

// What _FORTIFY_SOURCE makes of them where there is no mode.
#define INTERPOSE_OPEN_2(name)                                     \
  INTERPOSED int name(const char* path, int flags) {               \
    NEXT(name);                                                    \
    return carry_out(arrive_at_open(#name, AT_FDCWD, path, flags), \
                     [&] { return real(path, flags); });           \
  }
#define INTERPOSE_OPENAT_2(name)                                    \
  INTERPOSED int name(int directory, const char* path, int flags) { \
    NEXT(name);                                                     \
    return carry_out(arrive_at_open(#name, directory, path, flags), \
                     [&] { return real(directory, path, flags); }); \
  }
extern "C" int __open_2(const char*, int);           // NOLINT
extern "C" int __open64_2(const char*, int);         // NOLINT
extern "C" int __openat_2(int, const char*, int);    // NOLINT
extern "C" int __openat64_2(int, const char*, int);  // NOLINT
INTERPOSE_OPEN_2(__open_2)
INTERPOSE_OPEN_2(__open64_2)
INTERPOSE_OPENAT_2(__openat_2)
INTERPOSE_OPENAT_2(__openat64_2)

#define INTERPOSE_FOPEN(name)                                                        \
  INTERPOSED FILE* name(const char* path, const char* mode) {                        \
    NEXT(name);                                                                      \
    return carry_out(arrive_at_fopen(path, mode), [&] { return real(path, mode); }); \
  }
INTERPOSE_FOPEN(fopen)
INTERPOSE_FOPEN(fopen64)

INTERPOSE(DIR*, opendir, (const char* path), (path), kOpen | kDescriptor | kLook, of_path(path))

// Descriptors of other things.

#define INTERPOSE_DESCRIPTOR(name, parameters, arguments)                          \
  INTERPOSED int name parameters {                                                 \
    NEXT(name);                                                                    \
    return carry_out(arrive_at_descriptor(#name), [&] { return real arguments; }); \
  }
INTERPOSE_DESCRIPTOR(socket, (int domain, int type, int protocol), (domain, type, protocol))
INTERPOSE_DESCRIPTOR(socketpair, (int domain, int type, int protocol, int* fds),
                     (domain, type, protocol, fds))
INTERPOSE_DESCRIPTOR(pipe2, (int* fds, int flags), (fds, flags))
INTERPOSE_DESCRIPTOR(eventfd, (unsigned int count, int flags), (count, flags))
INTERPOSE_DESCRIPTOR(inotify_init1, (int flags), (flags))
INTERPOSE_DESCRIPTOR(dup, (int fd), (fd))
INTERPOSE_DESCRIPTOR(epoll_create1, (int flags), (flags))
INTERPOSE_DESCRIPTOR(timerfd_create, (int clock, int flags), (clock, flags))

// Writing.

INTERPOSED ssize_t write(int fd, const void* data, std::size_t size) {
  NEXT(write);
  return carry_out_write(
      arrive_at_write(fd, "write"), fd, -1, [&] { return real(fd, data, size); },
      [&] { return real(fd, data, size / 2); });
}

#define INTERPOSE_PWRITE(name, offset_type)                                                   \
  INTERPOSED ssize_t name(int fd, const void* data, std::size_t size, offset_type offset) {   \
    NEXT(name);                                                                               \
    return carry_out_write(                                                                   \
        arrive_at_write(fd, #name), fd, offset, [&] { return real(fd, data, size, offset); }, \
        [&] { return real(fd, data, size / 2, offset); });                                    \
  }
INTERPOSE_PWRITE(pwrite, off_t)
INTERPOSE_PWRITE(pwrite64, off64_t)

INTERPOSED ssize_t writev(int fd, const struct iovec* pieces, int count) {
  NEXT(writev);
  return carry_out_write(
      arrive_at_write(fd, "writev"), fd, -1, [&] { return real(fd, pieces, count); },
      [&] { return ::write(fd, pieces[0].iov_base, pieces[0].iov_len / 2); });
}

INTERPOSE(int, ftruncate, (int fd, off_t size), (fd, size), kWrite, of_descriptor(fd))
INTERPOSE(int, ftruncate64, (int fd, off64_t size), (fd, size), kWrite, of_descriptor(fd))
INTERPOSE(int, truncate, (const char* path, off_t size), (path, size), kWrite, of_path(path))
INTERPOSE(int, truncate64, (const char* path, off64_t size), (path, size), kWrite, of_path(path))
INTERPOSE(ssize_t, sendfile, (int out, int in, off_t* offset, std::size_t size),
          (out, in, offset, size), kWrite, of_descriptor(out))
INTERPOSE(ssize_t, sendfile64, (int out, int in, off64_t* offset, std::size_t size),
          (out, in, offset, size), kWrite, of_descriptor(out))
INTERPOSE(ssize_t, copy_file_range,
          (int in, off64_t* in_offset, int out, off64_t* out_offset, std::size_t size,
           unsigned int flags),
          (in, in_offset, out, out_offset, size, flags), kWrite, of_descriptor(out))
INTERPOSE(int, fallocate, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size),
          kWrite, of_descriptor(fd))

// Names.

INTERPOSE(int, rename, (const char* from, const char* to), (from, to), kRename, of_path(to))
INTERPOSE(int, renameat, (int from_directory, const char* from, int to_directory, const char* to),
          (from_directory, from, to_directory, to), kRename, of_path(to_directory, to))
INTERPOSE(int, renameat2,
          (int from_directory, const char* from, int to_directory, const char* to,
           unsigned int flags),
          (from_directory, from, to_directory, to, flags), kRename, of_path(to_directory, to))
INTERPOSE(int, link, (const char* from, const char* to), (from, to), kCreate, of_path(to))
INTERPOSE(int, linkat,
          (int from_directory, const char* from, int to_directory, const char* to, int flags),
          (from_directory, from, to_directory, to, flags), kCreate, of_path(to_directory, to))
INTERPOSE(int, symlink, (const char* target, const char* path), (target, path), kCreate,
          of_path(path))
INTERPOSE(int, unlink, (const char* path), (path), kRemove, of_path(path))
INTERPOSE(int, unlinkat, (int directory, const char* path, int flags), (directory, path, flags),
          kRemove, of_path(directory, path))
INTERPOSE(int, remove, (const char* path), (path), kRemove, of_path(path))
INTERPOSE(int, rmdir, (const char* path), (path), kRemove, of_path(path))
INTERPOSE(int, mkdir, (const char* path, mode_t mode), (path, mode), kCreate, of_path(path))
INTERPOSE(int, mkdirat, (int directory, const char* path, mode_t mode), (directory, path, mode),
          kCreate, of_path(directory, path))

// Syncing, attributes, locks.

#define INTERPOSE_SYNC(name)                                                                     \
  INTERPOSED int name(int fd) {                                                                  \
    NEXT(name);                                                                                  \
    const auto find = [&] { return of_descriptor(fd); };                                         \
    const int outcome = carry_out(arrive_at_file(kSync, #name, find), [&] { return real(fd); }); \
    if (outcome == 0 && power_may_fail()) note_synced(fd);                                       \
    return outcome;                                                                              \
  }
INTERPOSE_SYNC(fsync)
INTERPOSE_SYNC(fdatasync)
INTERPOSE(int, syncfs, (int fd), (fd), kSync, of_descriptor(fd))
INTERPOSE(int, sync_file_range, (int fd, off64_t offset, off64_t size, unsigned int flags),
          (fd, offset, size, flags), kSync, of_descriptor(fd))
INTERPOSE(int, chmod, (const char* path, mode_t mode), (path, mode), kAttribute, of_path(path))
INTERPOSE(int, fchmod, (int fd, mode_t mode), (fd, mode), kAttribute, of_descriptor(fd))
INTERPOSE(int, fchmodat, (int directory, const char* path, mode_t mode, int flags),
          (directory, path, mode, flags), kAttribute, of_path(directory, path))
INTERPOSE(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group), kAttribute,
          of_descriptor(fd))
INTERPOSE(int, utimensat,
          (int directory, const char* path, const struct timespec* times, int flags),
          (directory, path, times, flags), kAttribute, of_path(directory, path))
INTERPOSE(int, futimens, (int fd, const struct timespec* times), (fd, times), kAttribute,
          of_descriptor(fd))
INTERPOSE(int, flock, (int fd, int operation), (fd, operation), kLock, of_descriptor(fd))

#define INTERPOSE_FCNTL(name)                                                                    \
  INTERPOSED int name(int fd, int command, ...) {                                                \
    NEXT(name);                                                                                  \
    va_list arguments;                                                                           \
    va_start(arguments, command);                                                                \
    void* argument = va_arg(arguments, void*);                                                   \
    va_end(arguments);                                                                           \
    return carry_out(arrive_at_fcntl(fd, command), [&] { return real(fd, command, argument); }); \
  }
INTERPOSE_FCNTL(fcntl)
INTERPOSE_FCNTL(fcntl64)

INTERPOSE(int, inotify_add_watch, (int fd, const char* path, std::uint32_t mask), (fd, path, mask),
          kWatch, of_path(path))

// The network.

#define INTERPOSE_SEND(type, name, parameters, arguments)                        \
  INTERPOSED type name parameters {                                              \
    NEXT(name);                                                                  \
    return carry_out(arrive_at_send(fd, #name), [&] { return real arguments; }); \
  }
INTERPOSE_SEND(int, connect, (int fd, const struct sockaddr* address, socklen_t size),
               (fd, address, size))
INTERPOSE_SEND(ssize_t, send, (int fd, const void* data, std::size_t size, int flags),
               (fd, data, size, flags))
INTERPOSE_SEND(ssize_t, sendto,
               (int fd, const void* data, std::size_t size, int flags,
                const struct sockaddr* address, socklen_t address_size),
               (fd, data, size, flags, address, address_size))
INTERPOSE_SEND(ssize_t, sendmsg, (int fd, const struct msghdr* message, int flags),
               (fd, message, flags))

// Looking.

INTERPOSE(int, stat, (const char* path, struct stat* status), (path, status), kLook, of_path(path))
INTERPOSE(int, lstat, (const char* path, struct stat* status), (path, status), kLook, of_path(path))
INTERPOSE(int, fstatat, (int directory, const char* path, struct stat* status, int flags),
          (directory, path, status, flags), kLook, of_path(directory, path))
INTERPOSE(int, stat64, (const char* path, struct stat64* status), (path, status), kLook,
          of_path(path))
INTERPOSE(int, lstat64, (const char* path, struct stat64* status), (path, status), kLook,
          of_path(path))
INTERPOSE(int, fstatat64, (int directory, const char* path, struct stat64* status, int flags),
          (directory, path, status, flags), kLook, of_path(directory, path))
INTERPOSE(int, access, (const char* path, int mode), (path, mode), kLook, of_path(path))
INTERPOSE(int, faccessat, (int directory, const char* path, int mode, int flags),
          (directory, path, mode, flags), kLook, of_path(directory, path))
INTERPOSE(struct dirent*, readdir, (DIR * directory), (directory), kLook,
          of_descriptor(::dirfd(directory)))
INTERPOSE(struct dirent64*, readdir64, (DIR * directory), (directory), kLook,
          of_descriptor(::dirfd(directory)))
INTERPOSE(ssize_t, read, (int fd, void* data, std::size_t size), (fd, data, size), kLook,
          of_descriptor(fd))
INTERPOSE(ssize_t, pread, (int fd, void* data, std::size_t size, off_t offset),
          (fd, data, size, offset), kLook, of_descriptor(fd))
INTERPOSE(ssize_t, pread64, (int fd, void* data, std::size_t size, off64_t offset),
          (fd, data, size, offset), kLook, of_descriptor(fd))

INTERPOSED long syscall(long number, ...) noexcept {
  static auto* const real = next<long(long, ...)>("syscall");
  long a[6];
  va_list arguments;
  va_start(arguments, number);
  for (long& argument : a) argument = va_arg(arguments, long);
  va_end(arguments);
  return carry_out(arrive_at_syscall(number, a),
                   [&] { return real(number, a[0], a[1], a[2], a[3], a[4], a[5]); });
}
