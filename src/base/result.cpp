#include "ferry/base/result.h"

#include <cerrno>
#include <system_error>

namespace ferry {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid:
      return "invalid";
    case ErrorKind::kNotFound:
      return "not_found";
    case ErrorKind::kDenied:
      return "denied";
    case ErrorKind::kBusy:
      return "busy";
    case ErrorKind::kCorrupt:
      return "corrupt";
    case ErrorKind::kAbnormal:
      return "abnormal";
    case ErrorKind::kUnreachable:
      return "unreachable";
    case ErrorKind::kRefused:
      return "refused";
    case ErrorKind::kConnectionLost:
      return "connection_lost";
    case ErrorKind::kProtocol:
      return "protocol";
    case ErrorKind::kRemoteFull:
      return "remote_full";
    case ErrorKind::kIo:
      return "io";
    case ErrorKind::kFailed:
      return "failed";
    case ErrorKind::kCancelled:
      return "cancelled";
  }
  return "failed";
}

bool is_retryable(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kBusy:
    case ErrorKind::kUnreachable:
    case ErrorKind::kConnectionLost:
    case ErrorKind::kRemoteFull:
    case ErrorKind::kIo:
    case ErrorKind::kCancelled:
      return true;
    default:
      return false;
  }
}

Error Error::with_context(std::string_view context) const {
  return Error{kind, fmt::format("{}: {}", context, message), os_code};
}

Error errno_error(int os_code, std::string_view what) {
  ErrorKind kind = ErrorKind::kIo;
  switch (os_code) {
    case ENOENT:
    case ENOTDIR:
      kind = ErrorKind::kNotFound;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      kind = ErrorKind::kDenied;
      break;
    case EAGAIN:
    case EBUSY:
      kind = ErrorKind::kBusy;
      break;
    case EINVAL:
    case ENAMETOOLONG:
      kind = ErrorKind::kInvalid;
      break;
    default:
      break;
  }
  return Error{kind, fmt::format("{}: {}", what, std::generic_category().message(os_code)),
               os_code};
}

}  // namespace ferry
