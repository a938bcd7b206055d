// The sftp subsystem at the other end of ssh(1).
//
// ssh says that the login is done, but not that the subsystem has started: if the server has
// none, that is the error of the first read.
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "ferry/base/child_process.h"
#include "ferry/sftp/connect.h"
#include "ferry/sftp/person.h"
#include "sftp/ssh/dial.h"
#include "sftp/ssh/host_key.h"
#include "sftp/ssh/ssh_algorithms.h"
#include "sftp/ssh/ssh_command.h"
#include "sftp/ssh/ssh_diagnosis.h"

namespace ferry::sftp {
namespace {

using std::chrono::milliseconds;

/// Between the end of the stream and the process's: its last words.
constexpr milliseconds kLastWords{500};

Error ended(ChildProcess& ssh, SshEnd::Phase phase, const ConnectOptions& options) {
  ssh.wait_for_exit(kLastWords);
  ssh.collect_stderr();
  return diagnose({.phase = phase, .stderr_text = ssh.stderr_text(), .status = ssh.exit_status()},
                  options);
}

class OpensshChannel final : public Channel {
 public:
  OpensshChannel(std::unique_ptr<ChildProcess> ssh, ConnectOptions options)
      : ssh_(std::move(ssh)),
        options_(std::move(options)),
        agreement_(agreement_in(ssh_->stderr_text())) {}

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (failure_) return *failure_;
    if (buffer.empty()) return 0;
    for (;;) {
      const ssize_t count = ::recv(ssh_->output(), buffer.data(), buffer.size(), 0);
      if (count > 0) {
        phase_ = SshEnd::Phase::kRunning;
        return static_cast<std::size_t>(count);
      }
      if (count < 0 && errno == EINTR) continue;
      if (count == 0 || errno != EAGAIN) return fail();
      ssh_->collect_stderr();
      return 0;
    }
  }

  Result<std::size_t> write(std::span<const std::byte> data) override {
    if (failure_) return *failure_;
    for (;;) {
      const ssize_t count = ::send(ssh_->input(), data.data(), data.size(), MSG_NOSIGNAL);
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return 0;
      return fail();
    }
  }

  void add_poll_fds(bool wants_write, std::vector<pollfd>& fds) const override {
    const int events = wants_write ? POLLIN | POLLOUT : POLLIN;
    fds.push_back({ssh_->output(), static_cast<short>(events), 0});
    if (ssh_->stderr_fd() >= 0) fds.push_back({ssh_->stderr_fd(), POLLIN, 0});
  }

  Agreement agreement() const override { return agreement_; }

 private:
  Error fail() {
    failure_ = ended(*ssh_, phase_, options_);
    return *failure_;
  }

  std::unique_ptr<ChildProcess> ssh_;
  const ConnectOptions options_;
  const Agreement agreement_;
  SshEnd::Phase phase_ = SshEnd::Phase::kLoggedIn;
  std::optional<Error> failure_;
};

Result<void> check_options(const ConnectOptions& options) {
  if (!options.password.empty()) {
    return make_error(ErrorKind::kInvalid,
                      "the openssh transport takes keys and agents only, no password: leave the "
                      "password out, or use the libssh2 transport");
  }
  if (!options.passphrase.empty()) {
    return make_error(ErrorKind::kInvalid,
                      "the openssh transport takes no passphrase: add the key to an agent "
                      "(ssh-add), or use the libssh2 transport");
  }
  return {};
}

/// ssh makes the file itself, but not its directory, and goes on without.
Result<void> make_room_for_known_hosts(const ConnectOptions& options) {
  if (!options.accept_new_host_key || options.known_hosts.empty()) return {};
  const fs::path directory = options.known_hosts.front().parent_path();
  if (directory.empty() || ::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  Error error = errno_error(errno, "create directory " + directory.string());
  error.kind = ErrorKind::kRefused;
  return error.with_context("a new host key cannot be kept");
}

Result<void> wait_for_login(ChildProcess& ssh, const ConnectOptions& options,
                            const StopToken& stop) {
  const std::string what = "ssh to " + peer_name(options.host, options.port);
  // ssh's own ConnectTimeout, in whole seconds, is for all that comes before the login.
  const auto limit = std::chrono::ceil<std::chrono::seconds>(options.timeout) + options.timeout;
  const auto deadline = Clock::now() + limit;
  for (;;) {
    if (stop.stop_requested()) return cancelled(what);
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return timed_out(what, limit);
    std::array<pollfd, 3> fds{pollfd{ssh.stderr_fd(), POLLIN, 0}, pollfd{ssh.exit_fd(), POLLIN, 0},
                              pollfd{stop.fd(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), static_cast<int>(left.count()));
    ssh.collect_stderr();
    if (says_logged_in(ssh.stderr_text())) return {};
    if (ssh.exit_status()) return ended(ssh, SshEnd::Phase::kConnecting, options);
  }
}

/// Until it has logged in. IS_HOST_UNKNOWN: that is what keeps it from it.
Result<std::unique_ptr<ChildProcess>> start_ssh(const ConnectOptions& options,
                                                const StopToken& stop, bool& is_host_unknown) {
  auto ssh =
      ChildProcess::start({.argv = ssh_command(options, ssh_algorithm_options(options, stop)),
                           .environment = ssh_environment()});
  if (!ssh) {
    if (ssh.error().kind != ErrorKind::kNotFound) return ssh.error();
    return make_error(ErrorKind::kInvalid,
                      "the openssh transport needs the program ssh, which is not in $PATH");
  }
  if (auto done = wait_for_login(**ssh, options, stop); !done) {
    is_host_unknown = says_host_key_unknown((*ssh)->stderr_text(), options);
    return done.error();
  }
  return ssh;
}

}  // namespace

Result<std::unique_ptr<Channel>> connect_openssh(const ConnectOptions& options, StopToken& stop) {
  if (auto checked = check_options(options); !checked) return checked.error();
  if (stop.stop_requested()) return cancelled("ssh to " + peer_name(options.host, options.port));
  if (auto ready = make_room_for_known_hosts(options); !ready) return ready.error();
  bool is_host_unknown = false;
  auto ssh = start_ssh(options, stop, is_host_unknown);
  // ssh runs where it cannot ask a person.
  if (is_host_unknown && person() != nullptr && ask_about_host_key(options, stop)) {
    ssh = start_ssh(options, stop, is_host_unknown);
  }
  if (!ssh) return ssh.error();
  if (!options.command.empty()) ::shutdown((*ssh)->input(), SHUT_WR);
  return std::make_unique<OpensshChannel>(std::move(*ssh), options);
}

}  // namespace ferry::sftp
