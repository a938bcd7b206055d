#include "sftp/ssh/ssh_algorithms.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include <algorithm>
#include <array>

#include "sftp/ssh/algorithms.h"
#include "sftp/ssh/ssh_configuration.h"

namespace ferry::sftp {
namespace {

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

/// A list of algorithms in ssh_config(5).
struct Keyword {
  std::string_view name;
  std::vector<std::string> legacy;  // what to add on demand
};

const std::array<Keyword, 5>& keywords() {
  const std::vector<std::string> rsa{std::string(kLegacyRsa)};
  static const std::array<Keyword, 5> all{
      Keyword{"Ciphers", kCiphers.legacy}, Keyword{"HostKeyAlgorithms", rsa},
      Keyword{"KexAlgorithms", kKeyExchanges.legacy}, Keyword{"MACs", kMacs.legacy},
      Keyword{"PubkeyAcceptedAlgorithms", rsa}};
  return all;
}

/// What ssh -G says of KEYWORD.
std::vector<std::string> names_in(std::string_view configuration, std::string_view keyword) {
  const std::string_view value = value_in(configuration, keyword);
  return value.empty() ? std::vector<std::string>() : split_names(value);
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

void put_gcm_first(std::vector<std::string>& names) {
  std::ranges::stable_partition(names,
                                [](const std::string& name) { return name.contains("-gcm@"); });
}

std::string value_for(const Keyword& keyword, const std::vector<std::string>& effective,
                      const std::vector<std::string>& defaults, bool legacy, bool prefers_gcm) {
  std::vector<std::string> added;
  std::vector<std::string> wanted = effective;
  if (legacy) {
    std::ranges::copy_if(keyword.legacy, std::back_inserter(added),
                         [&](const std::string& name) { return !has(effective, name); });
    wanted.insert(wanted.end(), added.begin(), added.end());
  } else {
    std::erase_if(wanted, &is_legacy_algorithm);
    if (wanted.empty()) {  // somebody allowed nothing else: the server shall say so
      wanted = defaults;
      std::erase_if(wanted, &is_legacy_algorithm);
    }
  }
  const bool is_default = effective == defaults;
  if (is_default && keyword.name == "Ciphers" && prefers_gcm) put_gcm_first(wanted);
  if (wanted == effective) return {};
  if (keyword.name == "HostKeyAlgorithms") {
    // With a list of its own ssh still prefers the keys that it knows, and not with a whole one.
    if (is_default) return "+" + join_names(added);
    if (wanted == defaults) return "-" + std::string(kLegacyRsa);
  }
  return join_names(wanted);
}

}  // namespace

std::vector<std::string> ssh_algorithm_options(std::string_view effective,
                                               std::string_view defaults, bool legacy,
                                               bool prefers_gcm) {
  std::vector<std::string> options;
  for (const Keyword& keyword : keywords()) {
    const auto names = names_in(effective, keyword.name);
    if (names.empty()) continue;  // ssh will say what is wrong with its configuration
    const std::string value =
        value_for(keyword, names, names_in(defaults, keyword.name), legacy, prefers_gcm);
    if (!value.empty()) options.push_back(fmt::format("-o{}={}", keyword.name, value));
  }
  return options;
}

std::vector<std::string> ssh_algorithm_options(const ConnectOptions& options,
                                               const StopToken& stop) {
  static const std::string defaults = ssh_defaults(options.timeout, stop);
  const std::string effective = ssh_configuration(options, stop);
  return ssh_algorithm_options(effective.empty() ? defaults : effective, defaults,
                               options.legacy_algorithms, has_aes_instructions());
}

}  // namespace ferry::sftp
