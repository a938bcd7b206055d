#include "ferry/transfer/control_signature.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

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
  if (const auto list = open_regular_file(allowed_signers); !list) return list.error();
  if (const auto there = open_regular_file(signature); !there) {
    return make_error(ErrorKind::kFailed, "no signature: {}", there.error().message);
  }
  const auto fd = in_memory(content);
  if (!fd) return fd.error();
  const std::string& signed_by = signature.string();
  const auto found =
      run({"-Y", "find-principals", "-s", signed_by, "-f", allowed_signers.string()}, -1, stop);
  if (!found) return found.error();
  std::string signer = found->output.substr(0, found->output.find('\n'));
  if (found->status != 0 || signer.empty()) {
    return make_error(ErrorKind::kFailed, "{} is not by anybody in {}", signed_by,
                      allowed_signers.string());
  }
  const auto verified = run({"-Y", "verify", "-f", allowed_signers.string(), "-I", signer, "-n",
                             std::string(kSignatureNamespace), "-s", signed_by},
                            fd->get(), stop);
  if (!verified) return verified.error();
  if (verified->status != 0) {
    return make_error(ErrorKind::kFailed, "{} is not a signature of this control file: {}",
                      signed_by,
                      describe_exit("ssh-keygen", verified->status, verified->stderr_text));
  }
  return signer;
}

}  // namespace ferry::transfer
