#include "app/terminal_person.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

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

std::string read_line(int terminal) {
  std::string line;
  char letter = 0;
  while (::read(terminal, &letter, 1) == 1 && letter != '\n') line += letter;
  return line;
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
  std::string secret(const std::string& prompt) {
    const std::scoped_lock lock(mutex_);
    const auto [answer, is_new] = secrets_.try_emplace(prompt);
    if (!is_new) return answer->second;
    const UniqueFd terminal = open_terminal();
    if (!terminal) return {};
    write_to(terminal.get(), escape_controls(prompt));
    const NoEcho hidden(terminal.get());
    return answer->second = read_line(terminal.get());
  }

  std::mutex mutex_;
  std::map<std::string, bool> accepted_;
  std::map<std::string, std::string> secrets_;
};

}  // namespace

void ask_at_terminal() {
  if (open_terminal()) sftp::set_person(std::make_unique<PersonAtTerminal>());
}

bool confirms(const std::string& question) {
  const UniqueFd terminal = open_terminal();
  if (!terminal) return false;
  for (;;) {
    write_to(terminal.get(), question + " (yes/no) ");
    const std::string answer = read_line(terminal.get());
    if (answer == "yes" || answer == "y") return true;
    if (answer == "no" || answer == "n" || answer.empty()) return false;
  }
}

std::string answer_to(const std::string& question, const std::string& fallback) {
  const UniqueFd terminal = open_terminal();
  if (!terminal) return fallback;
  write_to(terminal.get(), fallback.empty() ? fmt::format("{}: ", question)
                                            : fmt::format("{} [{}]: ", question, fallback));
  const std::string answer = read_line(terminal.get());
  return answer.empty() ? fallback : answer;
}

}  // namespace ferry::app
