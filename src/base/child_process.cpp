#include "ferry/base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace ferry {
namespace {

using std::chrono::milliseconds;

/// The kernel cuts it down to net.core.wmem_max.
constexpr int kStreamBufferBytes = 1024 * 1024;
constexpr std::size_t kKeptStderrBytes = 16 * 1024;
constexpr std::size_t kKeptOutputBytes = 64 * 1024;
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

/// Ours is the first, and becomes non-blocking.
Result<Pair> owned(const std::array<int, 2>& fds) {
  Pair pair{above_stdio(fds[0]), above_stdio(fds[1])};
  if (!pair.ours || !pair.childs) return errno_error(errno, "descriptors for a child process");
  ::fcntl(pair.ours.get(), F_SETFL, ::fcntl(pair.ours.get(), F_GETFL) | O_NONBLOCK);
  return pair;
}

Result<Pair> make_socket() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    return errno_error(errno, "socketpair");
  }
  for (const int fd : fds) {
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kStreamBufferBytes, sizeof kStreamBufferBytes);
  }
  return owned(fds);
}

enum class Direction : std::uint8_t { kToUs, kToChild };

Result<Pair> make_pipe(Direction direction) {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return errno_error(errno, "pipe");
  if (direction == Direction::kToChild) std::swap(fds[0], fds[1]);
  return owned(fds);
}

/// glibc 2.36 declares it for C only.
UniqueFd open_pidfd(pid_t pid) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

/// As execve(2) wants them.
std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

/// What programs need to find their files and to speak the user's language.
constexpr std::array<std::string_view, 10> kPassedOn{"PATH", "HOME",     "USER", "LOGNAME", "SHELL",
                                                     "LANG", "LANGUAGE", "TZ",   "TMPDIR",  "TERM"};

bool is_passed_on(std::string_view name) {
  return std::ranges::find(kPassedOn, name) != kPassedOn.end() || name.starts_with("LC_");
}

std::vector<std::string> basic_environment_and(const std::vector<std::string>& additions) {
  const auto is_replaced = [&](std::string_view name) {
    return std::ranges::any_of(additions, [&](const std::string& one) {
      return one.starts_with(name) && one.substr(name.size()).starts_with('=');
    });
  };
  std::vector<std::string> result(additions);
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const std::string_view name = text.substr(0, text.find('='));
    if (is_passed_on(name) && !is_replaced(name)) result.emplace_back(text);
  }
  return result;
}

/// The child's descriptors, signals and group.
class SpawnSetup {
 public:
  SpawnSetup(int input, int output, int errors) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, errors, STDERR_FILENO);
    // For what a library may have opened without O_CLOEXEC.
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);

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

  int spawn(pid_t& pid, const std::vector<std::string>& argv,
            const std::vector<std::string>& environment) const {
    return ::posix_spawnp(&pid, argv[0].c_str(), &actions_, &attributes_, pointers(argv).data(),
                          pointers(environment).data());
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

namespace {

Result<void> check_program(const std::string& file) {
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0) return errno_error(errno, "run " + file);
  if (!S_ISREG(status.st_mode)) {
    return make_error(ErrorKind::kDenied, "run {}: it is not a program", file);
  }
  if (::access(file.c_str(), X_OK) != 0) return errno_error(errno, "run " + file);
  return {};
}

}  // namespace

