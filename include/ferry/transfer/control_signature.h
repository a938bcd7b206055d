// Signatures of control files, as `ssh-keygen -Y sign` makes them (OpenSSH's PROTOCOL.sshsig), by
// that program: B can tell who made the list.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"

namespace ferry::transfer {

/// Keeps a signature from being taken for one of anything else.
inline constexpr std::string_view kSignatureNamespace = "ferry-control-file";

/// The signature of what FD has, from its beginning. KEY: a private key without a passphrase, or a
/// public one whose private key an SSH agent has. Errors say what ssh-keygen says.
Result<std::string> sign(int fd, const fs::path& key, const StopToken& stop);

/// Who signed CONTENT, as ALLOWED_SIGNERS (ssh-keygen(1)) calls them. kFailed if the signature is
/// not there, not one of theirs, or not of this. CONTENT is what was read and will be used: a file
/// could be another one the next time that its name is opened.
Result<std::string> signer_of(std::string_view content, const fs::path& signature,
                              const fs::path& allowed_signers, const StopToken& stop);

}  // namespace ferry::transfer
