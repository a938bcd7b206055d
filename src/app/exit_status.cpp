#include "app/exit_status.h"

namespace ferry::app {
namespace {

ExitStatus local_status(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kAbnormal:
    case ErrorKind::kIo:
    case ErrorKind::kFailed:
      return ExitStatus::kSomeFailed;
    default:
      return ExitStatus::kUsage;
  }
}

ExitStatus destination_status(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid:
    case ErrorKind::kNotFound:
      return ExitStatus::kUsage;
    case ErrorKind::kAbnormal:
    case ErrorKind::kFailed:
      return ExitStatus::kSomeFailed;
    case ErrorKind::kIo:
      return ExitStatus::kMetastore;
    default:
      return ExitStatus::kDestination;
  }
}

/// Precedence if several parts of a command ended differently.
int severity(ExitStatus status) {
  switch (status) {
    case ExitStatus::kDone:
      return 0;
    case ExitStatus::kSomeFailed:
      return 1;
    case ExitStatus::kUsage:
      return 2;
    case ExitStatus::kDestination:
      return 3;
    case ExitStatus::kMetastore:
      return 4;
    case ExitStatus::kInterrupted:
      return 5;
  }
  return 0;
}

}  // namespace

std::string_view describe(ExitStatus status) {
  switch (status) {
    case ExitStatus::kDone:
      return "done, or nothing to do";
    case ExitStatus::kSomeFailed:
      return "some files failed, or are given up; the others are done";
    case ExitStatus::kUsage:
      return "wrong usage or configuration";
    case ExitStatus::kDestination:
      return "a destination could not be reached, also in the middle of a run, or refused us";
    case ExitStatus::kMetastore:
      return "the metastore is damaged, not writable, or was locked for too long";
    case ExitStatus::kInterrupted:
      return "interrupted";
  }
  return "";
}

ExitStatus exit_status_for(const Failure& failure) {
  const ErrorKind kind = failure.error.kind;
  if (kind == ErrorKind::kCancelled) return ExitStatus::kInterrupted;
  if (kind == ErrorKind::kBusy || kind == ErrorKind::kCorrupt) return ExitStatus::kMetastore;
  switch (failure.origin) {
    case Origin::kLocal:
      return local_status(kind);
    case Origin::kDestination:
      return destination_status(kind);
    case Origin::kMetastore:
      return ExitStatus::kMetastore;
  }
  return ExitStatus::kSomeFailed;
}

ExitStatus worse_of(ExitStatus one, ExitStatus other) {
  return severity(one) < severity(other) ? other : one;
}

}  // namespace ferry::app