Result<std::string> find_program(const std::string& name) {
  if (name.contains('/')) {
    if (const auto checked = check_program(name); !checked) return checked.error();
    return name;
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/bin:/usr/bin" : path;
  Result<std::string> found = make_error(ErrorKind::kNotFound, "run {}: it is not in $PATH", name);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    std::string file = fmt::format("{}/{}", rest.substr(0, end), name);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const auto checked = check_program(file);
    if (checked) return file;
    if (checked.error().kind == ErrorKind::kDenied) found = checked.error();
  }
  return found;
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(const ChildOptions& options) {
  if (options.argv.empty() || options.argv[0].empty()) {
    return make_error(ErrorKind::kInvalid, "run: no program is named");
  }
  const bool has_pipes = options.stdio == ChildOptions::Stdio::kPipes;
  auto output = has_pipes ? make_pipe(Direction::kToUs) : make_socket();
  if (!output) return output.error();
  Pair errors;
  int childs_stderr = STDERR_FILENO;
  if (!options.inherits_stderr) {
    auto pipe = make_pipe(Direction::kToUs);
    if (!pipe) return pipe.error();
    errors = std::move(*pipe);
    childs_stderr = errors.childs.get();
  }
  Pair input;
  int childs_input = has_pipes ? options.stdin_fd : output->childs.get();
  if (childs_input < 0) {
    auto pipe = make_pipe(Direction::kToChild);
    if (!pipe) return pipe.error();
    input = std::move(*pipe);
    childs_input = input.childs.get();
  }
  std::unique_ptr<ChildProcess> child(new ChildProcess(options.stdio));
  child->input_ = std::move(input.ours);
  child->output_ = std::move(output->ours);
  child->stderr_ = std::move(errors.ours);
  const SpawnSetup setup(childs_input, output->childs.get(), childs_stderr);
  const int failure =
      setup.spawn(child->pid_, options.argv, basic_environment_and(options.environment));
  if (failure != 0) {
    child->pid_ = -1;
    return errno_error(failure, "run " + options.argv[0]);
  }
  child->pidfd_ = open_pidfd(child->pid_);
  if (!child->pidfd_) return errno_error(errno, "pidfd_open");
  return child;
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  input_.reset();
  output_.reset();
  if (!wait_for_exit(kEofGrace)) {
    ::kill(-pid_, SIGTERM);
    ::kill(-pid_, SIGCONT);
    wait_for_exit(kTermGrace);
  }
  kill();
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
  return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

void ChildProcess::kill() const {
  // Not reaped yet, it still holds the group's number.
  ::kill(-pid_, SIGKILL);
}

namespace {

/// Takes what is there from stdout; false at its end.
bool collect_output(const ChildProcess& child, std::string& output) {
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    const ssize_t count = ::read(child.output(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 && errno == EAGAIN;
    const std::size_t room = kKeptOutputBytes - output.size();
    output.append(buffer.data(), std::min(room, static_cast<std::size_t>(count)));
  }
}

}  // namespace

Result<CommandResult> run_command(const std::vector<std::string>& argv,
                                  const std::vector<std::string>& environment, int stdin_fd,
                                  milliseconds time_limit, const StopToken& stop) {
  const auto deadline = std::chrono::steady_clock::now() + time_limit;
  UniqueFd nothing;
  if (stdin_fd < 0) {
    nothing = UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    stdin_fd = nothing.get();
  }
  auto child = ChildProcess::start({.argv = argv,
                                    .environment = environment,
                                    .stdio = ChildOptions::Stdio::kPipes,
                                    .stdin_fd = stdin_fd});
  if (!child) return child.error();
  CommandResult result;
  for (bool speaks = true;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (stop.stop_requested() || left.count() <= 0) {
      (*child)->kill();
      if (stop.stop_requested()) return make_error(ErrorKind::kCancelled, "{}: stopped", argv[0]);
      return make_error(ErrorKind::kFailed, "{}: it ran longer than {} ms", argv[0],
                        time_limit.count());
    }
    std::array<pollfd, 4> fds{pollfd{speaks ? (*child)->output() : -1, POLLIN, 0},
                              pollfd{(*child)->stderr_fd(), POLLIN, 0},
                              pollfd{(*child)->exit_fd(), POLLIN, 0}, pollfd{stop.fd(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), static_cast<int>(std::min<long>(left.count(), 60'000)));
    const auto status = (*child)->exit_status();  // before its last words are taken
    speaks = speaks && collect_output(**child, result.output);
    (*child)->collect_stderr();
    if (!status) continue;
    result.status = *status;
    result.stderr_text = (*child)->stderr_text();
    return result;
  }
}

std::string describe_exit(const std::string& name, int status, const std::string& stderr_text) {
  std::string text = status < 0 ? fmt::format("{}: killed by signal {}", name, -status)
                                : fmt::format("{}: exit status {}", name, status);
  const auto end = stderr_text.find_last_not_of(" \t\r\n");
  if (end == std::string::npos) return text;
  const auto newline = stderr_text.find_last_of('\n', end);
  const std::size_t begin = newline == std::string::npos ? 0 : newline + 1;
  return text + ": " + stderr_text.substr(begin, end + 1 - begin);
}

}  // namespace ferry
