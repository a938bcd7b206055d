#include "ferry/transfer/control_signature.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <vector>

#include "ferry/base/child_process.h"

namespace ferry::transfer {
namespace {

constexpr std::chrono::seconds kTimeLimit{30};

/// A passphrase cannot be asked for: nobody may be there.
std::vector<std::string> environment() {
  std::vector<std::string> variables{"SSH_ASKPASS_REQUIRE=never", "DISPLAY="};
  if (const char* agent = std::getenv("SSH_AUTH_SOCK")) {
    variables.push_back(fmt::format("SSH_AUTH_SOCK={}", agent));
  }
  return variables;
}

Result<CommandResult> run(std::vector<std::string> arguments, int fd, const StopToken& stop) {
  arguments.insert(arguments.begin(), "ssh-keygen");
  if (fd >= 0 && ::lseek(fd, 0, SEEK_SET) != 0) return errno_error(errno, "seek");
  return run_command(arguments, environment(), fd, kTimeLimit, stop);
}

/// What a child can have as its standard input.
Result<UniqueFd> in_memory(std::string_view content) {
  UniqueFd fd(::memfd_create("ferry-control-file", MFD_CLOEXEC));
  if (!fd) return errno_error(errno, "memfd_create");
  if (auto written = write_full(fd.get(), as_bytes(content), "memory"); !written) {
    return written.error();
  }
  return fd;
}

/// Whom the first line in ALLOWED_SIGNERS that has the signature's key is for.
Result<std::vector<std::string>> find_principals(const fs::path& signature,
                                                 std::string_view allowed_signers,
                                                 const StopToken& stop) {
  const auto fd = in_memory(allowed_signers);
  if (!fd) return fd.error();
  const auto found =
      run({"-Y", "find-principals", "-s", signature.string(), "-f", "/dev/stdin"}, fd->get(), stop);
  if (!found) return found.error();
  std::vector<std::string> principals;
  std::istringstream lines(found->status == 0 ? found->output : "");
  for (std::string line; std::getline(lines, line);) principals.push_back(line);
  return principals;
}

/// kFailed: that is no signature of theirs for a control file of what FD has.
Result<void> verify_as(const std::string& principal, int fd, const fs::path& signature,
                       const fs::path& allowed_signers, const StopToken& stop) {
  const auto verified = run({"-Y", "verify", "-f", allowed_signers.string(), "-I", principal, "-n",
                             std::string(kSignatureNamespace), "-s", signature.string()},
                            fd, stop);
  if (!verified) return verified.error();
  if (verified->status == 0) return {};
  return make_error(ErrorKind::kFailed, "{} is not a signature of this control file: {}",
                    signature.string(),
                    describe_exit("ssh-keygen", verified->status, verified->stderr_text));
}

/// The comma-separated patterns that a line begins with, in quotation marks or not.
std::string_view principals_of(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  if (!line.starts_with('"')) return line.substr(0, line.find_first_of(" \t"));
  line.remove_prefix(1);
  return line.substr(0, line.find('"'));
}

/// False if there is none.
bool remove_lines_of(const std::vector<std::string>& principals, std::string& allowed_signers) {
  std::string kept;
  std::istringstream lines(allowed_signers);
  for (std::string line; std::getline(lines, line);) {
    const std::string listed = fmt::format(",{},", principals_of(line));
    const bool is_theirs = std::ranges::any_of(principals, [&](const std::string& principal) {
      return listed.contains(fmt::format(",{},", principal));
    });
    if (!is_theirs) kept.append(line).append(1, '\n');
  }
  std::swap(kept, allowed_signers);
  return allowed_signers.size() < kept.size();
}

}  // namespace

Result<std::string> sign(int fd, const fs::path& key, const StopToken& stop) {
  auto ended = run({"-Y", "sign", "-q", "-f", key.string(), "-n", std::string(kSignatureNamespace)},
                   fd, stop);
  if (!ended) return ended.error().with_context("control_sign");
  if (ended->status != 0) {
    return make_error(ErrorKind::kFailed, "control_sign: {}",
                      describe_exit("ssh-keygen", ended->status, ended->stderr_text));
  }
  return std::move(ended->output);
}

Result<std::string> signer_of(std::string_view content, const fs::path& signature,
                              const fs::path& allowed_signers, const StopToken& stop) {
  // ssh-keygen would wait for a FIFO.
  auto list = read_file(allowed_signers);
  if (!list) return list.error();
  if (const auto there = open_regular_file(signature); !there) {
    return make_error(ErrorKind::kFailed, "no signature: {}", there.error().message);
  }
  const auto fd = in_memory(content);
  if (!fd) return fd.error();
  Error refused = make_error(ErrorKind::kFailed, "{} is not by anybody in {}", signature.string(),
                             allowed_signers.string());
  // ssh-keygen names whom the key's first line is for, whatever namespace that line is for.
  for (bool goes_on = true; goes_on;) {
    const auto principals = find_principals(signature, *list, stop);
    if (!principals) return principals.error();
    for (const std::string& principal : *principals) {
      auto verified = verify_as(principal, fd->get(), signature, allowed_signers, stop);
      if (verified) return principal;
      if (verified.error().kind != ErrorKind::kFailed) return verified.error();
      refused = std::move(verified.error());
    }
    goes_on = remove_lines_of(*principals, *list);
  }
  return refused;
}

}  // namespace ferry::transfer
