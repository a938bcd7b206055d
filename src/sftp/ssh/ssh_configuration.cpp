#include "sftp/ssh/ssh_configuration.h"

#include <algorithm>

#include "ferry/base/child_process.h"
#include "sftp/ssh/ssh_command.h"

namespace ferry::sftp {
namespace {

/// What COMMAND writes; empty if it fails or takes too long.
std::string output_of(const std::vector<std::string>& command, std::chrono::milliseconds limit,
                      const StopToken& stop) {
  const auto ended = run_command(command, ssh_environment(), -1, limit, stop);
  return ended && ended->status == 0 ? ended->output : std::string();
}

}  // namespace

std::string ssh_configuration(const ConnectOptions& options, const StopToken& stop) {
  std::vector<std::string> query{"ssh", "-G"};
  std::ranges::move(ssh_options(options), std::back_inserter(query));
  query.insert(query.end(), {"--", options.host});
  return output_of(query, options.timeout, stop);
}

std::string ssh_defaults(std::chrono::milliseconds timeout, const StopToken& stop) {
  return output_of({"ssh", "-F", "none", "-G", "--", "localhost"}, timeout, stop);
}

std::string_view value_in(std::string_view configuration, std::string_view keyword) {
  std::string start = std::string(keyword) + " ";
  std::ranges::transform(start, start.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (std::string_view rest = configuration; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (line.starts_with(start)) return line.substr(start.size());
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return {};
}

}  // namespace ferry::sftp
