#include "app/exit_status.h"

#include <doctest/doctest.h>

namespace ferry::app {
namespace {

ExitStatus status(Origin origin, ErrorKind kind) {
  return exit_status_for({origin, Error{kind, "", 0}});
}

TEST_CASE("trouble with what the user gave is a usage error") {
  CHECK(status(Origin::kLocal, ErrorKind::kInvalid) == ExitStatus::kUsage);
  CHECK(status(Origin::kLocal, ErrorKind::kNotFound) == ExitStatus::kUsage);
  CHECK(status(Origin::kLocal, ErrorKind::kDenied) == ExitStatus::kUsage);
}

TEST_CASE("trouble on the way to a destination, or with its server") {
  for (const ErrorKind kind :
       {ErrorKind::kUnreachable, ErrorKind::kRefused, ErrorKind::kDenied,
        ErrorKind::kConnectionLost, ErrorKind::kProtocol, ErrorKind::kRemoteFull}) {
    CHECK(status(Origin::kDestination, kind) == ExitStatus::kDestination);
  }
}

TEST_CASE("trouble with the metastore, whoever met it") {
  CHECK(status(Origin::kMetastore, ErrorKind::kDenied) == ExitStatus::kMetastore);
  CHECK(status(Origin::kMetastore, ErrorKind::kNotFound) == ExitStatus::kMetastore);
  CHECK(status(Origin::kDestination, ErrorKind::kBusy) == ExitStatus::kMetastore);
  CHECK(status(Origin::kDestination, ErrorKind::kCorrupt) == ExitStatus::kMetastore);
}

TEST_CASE("an interruption is one, wherever it struck") {
  CHECK(status(Origin::kLocal, ErrorKind::kCancelled) == ExitStatus::kInterrupted);
  CHECK(status(Origin::kDestination, ErrorKind::kCancelled) == ExitStatus::kInterrupted);
}

TEST_CASE("an unreachable destination outweighs failed files") {
  CHECK(worse_of(ExitStatus::kSomeFailed, ExitStatus::kDestination) == ExitStatus::kDestination);
  CHECK(worse_of(ExitStatus::kDestination, ExitStatus::kDone) == ExitStatus::kDestination);
}

}  // namespace
}  // namespace ferry::app
