#include "app/terminal_person.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string_view>

#include "ferry/base/fd.h"
#include "ferry/base/text.h"
#include "ferry/sftp/person.h"

namespace ferry::app {
namespace {

UniqueFd open_terminal() {
  if (::isatty(STDERR_FILENO) == 0) return {};
  return UniqueFd(::open("/dev/tty", O_RDWR | O_CLOEXEC));
}

void write_to(int terminal, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(terminal, text.data(), text.size());
    if (count <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

/// Empty after a stop.
std::string read_line(int terminal, const StopToken& stop) {
  std::string line;
  while (!stop.stop_requested()) {
    std::array<pollfd, 2> fds{{{terminal, POLLIN, 0}, {stop.fd(), POLLIN, 0}}};
    ::poll(fds.data(), fds.size(), -1);
    if (fds[0].revents == 0) continue;
    char letter = 0;
    const ssize_t count = ::read(terminal, &letter, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count != 1 || letter == '\n') return line;
    line += letter;
  }
  return {};
}

/// What is typed is not shown while this lives.
class NoEcho {
 public:
  explicit NoEcho(int terminal) : terminal_(terminal) {
    is_changed_ = ::tcgetattr(terminal, &before_) == 0;
    termios hidden = before_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (is_changed_) ::tcsetattr(terminal, TCSAFLUSH, &hidden);
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;
  ~NoEcho() {
    if (is_changed_) ::tcsetattr(terminal_, TCSAFLUSH, &before_);
    write_to(terminal_, "\n");
  }

 private:
  const int terminal_;
  termios before_{};
  bool is_changed_ = false;
};

/// Asks each question once: several connections are made with one answer.
class PersonAtTerminal final : public sftp::Person {
 public:
  explicit PersonAtTerminal(const StopToken& stop) : stop_(stop) {}

  bool accepts_host_key(const std::string& host, const std::string& key) override {
    const std::scoped_lock lock(mutex_);
    const std::string question = fmt::format(
        "The host key of {} is unknown: {}.\nIs it the server's? Compare it with what "
        "its operator says.",
        escape_controls(host), escape_controls(key));
    const auto [answer, is_new] = accepted_.try_emplace(question, false);
    if (is_new) answer->second = confirms(question);
    return answer->second;
  }

  std::string passphrase(const fs::path& key) override {
    return secret(fmt::format("Passphrase of {}: ", key.string()));
  }

  std::string password(const std::string& account) override {
    return secret(fmt::format("Password of {}: ", account));
  }

 private:
  bool confirms(const std::string& question) {
    const UniqueFd terminal = open_terminal();
    if (!terminal) return false;
    while (!stop_.stop_requested()) {
      write_to(terminal.get(), question + " (yes/no) ");
      const std::string answer = read_line(terminal.get(), stop_);
      if (answer == "yes" || answer == "y") return true;
      if (answer == "no" || answer == "n" || answer.empty()) return false;
    }
    return false;
  }

  std::string secret(const std::string& prompt) {
    const std::scoped_lock lock(mutex_);
    if (stop_.stop_requested()) return {};
    const auto [answer, is_new] = secrets_.try_emplace(prompt);
    if (!is_new) return answer->second;
    const UniqueFd terminal = open_terminal();
    if (!terminal) return {};
    const NoEcho hidden(terminal.get());  // before the prompt: who sees it may type
    write_to(terminal.get(), escape_controls(prompt));
    return answer->second = read_line(terminal.get(), stop_);
  }

  const StopToken& stop_;
  std::mutex mutex_;
  std::map<std::string, bool> accepted_;
  std::map<std::string, std::string> secrets_;
};

}  // namespace

void ask_at_terminal(const StopToken& stop) {
  if (open_terminal()) sftp::set_person(std::make_unique<PersonAtTerminal>(stop));
}

std::string answer_to(const std::string& question, const std::string& fallback,
                      const StopToken& stop) {
  const UniqueFd terminal = open_terminal();
  if (!terminal) return fallback;
  write_to(terminal.get(), fallback.empty() ? fmt::format("{}: ", question)
                                            : fmt::format("{} [{}]: ", question, fallback));
  const std::string answer = read_line(terminal.get(), stop);
  return answer.empty() ? fallback : answer;
}

}  // namespace ferry::app
