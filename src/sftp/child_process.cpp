#include "sftp/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <utility>

namespace ferry::sftp {
namespace {

using std::chrono::milliseconds;

/// The kernel cuts it down to net.core.wmem_max.
constexpr int kStreamBufferBytes = 1024 * 1024;
constexpr std::size_t kKeptStderrBytes = 4096;
/// To go by itself at the end of its input, and then when it is told to.
constexpr milliseconds kEofGrace{250};
constexpr milliseconds kTermGrace{750};

struct Pair {
  UniqueFd ours;
  UniqueFd childs;
};

/// Above the standard descriptors, so that none of them is overwritten while they are set up.
UniqueFd above_stdio(int fd) {
  const UniqueFd low(fd);
  return UniqueFd(::fcntl(low.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

Pair owned(const std::array<int, 2>& fds) {
  return {above_stdio(fds[0]), above_stdio(fds[1])};
}

void set_nonblocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

Result<Pair> make_stream() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    return errno_error(errno, "socketpair");
  }
  for (const int fd : fds) {
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kStreamBufferBytes, sizeof kStreamBufferBytes);
  }
  Pair pair = owned(fds);
  set_nonblocking(pair.ours.get());
  return pair;
}

Result<Pair> make_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return errno_error(errno, "pipe");
  Pair pair = owned(fds);
  set_nonblocking(pair.ours.get());
  return pair;
}

/// glibc 2.36 declares it for C only.
UniqueFd open_pidfd(pid_t pid) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

/// The child's descriptors, signals and group.
class SpawnSetup {
 public:
  SpawnSetup(int stream, int stderr_pipe) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, stream, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, stream, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, stderr_pipe, STDERR_FILENO);

    sigset_t signals;
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    ::sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  ~SpawnSetup() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }

  int spawn(pid_t& pid, const std::vector<std::string>& argv) const {
    std::vector<char*> arguments;
    arguments.reserve(argv.size() + 1);
    for (const std::string& argument : argv) {
      arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    return ::posix_spawnp(&pid, argv[0].c_str(), &actions_, &attributes_, arguments.data(),
                          environ);
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(const std::vector<std::string>& argv) {
  auto stream = make_stream();
  if (!stream) return stream.error();
  auto errors = make_pipe();
  if (!errors) return errors.error();
  if (!stream->ours || !stream->childs || !errors->ours || !errors->childs) {
    return errno_error(errno, "descriptors for " + argv[0]);
  }
  std::unique_ptr<ChildProcess> child(new ChildProcess);
  child->stream_ = std::move(stream->ours);
  child->stderr_ = std::move(errors->ours);
  const SpawnSetup setup(stream->childs.get(), errors->childs.get());
  if (const int failure = setup.spawn(child->pid_, argv); failure != 0) {
    child->pid_ = -1;
    return errno_error(failure, "run " + argv[0]);
  }
  child->pidfd_ = open_pidfd(child->pid_);
  if (!child->pidfd_) return errno_error(errno, "pidfd_open");
  return child;
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  stream_.reset();
  if (!wait_for_exit(kEofGrace)) {
    ::kill(-pid_, SIGTERM);
    ::kill(-pid_, SIGCONT);
    wait_for_exit(kTermGrace);
  }
  // Not reaped yet, it still holds the group's number.
  ::kill(-pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void ChildProcess::collect_stderr() {
  std::array<char, 4096> buffer;
  while (stderr_) {
    const ssize_t count = ::read(stderr_.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      stderr_.reset();
      return;
    }
    stderr_text_.append(buffer.data(), static_cast<std::size_t>(count));
    if (stderr_text_.size() > kKeptStderrBytes) {
      stderr_text_.erase(0, stderr_text_.size() - kKeptStderrBytes);
    }
  }
}

bool ChildProcess::wait_for_exit(milliseconds limit) const {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd ended{pidfd_.get(), POLLIN, 0};
    const int count = ::poll(&ended, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (count > 0) return true;
    if (left.count() <= 0) return false;
  }
}

std::optional<int> ChildProcess::exit_status() const {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      info.si_pid == 0) {
    return std::nullopt;
  }
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

}  // namespace ferry::sftp
