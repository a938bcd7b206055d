#include "sftp/ssh_ciphers.h"

#include <unistd.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include <vector>

#include "ferry/base/child_process.h"
#include "sftp/ssh_command.h"

namespace ferry::sftp {
namespace {

constexpr std::string_view kFastWithAesInstructions =
    "^aes128-gcm@openssh.com,aes256-gcm@openssh.com";

bool has_aes_instructions() {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("aes") != 0;
#elif defined(__aarch64__)
  constexpr unsigned long kHwcapAes = 1UL << 3;
  return (::getauxval(AT_HWCAP) & kHwcapAes) != 0;
#else
  return false;
#endif
}

/// What COMMAND writes; empty where it fails or takes too long.
std::string output_of(const std::vector<std::string>& command, std::chrono::milliseconds limit,
                      const StopToken& stop) {
  const auto ended = run_command(command, {}, -1, limit, stop);
  return ended && ended->status == 0 ? ended->output : std::string();
}

/// The line "ciphers …" of ssh -G.
std::string ciphers_line(std::string_view configuration) {
  constexpr std::string_view kStart = "\nciphers ";
  const auto begin = configuration.find(kStart);
  if (begin == configuration.npos) return {};
  const auto line = configuration.substr(begin + 1);
  return std::string(line.substr(0, line.find('\n')));
}

}  // namespace

std::string preferred_ciphers(const ConnectOptions& options, const StopToken& stop) {
  if (!has_aes_instructions()) return {};
  static const std::string defaults = ciphers_line(
      output_of({"ssh", "-F", "none", "-G", "--", "localhost"}, options.timeout, stop));
  if (defaults.empty()) return {};
  std::vector<std::string> query = ssh_options(options);
  query.insert(query.begin(), "ssh");
  query.insert(query.end(), {"-G", "--", options.host});
  const std::string effective = ciphers_line(output_of(query, options.timeout, stop));
  return effective == defaults ? std::string(kFastWithAesInstructions) : std::string();
}

}  // namespace ferry::sftp
