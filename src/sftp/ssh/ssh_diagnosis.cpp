#include "sftp/ssh/ssh_diagnosis.h"

#include <algorithm>
#include <array>
#include <vector>

#include "ferry/base/text.h"
#include "sftp/ssh/algorithms.h"
#include "sftp/ssh/channel_end.h"
#include "sftp/ssh/dial.h"
#include "sftp/ssh/known_hosts.h"
#include "sftp/ssh/login.h"
#include "sftp/ssh/private_key.h"

namespace ferry::sftp {
namespace {

constexpr std::string_view kLoggedInLine = "Authenticated to ";
constexpr std::string_view kHostKeyChanged = "REMOTE HOST IDENTIFICATION HAS CHANGED";
constexpr std::string_view kHostKeyUnknown = "host key is known for ";
constexpr std::string_view kNoSubsystem = "subsystem request failed";
constexpr std::string_view kDroppedAtOnce = "kex_exchange_identification: ";
constexpr std::string_view kMaybeTooBusy =
    " (too many connections at once, MaxStartups? not an SSH server?)";
constexpr int kOwnFailure = 255;
constexpr std::string_view kLoginRefused = "Permission denied (";
constexpr std::string_view kNoAgreement = "no matching ";
constexpr std::string_view kTheirOffer = "Their offer: ";
constexpr std::string_view kDebug = "debug1: ";

struct Symptom {
  std::string_view words;
  ErrorKind kind;
};

/// Without any of these it is the network's or the server's state, which may be better later.
constexpr std::array kSymptoms = {
    Symptom{"bad configuration option", ErrorKind::kInvalid},
    Symptom{"Bad configuration option", ErrorKind::kInvalid},
    Symptom{"terminating, ", ErrorKind::kInvalid},  // "FILE: terminating, N bad configuration …"
    Symptom{"Bad owner or permissions", ErrorKind::kInvalid},
    Symptom{"hostname contains invalid characters", ErrorKind::kInvalid},
    Symptom{"remote username contains invalid characters", ErrorKind::kInvalid},
    Symptom{kHostKeyChanged, ErrorKind::kRefused},
    Symptom{"is marked as revoked", ErrorKind::kRefused},
    Symptom{"Host key verification failed", ErrorKind::kRefused},
    Symptom{kLoginRefused, ErrorKind::kRefused},
    Symptom{"Too many authentication failures", ErrorKind::kRefused},
    Symptom{kNoAgreement, ErrorKind::kRefused},
    Symptom{"banner line contains invalid characters", ErrorKind::kRefused},
    Symptom{"Invalid SSH identification string", ErrorKind::kRefused},
    Symptom{kNoSubsystem, ErrorKind::kRefused},
    Symptom{"administratively prohibited", ErrorKind::kRefused},
};

/// What ssh says at LogLevel=VERBOSE, or DEBUG1, on good days too.
bool is_chatter(std::string_view line) {
  return line.empty() || line.starts_with(kDebug) || line.starts_with("OpenSSH_") ||
         line.starts_with(kLoggedInLine) || line.starts_with("Transferred: ") ||
         line.starts_with("Bytes per second: ") || line.starts_with("@@@");
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<std::string_view> telling_lines(std::string_view text) {
  std::vector<std::string_view> lines = lines_of(text);
  std::erase_if(lines, &is_chatter);
  return lines;
}

bool have(const std::vector<std::string_view>& lines, std::string_view words) {
  return std::ranges::any_of(lines, [&](std::string_view line) { return line.contains(words); });
}

/// The last of the lines that hold WORDS; empty: none.
std::string line_with(const std::vector<std::string_view>& lines, std::string_view words) {
  const auto found = std::find_if(lines.rbegin(), lines.rend(),
                                  [&](std::string_view line) { return line.contains(words); });
  return found == lines.rend() ? std::string() : excerpt(*found);
}

std::string last_words(const std::vector<std::string_view>& lines, std::optional<int> status) {
  if (!lines.empty()) return excerpt(lines.back());
  if (!status) return "ssh closed the connection";
  if (*status < 0) return fmt::format("ssh was killed by signal {}", -*status);
  return fmt::format("ssh ended with status {}", *status);
}

std::string changed_key(const std::vector<std::string_view>& lines, const std::string& peer) {
  return fmt::format(
      "THE HOST KEY OF {} HAS CHANGED: the server offers {} ({}). Somebody may be in the middle "
      "and pose as the server. If the server really has a new key (ask its operator), remove that "
      "line and accept the new key",
      peer, line_with(lines, "SHA256:"), line_with(lines, "Offending "));
}

std::string unknown_key(const std::string& said, const std::string& peer,
                        const ConnectOptions& options) {
  return fmt::format(
      "the host key of {} is unknown: {} Compare the server's fingerprint with what its operator "
      "says; then accept the key with --accept-new-host-key, or append the line that 'ssh-keyscan "
      "-p {} {}' prints to {}",
      peer, said, options.port, options.host,
      options.known_hosts.empty() ? "~/.ssh/known_hosts" : options.known_hosts.front().string());
}

std::string refused_login(const std::vector<std::string_view>& lines, const std::string& said,
                          const ConnectOptions& options) {
  std::string text = "login refused: " + said;
  for (const fs::path& key : identities_of(options)) {
    if (!look_at_private_key(key).encrypted) continue;
    text +=
        fmt::format("; {} has a passphrase: ssh takes it from an agent (ssh-add)", key.string());
  }
  for (const std::string_view line : lines) {
    const bool is_about_a_key = line.starts_with("no such identity: ") ||
                                line.starts_with("Load key ") || line.contains("UNPROTECTED");
    if (is_about_a_key) text += "; " + excerpt(line);
  }
  return text;
}

/// "… Their offer: a,b"
bool offers_legacy(std::string_view said) {
  const auto offer = said.find(kTheirOffer);
  if (offer == said.npos) return false;
  const auto names = split_names(said.substr(offer + kTheirOffer.size()));
  return std::ranges::any_of(names, &is_legacy_algorithm);
}

Error before_running(const std::vector<std::string_view>& lines, const SshEnd& end,
                     const ConnectOptions& options) {
  const std::string peer = peer_name(options.host, options.port);
  const std::string name = known_hosts_name(options.host, options.port);
  const auto symptom = std::ranges::find_if(
      kSymptoms, [&](const Symptom& candidate) { return have(lines, candidate.words); });
  if (symptom == kSymptoms.end()) {
    const bool logged_in = end.phase == SshEnd::Phase::kLoggedIn;
    const bool was_dropped = have(lines, kDroppedAtOnce);
    const bool may_pass_soon = logged_in || was_dropped;
    return make_error(may_pass_soon ? ErrorKind::kConnectionLost : ErrorKind::kUnreachable,
                      "{}: {}{}", peer, last_words(lines, end.status),
                      was_dropped ? kMaybeTooBusy : std::string_view());
  }
  const ErrorKind kind = symptom->kind;
  const std::string said = line_with(lines, symptom->words);
  if (const auto line = line_with(lines, kHostKeyChanged); !line.empty()) {
    return make_error(kind, "{}", changed_key(lines, name));
  }
  if (const auto line = line_with(lines, kHostKeyUnknown); !line.empty()) {
    return make_error(kind, "{}", unknown_key(line, name, options));
  }
  if (symptom->words == kLoginRefused) {
    return make_error(kind, "{}: {}", peer, refused_login(lines, said, options));
  }
  if (symptom->words == kNoSubsystem) {
    return make_error(kind, "{}: server has no sftp subsystem for this account: {}", peer, said);
  }
  if (symptom->words == kNoAgreement && offers_legacy(said)) {
    return make_error(
        kind,
        "{}: {}. These are outdated: legacy_algorithms = true for this server accepts "
        "them all the same",
        peer, said);
  }
  return make_error(kind, "{}: {}", peer, said);
}

}  // namespace

bool says_logged_in(std::string_view stderr_text) {
  const auto lines_begin = [&](std::size_t at) { return at == 0 || stderr_text[at - 1] == '\n'; };
  for (auto at = stderr_text.find(kLoggedInLine); at != stderr_text.npos;
       at = stderr_text.find(kLoggedInLine, at + 1)) {
    if (lines_begin(at)) return true;
  }
  return false;
}

bool says_host_key_unknown(std::string_view stderr_text, const ConnectOptions& options) {
  return stderr_text.contains(
      fmt::format("{}{} ", kHostKeyUnknown, known_hosts_name(options.host, options.port)));
}

Agreement agreement_in(std::string_view stderr_text) {
  constexpr std::string_view kImplicit = "<implicit>";
  Agreement agreement;
  // "debug1: kex: client->server cipher: aes128-ctr MAC: hmac-sha2-256 compression: none"
  const auto word_after = [](std::string_view line, std::string_view label) {
    const auto at = line.find(label);
    if (at == line.npos) return std::string();
    line.remove_prefix(at + label.size());
    return std::string(line.substr(0, line.find(' ')));
  };
  const auto keep = [](std::string& target, std::string word) {
    if (!word.empty()) target = std::move(word);
  };
  for (const std::string_view line : lines_of(stderr_text)) {
    if (!line.starts_with("debug1: kex: ")) continue;
    keep(agreement.key_exchange, word_after(line, "kex: algorithm: "));
    keep(agreement.host_key, word_after(line, "kex: host key algorithm: "));
    if (!line.contains("client->server")) continue;
    keep(agreement.cipher, word_after(line, "cipher: "));
    keep(agreement.mac, word_after(line, "MAC: "));
    if (agreement.mac == kImplicit) agreement.mac = "implicit";
  }
  return agreement;
}

Error diagnose(const SshEnd& end, const ConnectOptions& options) {
  const auto lines = telling_lines(end.stderr_text);
  // ssh passes a command's exit status on, and says by 255 that it is its own.
  const bool is_commands = end.phase != SshEnd::Phase::kConnecting && !options.command.empty() &&
                           end.status && *end.status >= 0 && *end.status < kOwnFailure;
  if (is_commands) {
    return make_error(ErrorKind::kFailed, "{}: {}", peer_name(options.host, options.port),
                      how_command_ended(*end.status, lines.empty() ? "" : lines.back()));
  }
  if (end.phase != SshEnd::Phase::kRunning) return before_running(lines, end, options);
  return make_error(ErrorKind::kConnectionLost, "{}: {}", peer_name(options.host, options.port),
                    last_words(lines, end.status));
}

}  // namespace ferry::sftp
